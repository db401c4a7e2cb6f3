"""Form of `validation_policy_5B`, which holds every threshold that S5, the gates and the phases use.

The numbers are in the run's own copy of `parameters/policies/validation_policy_5B.yaml`. A gate's key follows from
its id (`gates.gate.Gate.threshold_key`), `contract.verdicts.gate_bound` looks it up, and `contract.verdicts.judge`
decides.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segment5b_lib.contract.strict import Positive, Share, Strict


class Limit(Strict):
    """One threshold of a gate: an upper and/or a lower bound, both inclusive."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Limit:
        if self.min is None and self.max is None:
            raise ValueError("needs min, max or both")
        return self

    def holds(self, value: float) -> bool:
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


class GateThresholds(Strict):
    """A gate's two thresholds and how much a failure weighs."""

    severity: Literal["hard", "major", "audit"]
    b: Limit
    bplus: Limit


class CivilTimeMeasurement(Strict):
    """How T1–T3 and T11 are measured."""

    tolerance_seconds: Positive
    dst_window_hours: Annotated[int, Field(gt=0)]
    dst_window_min_support: int
    dst_window_min_exposed_windows: int
    dst_window_min_total_support: int
    horizon_margin_days: Annotated[int, Field(ge=0)]


class SentinelPolicy(Strict):
    """S5: how strictly T6–T9 are enforced."""

    evaluation_mode: Literal["warn_only", "enforce_b", "enforce_bplus"]


class SamplingPlan(Strict):
    """S5: the stratified sample of clocks, and how many part files are re-hashed and re-derived row by row."""

    seed: Annotated[int, Field(ge=0)]
    rows_per_dst_window: Annotated[int, Field(gt=0)]
    rows_elsewhere: Annotated[int, Field(gt=0)]
    parts: Annotated[int, Field(gt=0)]


class FailurePolicy(Strict):
    """S5: when the bundle is refused."""

    mode: Literal["fail_closed"]
    max_warnings: Annotated[int, Field(ge=0)]


class CountShape(Strict):
    """S5: least variety that counts and offsets must show."""

    min_nonzero_fraction: Share
    min_p99_over_p50: Positive
    min_distinct_offsets_per_1000: int


class AuditMeasurement(Strict):
    """How A1 to A5 are measured, and what they need before they speak."""

    min_expected: Positive
    min_rows: Annotated[int, Field(gt=0)]
    sampled_rows: Annotated[int, Field(gt=0)]
    traced_draws: Annotated[int, Field(gt=0)]
    phase_min_arrivals: Annotated[int, Field(gt=0)]
    phase_law_factor: Positive


class StabilityPolicy(Strict):
    """T10 and the closure classes: the seeds they need, and below which share of its B+ bound a metric is noise."""

    required_seeds: tuple[Annotated[int, Field(ge=0)], ...]
    floor_share: Share


class Budget(Strict):
    """Seconds of wall time: GREEN up to `target_s`, AMBER up to `stretch_s`, RED above."""

    target_s: Positive
    stretch_s: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Budget:
        if self.target_s > self.stretch_s:
            raise ValueError(f"target_s {self.target_s} is above stretch_s {self.stretch_s}")
        return self


class RuntimePolicy(Strict):
    """Runtime budgets, binding at one scale; they are compared with the median of at least `min_runs` runs.

    `long_run_s`: a run that takes longer than this may stand for itself.
    """

    pinned_scale: str
    min_runs: Annotated[int, Field(gt=0)]
    long_run_s: Positive
    states: dict[Literal["S1", "S2", "S3", "S4", "S5"], Budget]
    lanes: dict[Literal["candidate", "witness", "certification"], Budget]


class ValidationPolicy(Strict):
    """S5 and the gates: every threshold, and how strictly it is enforced."""

    civil_time_enforcement: Literal["fail_closed", "warn_only"]
    civil_time: CivilTimeMeasurement
    calibration_sentinels: SentinelPolicy
    sampling: SamplingPlan
    failure_policy: FailurePolicy
    count_shape: CountShape
    audit: AuditMeasurement
    stability: StabilityPolicy
    runtime: RuntimePolicy
    gates: dict[str, GateThresholds]
