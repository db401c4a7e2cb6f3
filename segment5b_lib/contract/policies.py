"""The nine 5B policies as strict models: an unknown or missing key is an error, and nothing is coerced.

`POLICIES` maps the short name that commands use (`routing`) to the file id (`arrival_routing_policy_5B`).
The values are in `parameters/policies/`; a posture is a named set of changes to them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from segment5b_lib.identity import parameter_hash

POLICIES: Final[dict[str, str]] = {
    "time_grid": "time_grid_policy_5B",
    "grouping": "grouping_policy_5B",
    "lgcp": "arrival_lgcp_config_5B",
    "count": "arrival_count_config_5B",
    "placement": "arrival_time_placement_policy_5B",
    "routing": "arrival_routing_policy_5B",
    "rng": "arrival_rng_policy_5B",
    "validation": "validation_policy_5B",
    "bundle_layout": "bundle_layout_policy_5B",
}
"""Short name to file id, in file order."""

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
MemberName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.]*$")]
DemandClass = Literal[
    "office_hours",
    "consumer_daytime",
    "retail_daytime",
    "evening_weekend",
    "always_on_local",
    "online_24h",
    "online_bursty",
    "travel_hospitality",
    "fuel_convenience",
    "bills_utilities",
    "low_volume_tail",
]
ChannelGroup = Literal["card_present", "card_not_present", "mixed"]


class Strict(BaseModel):
    """A policy node: frozen, no unknown keys, no coercion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ByBand(Strict):
    """One number per scenario band."""

    baseline: Positive
    stress: Positive


class Bounds(Strict):
    """Closed interval [min, max]."""

    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class TimeGridPolicy(Strict):
    """S1: the bucket grid."""

    bucket_seconds: Annotated[int, Field(gt=0)]
    min_horizon_days: Annotated[int, Field(gt=0)]
    max_horizon_days: Annotated[int, Field(gt=0)]
    max_buckets: Annotated[int, Field(gt=0)]


class GroupTargets(Strict):
    """S1: the group shape that is aimed at; enforced from `enforce_from_series` series on."""

    min_groups: int
    max_groups: int
    min_median_members: Positive
    max_group_share: Share
    enforce_from_series: int


class GroupingPolicy(Strict):
    """S1: how series share a latent field."""

    zone_groups: Annotated[int, Field(gt=0, le=100)]
    hash_buckets: Annotated[int, Field(gt=0, le=100)]
    targets: GroupTargets


class ScaledByBand(Strict):
    """A per-band base, multiplied per demand class and clamped to [min, max]."""

    base: ByBand
    demand_class: dict[DemandClass, Positive]
    min: Positive
    max: Positive


class SigmaLaw(ScaledByBand):
    """S2: standard deviation of a group's latent field (log scale)."""

    channel_group: dict[ChannelGroup, Positive]
    virtual_multiplier: Positive


class ZoneTilt(Strict):
    """Exponential tilt p' ∝ p·exp(−eta·score) over a merchant's zones; `none` leaves p as it is."""

    mode: Literal["none", "exponential_tilt"]
    eta: NonNegative
    scores: dict[str, Share]

    @model_validator(mode="after")
    def _consistent(self) -> ZoneTilt:
        if self.mode == "none" and (self.eta != 0 or self.scores):
            raise ValueError("mode none takes eta 0 and no scores")
        return self


class LatentFloors(Strict):
    """S2: least variety that a latent field must show."""

    min_distinct_sigma: int
    median_length_buckets: Bounds
    stress_min_group_share: Share
    stress_sigma: Positive


class LgcpConfig(Strict):
    """S2: latent log-Gaussian field, its clip, and the zone mix."""

    mode: Literal["none", "log_gaussian_ou_v1", "log_gaussian_iid_v1"]
    sigma: SigmaLaw
    length_buckets: ScaledByBand
    factor_clip: Bounds
    mean_factor_tolerance: Positive
    lambda_max: Positive
    floors: LatentFloors
    zone_mix: ZoneTilt
    emit_latent_field: bool


class CountConfig(Strict):
    """S3: the count law."""

    law: Literal["nb2", "poisson"]
    kappa: ScaledByBand
    lambda_zero_eps: Positive
    max_count: Annotated[int, Field(gt=0)]


class PlacementPolicy(Strict):
    """S4: how local times are stored."""

    local_time_encoding: Literal["wall_clock", "utc_marked"]


class HybridPolicy(Strict):
    """S4: share of a hybrid merchant's arrivals that are virtual, and the bounds it must respect."""

    p_virtual_hybrid: Share
    bounds: Bounds

    @model_validator(mode="after")
    def _within_bounds(self) -> HybridPolicy:
        if not self.bounds.min <= self.p_virtual_hybrid <= self.bounds.max:
            raise ValueError(
                f"p_virtual_hybrid {self.p_virtual_hybrid} is outside [{self.bounds.min}, {self.bounds.max}]"
            )
        return self


class PhysicalRouter(Strict):
    """S4: which zone a physical arrival's site comes from."""

    zone_binding: Literal["group_weights", "row_zone"]


class FailClosedRules(Strict):
    """S4: what happens when a routing table has no answer. Only a missing site may become an anomaly."""

    site_missing_in_zone: Literal["error", "anomaly"]
    group_weights_missing: Literal["error"]
    edge_alias_mismatch: Literal["error"]
    settlement_missing: Literal["error"]
    zone_missing_in_cache: Literal["error"]
    routing_universe_mismatch: Literal["error"]


class RoutingPolicy(Strict):
    """S4: physical, hybrid and virtual routing."""

    physical_router: PhysicalRouter
    hybrid_policy: HybridPolicy
    concentration_temper: ZoneTilt
    horizon_guard: Literal["fail", "warn"]
    fail_closed_rules: FailClosedRules

    @model_validator(mode="after")
    def _temper_needs_group_weights(self) -> RoutingPolicy:
        bound_to_row = self.physical_router.zone_binding == "row_zone"
        if bound_to_row and self.concentration_temper.mode != "none":
            raise ValueError("concentration_temper is valid only with zone_binding group_weights")
        return self


class RngPolicy(Strict):
    """The random number law; the engine implements exactly one and refuses any other."""

    algorithm: Literal["philox2x64-10"]
    key_version: Literal["5B.rng.v2"]
    families: tuple[str, ...]


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
        """Whether the value lies within the bounds."""
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


class Sentinels(Strict):
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


class Stability(Strict):
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
    """Runtime budgets, binding at one scale; they are held against the median of at least `min_runs` runs.

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
    calibration_sentinels: Sentinels
    sampling: SamplingPlan
    failure_policy: FailurePolicy
    count_shape: CountShape
    audit: AuditMeasurement
    stability: Stability
    runtime: RuntimePolicy
    gates: dict[str, GateThresholds]


class BundleLayoutPolicy(Strict):
    """S5: names of the validation bundle's files; all but index and flag are members of its digest."""

    report: MemberName
    issue_table: MemberName
    gate_receipt: MemberName
    state_receipts: MemberName
    rng_totals: MemberName
    index: MemberName
    flag: MemberName

    @model_validator(mode="after")
    def _distinct(self) -> BundleLayoutPolicy:
        names = list(self.model_dump().values())
        if len(set(names)) != len(names):
            raise ValueError(f"two files of the bundle have one name: {', '.join(sorted(names))}")
        return self


class Policies(Strict):
    """All nine policies of one run."""

    time_grid: TimeGridPolicy
    grouping: GroupingPolicy
    lgcp: LgcpConfig
    count: CountConfig
    placement: PlacementPolicy
    routing: RoutingPolicy
    rng: RngPolicy
    validation: ValidationPolicy
    bundle_layout: BundleLayoutPolicy

    def document(self, name: str) -> dict[str, object]:
        """One policy as a JSON-ready mapping, by its short name."""
        node: BaseModel = getattr(self, name)
        return node.model_dump(mode="json", exclude_none=True)

    @cached_property
    def parameter_hash(self) -> str:
        """Identity of the whole set (contracts §1)."""
        return parameter_hash({file_id: self.document(name) for name, file_id in POLICIES.items()})
