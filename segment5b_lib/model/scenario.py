"""A scenario's horizon, checked against the time-grid policy and cut into buckets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from segment5b_lib.contract.policies import TimeGridPolicy
from segment5b_lib.contract.words import ScenarioBand
from segment5b_lib.errors import InputError, PolicyError


@dataclass(frozen=True)
class Scenario:
    """One row of the manifest with its horizon cut into buckets [start + b·D, start + (b+1)·D)."""

    scenario_id: str
    start: datetime
    buckets: int
    bucket_seconds: int
    band: ScenarioBand
    labels: list[str]


def scenario_of(row: dict[str, Any], policy: TimeGridPolicy) -> Scenario:
    """Check one row of the manifest against the time-grid policy."""
    start: datetime = row["horizon_start_utc"]
    length = row["horizon_end_utc"] - start
    bucket = timedelta(seconds=policy.bucket_seconds)
    where = f"scenario_manifest_5A, scenario {row['scenario_id']}"
    if row["is_baseline"] == row["is_stress"]:
        raise InputError(
            "5B.S1.SCENARIO_BAND",
            "a scenario must be either baseline or stress",
            where=where,
            expected="exactly one of is_baseline, is_stress",
            found=f"is_baseline {row['is_baseline']}, is_stress {row['is_stress']}",
        )
    if (start - datetime(1970, 1, 1, tzinfo=UTC)) % bucket or length % bucket or length <= timedelta(0):
        raise InputError(
            "5B.S1.HORIZON_NOT_ALIGNED",
            "a scenario's horizon is not a whole number of buckets",
            where=where,
            expected=f"start and end on multiples of {policy.bucket_seconds} s",
            found=f"[{start.isoformat()}, {row['horizon_end_utc'].isoformat()})",
        )
    buckets = length // bucket
    days = length / timedelta(days=1)
    if not policy.min_horizon_days <= days <= policy.max_horizon_days or buckets > policy.max_buckets:
        raise PolicyError(
            "5B.S1.HORIZON_OUT_OF_BOUNDS",
            "a scenario's horizon is longer or shorter than time_grid_policy_5B allows",
            where=where,
            expected=f"{policy.min_horizon_days} to {policy.max_horizon_days} days, "
            f"at most {policy.max_buckets} buckets",
            found=f"{days:g} days, {buckets} buckets",
        )
    band = ScenarioBand.BASELINE if row["is_baseline"] else ScenarioBand.STRESS
    return Scenario(row["scenario_id"], start, buckets, policy.bucket_seconds, band, sorted(row["labels"]))
