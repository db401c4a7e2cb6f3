"""A1: no random block is used twice, and what two blocks give has nothing to do with each other.

A1: pairs (key, counter) used more than once. The keys are those that `kernel.streams` defines for every series and
every group of the run, the counters follow from S3's counts. That the run really draws so is traced on a seeded sample
of series: every offset of theirs must be the one that its block gives, else the trace does not hold and A1 fails.
A1.duplicates: p-value of the pairs of a merchant's arrivals at one microsecond, against the Poisson law of mean
Σ n(n − 1)/2D over its buckets of n arrivals and D microseconds. Full population.
A1.offsets: p-value (chi-square, 16 × 16 cells against their margins, df 225) that the offsets of draw 0 in
neighbouring buckets of a series are independent, over all pairs of buckets that hold one arrival each, where it is
known which draw an arrival is. How offsets are spread is A5's question.

Thresholds: validation_policy_5B.yaml, gates.A1, gates.A1_duplicates, gates.A1_offsets.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
import scipy

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.contract.verdicts import Measurement, without_power
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.evidence.trace import blocks_used_twice, defined_offsets, draws_that_differ
from segment5b_lib.gates.gate import ARRIVALS, COUNTS, Gate, Group
from segment5b_lib.kernel.tally_tables import CELL_PAIRS, SAME_INSTANT

_LISTED = 20


def measure(evidence: Evidence) -> Measurement:
    traced = [_traced(evidence, name) for name in evidence.tallies]
    reused = [blocks_used_twice(evidence.run, name, counts) for name, counts in evidence.counts.items()]
    draws = sum(defined.height for defined, _ in traced)
    foreign = pl.concat([differing for _, differing in traced])
    detail = {
        "blocks": sum(use.blocks for use in reused),
        "keys": sum(use.keys for use in reused),
        "draws_traced": draws,
        "draws_that_are_not_defined": int(foreign["differing"].sum()),
        "series_with_such_draws": foreign.head(_LISTED).to_dicts(),
    }
    twice, blocks = float(sum(use.twice for use in reused)), sum(use.blocks for use in reused)
    if draws == 0:
        needed = f"a series with at most {evidence.policy.audit.traced_draws} arrivals, to trace its draws"
        return without_power(twice, blocks, "blocks", detail, needed)
    reason = f"{foreign.height} sampled series do not hold the draws of their streams" if foreign.height else ""
    return Measurement(twice, blocks, "blocks", detail, Verdict.FAIL if foreign.height else None, reason)


def _traced(evidence: Evidence, scenario_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The defined offsets of the sample, and the series that have others."""
    counted, receipt = evidence.tallies[scenario_id], evidence.run.receipt
    clock, sample = counted.tables.expected, counted.tables.sample
    width, start = clock.bucket_seconds * SECOND_US, clock.start * SECOND_US
    counts = evidence.counts[scenario_id]
    defined = defined_offsets(counts, sample, receipt.rng_root, receipt.seed, scenario_id, width)
    drawn = counted.overflow.sampled.with_columns(offset=pl.col("ts_utc") - start - pl.col("bucket_index") * width)
    return defined, draws_that_differ(defined, drawn).select(*SERIES_KEY, "differing")


def measure_duplicates(evidence: Evidence) -> Measurement:
    totals = evidence.arrival_totals
    width = evidence.run.policies.time_grid.bucket_seconds * SECOND_US
    equal, pairs = int(totals[SAME_INSTANT]), int(totals[CELL_PAIRS])
    expected = pairs / width
    detail = {"pairs_at_one_microsecond": equal, "expected": expected}
    if pairs == 0:
        return without_power(None, 0, "pairs in one bucket", detail, "two arrivals of a merchant in one bucket")
    return Measurement(
        float(scipy.special.pdtrc(equal - 1, expected)) if equal else 1.0, pairs, "pairs in one bucket", detail
    )


def measure_offsets(evidence: Evidence) -> Measurement:
    joint = np.sum([evidence.tallies[scenario_id].tally.joint for scenario_id in evidence.counts], axis=0)
    pairs, needed = int(joint.sum()), int(evidence.policy.audit.min_expected * joint.size)
    detail = {"pairs": pairs, "pairs_needed": needed}
    if pairs < needed:
        lacking = f"{needed} pairs of buckets with one arrival each"
        return without_power(None, pairs, "pairs of buckets", detail, lacking)
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True) / pairs
    statistic = float(((joint - expected) ** 2 / np.maximum(expected, np.finfo(float).tiny)).sum())
    df = (joint.shape[0] - 1) * (joint.shape[1] - 1)
    test = {"chi_square": statistic, "degrees_of_freedom": df}
    return Measurement(float(scipy.special.chdtrc(df, statistic)), pairs, "pairs of buckets", {**detail, **test})


GATES: Final = (
    Gate(
        gate_id="A1",
        title="Streams used once",
        unit="blocks",
        formula="random blocks (key, counter) used more than once, and sampled draws that are not their stream's",
        evidence=("s1_grouping_5B", COUNTS, ARRIVALS),
        owner="S4 streams",
        group=Group.AUDIT,
        measure=measure,
        power="no series is small enough to be traced draw by draw",
    ),
    Gate(
        gate_id="A1.duplicates",
        title="Equal timestamps of a merchant",
        unit="p",
        formula="Poisson chance of as many pairs at one microsecond, given sum n(n-1)/2D over a merchant's buckets",
        evidence=(ARRIVALS,),
        owner="S4 streams",
        group=Group.AUDIT,
        measure=measure_duplicates,
        power="no merchant has two arrivals in one bucket",
    ),
    Gate(
        gate_id="A1.offsets",
        title="Neighbouring offsets independent",
        unit="p",
        formula="chi-square of the offsets of draw 0 in neighbouring buckets of a series that hold one arrival each",
        evidence=(COUNTS, ARRIVALS),
        owner="S4 streams",
        group=Group.AUDIT,
        measure=measure_offsets,
        power="fewer pairs of buckets than min_expected in each of 256 cells",
    ),
)
