"""What calibration aims at: the policy's own thresholds of T6 and T7, with a margin for what cannot be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from segment5b_lib.contract.validation_policy import Limit, ValidationPolicy
from segment5b_lib.contract.verdicts import Level
from segment5b_lib.errors import PolicyError

T6_MARGIN: Final = 0.01
T7_MARGIN: Final = 0.005
"""Margin between what is aimed at and what is allowed, as shares: P2 of the plan."""


@dataclass(frozen=True)
class Target:
    """Bands of T6 and T7, shares of all arrivals, inclusive.

    `t6` and [`t7_low`, `t7_high`] are aimed at; `t6_limit`, `t7_limits` are what the gates allow. `t1_limit` is a
    rail: calibration moves no clock, and no candidate counts whose clocks are wrong.
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
    limits: list[Limit] = [getattr(policy.gates[gate], level) for level in levels]
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
