"""The knobs of calibration: the segment's own policy keys, and upstream 3B's channel rules and 2B's group mix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from segment5b_lib.calibrate.tables import Changes
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.store.worlds import World
from segment5b_lib.world.reopen import world_spec

HYBRID_SHARE: Final = "routing.hybrid_policy.p_virtual_hybrid"
ZONE_BINDING: Final = "routing.physical_router.zone_binding"
ZONE_MIX: Final = "lgcp.zone_mix"
TEMPER: Final = "routing.concentration_temper"
NO_TILT: Final[dict[str, Any]] = {"mode": "none", "eta": 0.0, "scores": {}}
GROUP_MIX: Final[Changes] = {"2B": {"soft_cap": 0.68, "strength": 0.52, "entropy_floor": 0.62}}
"""2B's reopened values: zone weights are kept further from collapsing into one zone."""


def channel_rules(world: World) -> Iterator[Changes]:
    """3B with one of its rules that serve merchants in person made hybrid, then online, in the order of the rules."""
    for rule in world_spec(world).upstream.s3B.rules:
        if rule.mode is VirtualMode.NON_VIRTUAL:
            for mode in (VirtualMode.HYBRID, VirtualMode.VIRTUAL_ONLY):
                yield {"3B": {f"rules.{rule.rule_id}.mode": mode.value}}


def described(changes: Changes) -> str:
    """Changes in one line: segment, then its knobs as `segment5b world reopen --set` takes them."""
    return "; ".join(f"{segment} {' '.join(settings_of(own))}" for segment, own in changes.items())


def settings_of(knobs: Mapping[str, Any]) -> list[str]:
    """`key=value` of some knobs."""
    return [f"{key}={value}" for key, value in knobs.items()]
