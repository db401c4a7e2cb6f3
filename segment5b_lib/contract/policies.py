"""The nine 5B policies as strict models: an unknown or missing key is an error, and nothing is coerced.

`POLICIES` maps the short name that commands use (`routing`) to the file id (`arrival_routing_policy_5B`).
The values are in `parameters/policies/`; a posture is a named set of changes to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, model_validator

from segment5b_lib.contract.strict import NonNegative, Positive, Share, Strict
from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.errors import PolicyError
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

    @property
    def bound_to_row(self) -> bool:
        """Whether a physical arrival stays in the zone of its row, or is sent to one drawn by group weights."""
        return self.physical_router.zone_binding == "row_zone"

    @model_validator(mode="after")
    def _temper_needs_group_weights(self) -> RoutingPolicy:
        if self.bound_to_row and self.concentration_temper.mode != "none":
            raise ValueError("concentration_temper is valid only with zone_binding group_weights")
        return self


class RngPolicy(Strict):
    """The random number law; the engine implements exactly one and refuses any other."""

    algorithm: Literal["philox2x64-10"]
    key_version: Literal["5B.rng.v2"]
    families: tuple[str, ...]


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


_REQUIRED: Final = object()
"""In the place of a default: the key must be there."""


def value_at(document: Mapping[str, Any], key: str, default: object = _REQUIRED, *, where: str = "") -> Any:
    """The value under a dotted key of nested mappings; the document itself under the empty key.

    Raises
    ------
    PolicyError : ``5B.POLICY.UNKNOWN_KEY`` where there is no such key and no default was given.
    """
    node: Any = document
    for part in key.split(".") if key else ():
        if not isinstance(node, Mapping) or part not in node:
            if default is not _REQUIRED:
                return default
            raise PolicyError(
                "5B.POLICY.UNKNOWN_KEY",
                f"there is no key {key!r}",
                where=where,
                expected=f"{part!r} to be there",
                found=", ".join(node) if isinstance(node, Mapping) else node,
            )
        node = node[part]
    return node


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
        node: BaseModel = getattr(self, name)
        return node.model_dump(mode="json", exclude_none=True)

    def at(self, name: str, key: str, default: object = _REQUIRED) -> object:
        """The value under a dotted key of a policy: ``at("validation", "gates.T6.b.max")``. See `value_at`."""
        return value_at(self.document(name), key, default, where=POLICIES[name])

    @cached_property
    def parameter_hash(self) -> str:
        """Identity of the whole set (contracts §1)."""
        return parameter_hash({file_id: self.document(name) for name, file_id in POLICIES.items()})
