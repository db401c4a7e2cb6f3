"""T1: does the stored local time show what a clock on that wall would have shown?

Value: share of arrivals with |ts_local_primary − wall clock expected at ts_utc in tzid_primary| > tolerance_seconds,
over all arrivals; T1.settlement and T1.operational the same for the other two clocks of virtual arrivals. The clock
expected is zoneinfo's on the pinned database. A row without a zone, a clock, or an instant inside the horizon is
wrong. Source: plan §3.1.

Thresholds: validation_policy_5B.yaml, gates.T1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from segment5b_lib.contract.verdicts import Measurement
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.evidence.census import NO_HOUR
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group

_WORST = 20
WRONG = pl.col("error_seconds").ne_missing(0)
"""A stored clock that is not right: off by a known amount, or by an irregular one."""


def measure(evidence: Evidence) -> Measurement:
    census = evidence.census
    outside = int(census.filter(pl.col("expected_hour") == NO_HOUR)["arrivals"].sum())
    result = _share(census, "arrivals")
    return replace(result, detail={**result.detail, "nothing_expected": outside})


def measure_settlement(evidence: Evidence) -> Measurement:
    return _of_role(evidence, "settlement")


def measure_operational(evidence: Evidence) -> Measurement:
    return _of_role(evidence, "operational")


def _of_role(evidence: Evidence, role: str) -> Measurement:
    counts = evidence.role_counts.filter(pl.col("role") == role)
    if counts.is_empty():
        reason = "the run has no virtual arrivals"
        return Measurement(None, 0, "virtual arrivals", ruling=Verdict.NOT_APPLICABLE, reason=reason)
    return _share(counts, "virtual arrivals")


def _share(counts: pl.DataFrame, unit: str) -> Measurement:
    total, mismatches = int(counts["arrivals"].sum()), int(counts.filter(WRONG)["arrivals"].sum())
    zones = (
        counts.group_by("tzid")
        .agg(pl.col("arrivals").sum(), pl.col("arrivals").filter(WRONG).sum().alias("mismatches"))
        .filter(pl.col("mismatches") > 0)
        .sort(["mismatches", "tzid"], descending=[True, False])
    )
    errors = counts.filter(WRONG).group_by("error_seconds").agg(pl.col("arrivals").sum()).sort("error_seconds")
    detail = {
        "mismatches": mismatches,
        "zones_with_mismatches": zones.height,
        "worst_zones": zones.head(_WORST).to_dicts(),
        "errors_seconds": errors.to_dicts(),
    }
    return Measurement(mismatches / total, total, unit, detail)


GATES: Final = (
    Gate(
        gate_id="T1",
        title="Civil-time mismatch",
        unit="share",
        formula="arrivals whose ts_local_primary differs from the expected wall clock by more than the tolerance",
        evidence=(ARRIVALS,),
        owner="S4",
        group=Group.CLOCK,
        measure=measure,
        watched_by_s5=True,
    ),
    Gate(
        gate_id="T1.settlement",
        title="Settlement-clock mismatch",
        unit="share",
        formula="virtual arrivals whose ts_local_settlement differs from the expected wall clock",
        evidence=(ARRIVALS,),
        owner="S4",
        group=Group.CLOCK,
        measure=measure_settlement,
        policy_key="gates.T1",
    ),
    Gate(
        gate_id="T1.operational",
        title="Operational-clock mismatch",
        unit="share",
        formula="virtual arrivals whose ts_local_operational differs from the expected wall clock",
        evidence=(ARRIVALS,),
        owner="S4",
        group=Group.CLOCK,
        measure=measure_operational,
        policy_key="gates.T1",
    ),
)
