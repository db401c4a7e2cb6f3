"""T2: the signature of a missed change of daylight saving, an error of exactly one hour.

Value: share of arrivals whose primary clock is off by 3600 s either way, within tolerance_seconds, over all arrivals.
Source: plan §3.1.

Thresholds: validation_policy_5B.yaml, gates.T2.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.units import HOUR_S
from segment5b_lib.contract.verdicts import Measurement
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group


def measure(evidence: Evidence) -> Measurement:
    total = evidence.arrivals
    counts = evidence.census.group_by("error_seconds").agg(pl.col("arrivals").sum())
    ways = {
        name: int(counts.filter(pl.col("error_seconds") == error)["arrivals"].sum())
        for name, error in (("one_hour_late", HOUR_S), ("one_hour_early", -HOUR_S))
    }
    return Measurement(sum(ways.values()) / total, total, "arrivals", dict(ways))


GATES: Final = (
    Gate(
        gate_id="T2",
        title="One-hour signature",
        unit="share",
        formula="arrivals whose ts_local_primary is off by exactly one hour, either way",
        evidence=(ARRIVALS,),
        owner="S4",
        group=Group.CLOCK,
        measure=measure,
        watched_by_s5=True,
    ),
)
