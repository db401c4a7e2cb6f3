"""The knobs of calibration and their leverage: what each does to T6 and T7 alone, predicted, before any run.

Knobs are policy keys of the segment, and upstream 3B's channel rules and 2B's group mix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import polars as pl

from segment5b_lib.calibrate.feasibility import Target
from segment5b_lib.calibrate.mix import Mix, group_weight_mix, row_zone_mix
from segment5b_lib.calibrate.prediction import Prediction
from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.calibrate.tables import Changes
from segment5b_lib.calibrate.zone_tilt import solve_tilt
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.errors import GateRefusal
from segment5b_lib.store.postures import with_changes
from segment5b_lib.store.worlds import World
from segment5b_lib.world.reopen import world_spec

HYBRID_SHARE: Final = "routing.hybrid_policy.p_virtual_hybrid"
ZONE_BINDING: Final = "routing.physical_router.zone_binding"
ZONE_MIX: Final = "lgcp.zone_mix"
TEMPER: Final = "routing.concentration_temper"
NO_TILT: Final[dict[str, object]] = {"mode": "none", "eta": 0.0, "scores": {}}
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


def settings_of(knobs: Mapping[str, object]) -> list[str]:
    return [f"{key}={value}" for key, value in knobs.items()]


class Leverage(NamedTuple):
    """One knob moved one step while the others stay.

    `step` is how far, in the knob's own unit (None where it has none: a rule, a mode); shares `t6`, `t7` have their
    standard errors next to them, deltas are against the same `binding` without the step. A row without figures says
    in `note` why there is nothing to predict.
    """

    owner: str
    knob: str
    setting: str
    binding: str
    step: float | None = None
    t6: float | None = None
    t6_se: float | None = None
    t7: float | None = None
    t7_se: float | None = None
    delta_t6: float | None = None
    delta_t7: float | None = None
    note: str = ""


@dataclass(frozen=True)
class _Start:
    """Where the steps start from: policies, and what they are predicted to give."""

    predictor: Predictor
    policies: Policies
    prediction: Prediction

    @property
    def binding(self) -> str:
        return self.policies.routing.physical_router.zone_binding

    def row(
        self, owner: str, knob: str, setting: str, then: Prediction, *, step: float | None = None, note: str = ""
    ) -> Leverage:
        before, after = self.prediction.gates, then.gates
        figures: dict[str, float] = {}
        for gate in ("T6", "T7"):
            value, error = after[gate].value, after[gate].standard_error
            figures |= {gate: value, f"{gate}_se": error, f"delta_{gate}": value - before[gate].value}
        named = {name.lower(): figure for name, figure in figures.items()}
        return Leverage(owner, knob, setting, self.binding, step, **named, note=note)


def sensitivity(predictor: Predictor, policies: Policies, target: Target) -> pl.DataFrame:
    """One row per knob and step: columns as `Leverage`, and `t6_per_unit`, `t7_per_unit`.

    Everything is asked under `row_zone`, the remediated binding; the knobs that act under `group_weights` alone
    (S4's temper, 2B's group mix) are asked there, as a sensitivity. `policies` are taken without their own tilts.
    """
    untilted = {ZONE_MIX: NO_TILT, TEMPER: NO_TILT}
    starts = {}
    for binding in ("row_zone", "group_weights"):
        bound = with_changes(policies, {**untilted, ZONE_BINDING: binding})
        starts[binding] = _Start(predictor, bound, predictor.predict(bound))
    rows = [row._asdict() for row in _rows(starts["row_zone"], starts["group_weights"], target)]
    frame = pl.DataFrame(rows, schema_overrides={"step": pl.Float64}, infer_schema_length=None)
    per_unit = {f"{gate}_per_unit": pl.col(f"delta_{gate}") / pl.col("step") for gate in ("t6", "t7")}
    return frame.with_columns(**per_unit)


def _rows(row_zone: _Start, group_weights: _Start, target: Target) -> Iterator[Leverage]:
    predictor, policies = row_zone.predictor, row_zone.policies
    yield row_zone.row("S4 routing", ZONE_BINDING, "row_zone", row_zone.prediction, note="where the steps start")
    elsewhere = "arrivals lose their zone's own rhythm"
    yield row_zone.row("S4 routing", ZONE_BINDING, "group_weights", group_weights.prediction, note=elsewhere)
    hybrid = policies.routing.hybrid_policy
    for share in (hybrid.bounds.min, hybrid.bounds.max):
        then = predictor.predict(with_changes(policies, {HYBRID_SHARE: share}))
        step = share - hybrid.p_virtual_hybrid
        yield row_zone.row("S4 routing", HYBRID_SHARE, f"{share:g}", then, step=step or None)
    mix = row_zone_mix(predictor.demands(policies), predictor.tables, hybrid.p_virtual_hybrid)
    yield from _tilts(row_zone, "S2 zone mix", ZONE_MIX, mix, target)
    mix = group_weight_mix(predictor.demands(policies), predictor.tables, group_weights.policies)
    yield from _tilts(group_weights, "S4 routing", TEMPER, mix, target)
    setting = described(GROUP_MIX)
    yield row_zone.row("2B", "group mix", setting, row_zone.prediction, note="row_zone reads no weights")
    yield group_weights.row("2B", "group mix", setting, predictor.reopen(GROUP_MIX).predict(group_weights.policies))
    for changes in channel_rules(predictor.run.world):
        yield row_zone.row("3B", "channel rules", described(changes), predictor.reopen(changes).predict(policies))


def _tilts(start: _Start, owner: str, knob: str, mix: Mix, target: Target) -> Iterator[Leverage]:
    """The least distorting tilts that reach the limit and, beyond it, what is aimed at."""
    for wanted in (target.t6_limit, target.t6):
        setting = f"T6 at {wanted:.1%}"
        try:
            solution = solve_tilt(mix, wanted, start.predictor.tables.zones)
        except GateRefusal as refusal:
            yield Leverage(owner, knob, setting, start.binding, note=f"{refusal.what}: {refusal.found}")
            continue
        then = start.predictor.predict(with_changes(start.policies, {knob: solution.tilt.model_dump()}))
        cost = f"eta {solution.tilt.eta:.4g}, {solution.distortion:.4g} nats per arrival moved"
        yield start.row(owner, knob, setting, then, step=solution.tilt.eta or None, note=cost)
