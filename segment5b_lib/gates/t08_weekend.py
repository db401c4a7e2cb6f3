"""T8: the share of arrivals on local weekends, against what the intensities promise on the same dates.

Value: percentage points, |share of arrivals whose stored local date is a Saturday or Sunday − the same share of
λ_realised, bucket by bucket by the oracle's local date of the row's zone|, over all arrivals and all of S2. With four
standard errors of the count law above B the run is too small to tell. Source: remediation report behind the plan.

Thresholds: validation_policy_5B.yaml, gates.T8.
"""

from __future__ import annotations

import math
from typing import Final

import polars as pl

from segment5b_lib.contract.verdicts import Measurement, gate_bound, not_measured
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, COUNTS, Gate, Group
from segment5b_lib.model.statistics import STANDARD_ERRORS, weekend_difference

_FRIDAY_END = 5 * 24


def measure(evidence: Evidence) -> Measurement:
    total = evidence.arrivals
    shares = weekend_shares(evidence).filter(pl.col("scenario_id").is_null()).to_dicts()[0]
    if shares["expected"] is None:
        return not_measured("S2 expects no arrivals", "arrivals")
    noise = 100 * STANDARD_ERRORS * shares["standard_error"]
    limit = gate_bound(evidence.policy, "T8", "b").limit.max
    value, _, needed = weekend_difference(shares["observed"], shares["expected"], noise, total, limit)
    detail = {
        "observed": shares["observed"],
        "expected": shares["expected"],
        "standard_error_pp": 100 * shares["standard_error"],
        "arrivals_needed": needed,
    }
    if needed is None:
        return Measurement(value, total, "arrivals", detail)
    reason = f"4 SE = {noise:.3f} pp exceed B; needs about {needed:,} arrivals"
    return Measurement(value, total, "arrivals", detail, Verdict.INSUFFICIENT_POWER, reason)


def weekend_shares(evidence: Evidence) -> pl.DataFrame:
    """scenario_id (null for all together), observed, expected (shares), standard_error (of the observed one).

    Observed by the stored local date, expected by the oracle's, bucket by bucket of every zone of S2. The
    standard error is that of a ratio of sums whose terms vary as the count law says.
    """
    rows = [_shares(evidence.census, evidence.zone_buckets, None)]
    for horizon in evidence.horizons:
        of_scenario = pl.col("scenario_id") == horizon.scenario_id
        census, buckets = evidence.census.filter(of_scenario), evidence.zone_buckets.filter(of_scenario)
        rows.append(_shares(census, buckets, horizon.scenario_id))
    return pl.DataFrame(rows)


def _shares(census: pl.DataFrame, buckets: pl.DataFrame, name: str | None) -> dict[str, object]:
    arrivals = int(census["arrivals"].sum())
    weekend = int(census.filter(pl.col("stored_hour") >= _FRIDAY_END)["arrivals"].sum())
    promised = float((buckets["intensity"] * buckets["weekend"]).sum())
    intensity = float(buckets["intensity"].sum())
    expected = promised / intensity if intensity else None
    return {
        "scenario_id": name,
        "observed": weekend / arrivals if arrivals else None,
        "expected": expected,
        "standard_error": _standard_error(buckets, expected) if expected is not None else None,
    }


def _standard_error(buckets: pl.DataFrame, share: float) -> float:
    """Delta method for weekend/total: each bucket's (w - p), plus the split of one over midnight."""
    w, variance, mean = pl.col("weekend"), pl.col("variance"), pl.col("mean")
    terms = buckets.select(((w - share) ** 2 * variance + w * (1 - w) * mean).sum(), mean.sum().alias("total"))
    spread, total = terms.row(0)
    return math.sqrt(spread) / total if total else 0.0


GATES: Final = (
    Gate(
        gate_id="T8",
        title="Weekend share by local date",
        unit="pp",
        formula="|share of arrivals on local Saturdays and Sundays - the same share of lambda_realised|",
        evidence=("s2_realised_intensity_5B", COUNTS, ARRIVALS),
        owner="S4",
        group=Group.RHYTHM,
        measure=measure,
        power="four standard errors of the count law exceed the B threshold and the difference does not stand out",
        watched_by_s5=True,
    ),
)
