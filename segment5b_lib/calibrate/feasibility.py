"""What calibration aims at, and whether the segment's own knobs can reach it, with the figures that prove it.

The target is the policy's own thresholds of T6 and T7, with a margin for what cannot be predicted.
T7 is linear in p_virtual_hybrid, between its bounds; without hybrid merchants nothing in this segment moves it. T6 is
bounded from below by a linear programme over everything that a zone mix could do (`floor`), under `row_zone`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from segment5b_lib.calibrate.floor import floor_of
from segment5b_lib.calibrate.mix import Volumes, row_zone_mix, volumes
from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.contract.policies import HybridPolicy, Policies
from segment5b_lib.contract.validation_policy import Limit, ValidationPolicy
from segment5b_lib.contract.verdicts import Level, thresholds_of
from segment5b_lib.errors import PolicyError

REACHABLE: Final = "reachable"
BLOCKED: Final = "locally_blocked"
T6_MARGIN: Final = 0.01
T7_MARGIN: Final = 0.005
"""Margin between what is aimed at and what is allowed, as shares: P2 of the plan."""


@dataclass(frozen=True)
class Target:
    """Bands of T6 and T7, shares of all arrivals, inclusive.

    `t6` and [`t7_low`, `t7_high`] are aimed at; `t6_limit`, `t7_limits` are what the gates allow. `t1_limit` is
    only checked: calibration moves no clock, and no candidate counts whose clocks are wrong.
    """

    level: Level
    t6: float
    t6_limit: float
    t7_low: float
    t7_high: float
    t7_limits: tuple[float, float]
    t1_limit: float

    def document(self) -> dict[str, object]:
        return {
            "level": self.level,
            "T6": {"aimed_at": self.t6, "allowed": self.t6_limit},
            "T7": {"aimed_at": [self.t7_low, self.t7_high], "allowed": list(self.t7_limits)},
        }


def target_of(policy: ValidationPolicy, level: Level) -> Target:
    """The target of a level; B+ of a gate holds only where B does too, so T7 must lie in both bands.

    Raises
    ------
    PolicyError : ``5B.CALIBRATE.NO_BAND`` where the policy leaves no band for a gate
    """
    levels: tuple[Level, ...] = ("b",) if level == "b" else ("b", "bplus")
    _, t6_limit = _band(policy, "T6", levels)
    t7_limits = _band(policy, "T7", levels)
    low, high = t7_limits[0] + T7_MARGIN, t7_limits[1] - T7_MARGIN
    _, t1_limit = _band(policy, "T1", levels)
    return Target(
        level, round(t6_limit - T6_MARGIN, 12), t6_limit, round(low, 12), round(high, 12), t7_limits, t1_limit
    )


def _band(policy: ValidationPolicy, gate: str, levels: tuple[Level, ...]) -> tuple[float, float]:
    limits: list[Limit] = [getattr(thresholds_of(policy, gate), level) for level in levels]
    low = max([0.0, *(limit.min for limit in limits if limit.min is not None)])
    high = min([1.0, *(limit.max for limit in limits if limit.max is not None)])
    margin = {"T6": T6_MARGIN, "T7": 2 * T7_MARGIN}.get(gate, 0.0)
    if high - low < margin:
        raise PolicyError(
            "5B.CALIBRATE.NO_BAND",
            f"the policy leaves no band to aim {gate} at",
            where=f"validation_policy_5B, key gates.{gate}, levels {' and '.join(levels)}",
            expected=f"at least {margin:g} between the bounds",
            found=f"[{low:g}, {high:g}]",
        )
    return low, high


@dataclass(frozen=True)
class Reachability:
    """One gate: can it be reached, what was aimed at, and the proof; `owner` is who must move where it cannot."""

    gate: str
    verdict: Literal["reachable", "locally_blocked"]
    statement: str
    owner: str
    proof: dict[str, object]

    @property
    def reachable(self) -> bool:
        return self.verdict == REACHABLE


def feasibility(predictor: Predictor, policies: Policies, target: Target) -> tuple[Reachability, Reachability]:
    """Verdicts of T7 and T6, in this order: T6 is judged over the hybrid shares that T7 admits."""
    own = volumes(predictor.demands(policies), predictor.tables)
    hybrid = policies.routing.hybrid_policy
    shares = admissible(own, hybrid, target)
    return _online(own, hybrid, target, shares), _concentration(predictor, policies, target, shares)


def admissible(own: Volumes, hybrid: HybridPolicy, target: Target) -> tuple[float, float] | None:
    """Hybrid shares [low, high] within their bounds for which T7 is expected in its band; None if there are none."""
    if own.hybrid == 0:
        share = hybrid.p_virtual_hybrid
        return (share, share) if target.t7_low <= own.virtual_only <= target.t7_high else None
    low = max(hybrid.bounds.min, (target.t7_low - own.virtual_only) / own.hybrid)
    high = min(hybrid.bounds.max, (target.t7_high - own.virtual_only) / own.hybrid)
    return (low, high) if low <= high else None


def _online(own: Volumes, hybrid: HybridPolicy, target: Target, shares: tuple[float, float] | None) -> Reachability:
    lowest, highest = own.online(hybrid.bounds.min), own.online(hybrid.bounds.max)
    wanted = f"[{target.t7_low:.1%}, {target.t7_high:.1%}]"
    if own.hybrid == 0:
        statement = f"no merchant is hybrid, so that T7 stays at {own.virtual_only:.2%}; wanted is {wanted}"
    else:
        statement = (
            f"p_virtual_hybrid within its bounds gives T7 from {lowest:.2%} to {highest:.2%}; wanted is {wanted}"
        )
    proof: dict[str, object] = {
        "virtual_only_share": own.virtual_only,
        "hybrid_merchants_share": own.hybrid,
        "bounds": [hybrid.bounds.min, hybrid.bounds.max],
        "t7_at_bounds": [lowest, highest],
        "admissible": None if shares is None else list(shares),
    }
    return Reachability("T7", REACHABLE if shares else BLOCKED, statement, "S4 routing" if shares else "3B", proof)


def _concentration(
    predictor: Predictor, policies: Policies, target: Target, shares: tuple[float, float] | None
) -> Reachability:
    share = policies.routing.hybrid_policy.p_virtual_hybrid
    low, high = shares or (share, share)
    demands, tables = predictor.demands(policies), predictor.tables
    mixes = [row_zone_mix(demands, tables, p) for p in (low, high)]
    floor = floor_of(mixes[0], mixes[1], tables.zones)
    reachable = floor.share < target.t6
    statement = (
        f"under row_zone T6 is {floor.as_it_is:.2%} as it is and at least {floor.bound:.2%} however the merchants' "
        f"arrivals are allocated among their own zones; wanted is at most {target.t6:.1%}"
    )
    proof = {**floor.document(), "hybrid_share": [low, high]}
    return Reachability(
        "T6", REACHABLE if reachable else BLOCKED, statement, "S2 zone mix" if reachable else "3B", proof
    )
