"""A5: an arrival lies anywhere in its bucket, never outside it, and arrivals stand in order.

A5: p-value of the Kolmogorov-Smirnov test that the offsets in their buckets are uniform, at 3,600 equal steps of a
bucket: the distance at the steps is never larger than the true one, so chance alone never fails it more often.
A5.window: arrivals whose ts_utc is not in their bucket's [start, end).
A5.order: arrivals that do not follow the one before them: merchants ascending, and strictly by (ts_utc, arrival_seq)
within a merchant, across part files too. All three over all arrivals.

Thresholds: validation_policy_5B.yaml, gates.A5, gates.A5_window, gates.A5_order.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import scipy

from segment5b_lib.contract.verdicts import Measurement, without_power
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group
from segment5b_lib.kernel.tally_tables import OUT_OF_ORDER, OUTSIDE_BUCKET


def measure(evidence: Evidence) -> Measurement:
    steps = np.sum([counted.tally.offsets for counted in evidence.tallies.values()], axis=0)
    inside, needed = int(steps.sum()), evidence.policy.audit.min_rows
    if inside < needed:
        return without_power(None, inside, "arrivals in their buckets", {}, f"{needed:,} arrivals in their buckets")
    distribution = np.cumsum(steps) / inside
    distance = float(np.abs(distribution - np.arange(1, steps.size + 1) / steps.size).max())
    p = float(scipy.special.kolmogorov(math.sqrt(inside) * distance))
    return Measurement(p, inside, "arrivals in their buckets", {"distance": distance, "steps": steps.size})


def measure_window(evidence: Evidence) -> Measurement:
    return Measurement(float(evidence.arrival_totals[OUTSIDE_BUCKET]), evidence.arrivals, "arrivals")


def measure_order(evidence: Evidence) -> Measurement:
    breaks = sum(counted.breaks for counted in evidence.tallies.values())
    within = int(evidence.arrival_totals[OUT_OF_ORDER])
    detail = {"within_part_files": within, "between_part_files": breaks}
    return Measurement(float(within + breaks), evidence.arrivals, "arrivals", detail)


GATES: Final = (
    Gate(
        gate_id="A5",
        title="Offsets uniform",
        unit="p",
        formula="KS of the offsets of arrivals within their buckets",
        evidence=(ARRIVALS,),
        owner="S4",
        group=Group.AUDIT,
        measure=measure,
        power="fewer than min_rows arrivals in their buckets",
    ),
    Gate(
        gate_id="A5.window",
        title="Timestamps in their buckets",
        unit="rows",
        formula="arrivals whose ts_utc lies outside the [start, end) of their bucket",
        evidence=(ARRIVALS,),
        owner="S4",
        group=Group.AUDIT,
        measure=measure_window,
    ),
    Gate(
        gate_id="A5.order",
        title="Arrivals in order",
        unit="rows",
        formula="arrivals that do not follow the one before by (merchant_id, ts_utc, arrival_seq)",
        evidence=(ARRIVALS,),
        owner="S4",
        group=Group.AUDIT,
        measure=measure_order,
    ),
)
