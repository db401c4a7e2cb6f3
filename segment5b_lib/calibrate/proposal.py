"""The candidate that calculation proposes: upstream settings where a proof asks for them, hybrid share, zone mix.

The zone mix is solved on the surface, which no seed changes, and then checked on λ_realised of every required seed:
where the worst of them would measure beyond the limit with three standard errors, the aim is lowered by as much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

from segment5b_lib.calibrate.feasibility import Reachability, Target, admissible, feasibility, target_of
from segment5b_lib.calibrate.mix import row_zone_mix, volumes
from segment5b_lib.calibrate.prediction import Estimate, Prediction
from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.calibrate.sensitivity import HYBRID_SHARE, NO_TILT, TEMPER, ZONE_BINDING, ZONE_MIX, channel_rules
from segment5b_lib.calibrate.tables import Changes
from segment5b_lib.calibrate.zone_tilt import Solution, solve_tilt
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.verdicts import Level
from segment5b_lib.errors import GateRefusal
from segment5b_lib.store.postures import with_changes
from segment5b_lib.store.runs import Run

_STANDARD_ERRORS: Final = 3
_ROUNDS: Final = 6
_OVERSHOOT: Final = 1.2
"""How much further than a seed is off the aim is lowered: the zones that tie change as it is."""
_NOTCH: Final = 100
"""Hybrid shares are set in hundredths."""


@dataclass(frozen=True)
class Proposal:
    """What to change, why, and what it is predicted to give by seed.

    `local` are the verdicts of T7 and T6 in the run's own world, `verdicts` those with the upstream settings
    `reopened`, which are empty where the segment's own knobs reach the target. Without a candidate there are no
    `policies` and no `solution`, and `reason` says why.
    """

    run: Run
    target: Target
    local: tuple[Reachability, Reachability]
    reopened: Changes
    verdicts: tuple[Reachability, Reachability]
    policies: Policies | None
    solution: Solution | None
    predicted: Mapping[int, Prediction]
    reason: str

    @property
    def reached(self) -> bool:
        """Whether every seed is predicted within the limits, with three standard errors to spare."""
        return self.policies is not None and not self.reason

    def document(self) -> dict[str, object]:
        """The proposal as a JSON-ready mapping; the policies are given as changes elsewhere."""
        return {
            "run_id": self.run.run_id,
            "target": self.target.document(),
            "reached": self.reached,
            "reason": self.reason,
            "local_verdicts": [asdict(verdict) for verdict in self.local],
            "reopened": {segment: dict(own) for segment, own in self.reopened.items()},
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "zone_mix": self.solution.document() if self.solution else None,
            "predicted": {str(seed): prediction.document() for seed, prediction in self.predicted.items()},
        }


class _Candidate(NamedTuple):
    policies: Policies | None
    solution: Solution | None
    predicted: Mapping[int, Prediction]
    reason: str


def propose(
    run: Run, level: Level = "bplus", *, seeds: Sequence[int] | None = None, predictor: Predictor | None = None
) -> Proposal:
    """The least change that is predicted to bring T6 and T7 into their bands on every seed (the policy's own set).

    The run's own policies are kept but for `zone_binding` (`row_zone`), the hybrid share and the zone mix. Segments
    are reopened only where the verdicts prove that no local knob will do.
    """
    start = predictor or Predictor(run)
    policies = with_changes(run.policies, {ZONE_BINDING: "row_zone", TEMPER: NO_TILT, ZONE_MIX: NO_TILT})
    target = target_of(run.policies.validation, level)
    local = feasibility(start, policies, target)
    tried: list[tuple[Changes, tuple[Reachability, Reachability]]] = []
    # The channel rules of 3B only after a proof that nothing upstream is not enough.
    blocked = not all(verdict.reachable for verdict in local)
    for changes in [{}, *(channel_rules(run.world) if blocked else ())]:
        chosen = start.reopen(changes) if changes else start
        verdicts = feasibility(chosen, policies, target) if changes else local
        if all(verdict.reachable for verdict in verdicts):
            asked = run.policies.validation.stability.required_seeds if seeds is None else seeds
            return Proposal(run, target, local, changes, verdicts, *_candidate(chosen, policies, target, asked))
        tried.append((changes, verdicts))
    changes, verdicts = max(tried, key=lambda setting: [verdict.reachable for verdict in setting[1]])
    return Proposal(run, target, local, changes, verdicts, None, None, {}, _blocked_reason(verdicts))


def _blocked_reason(verdicts: tuple[Reachability, Reachability]) -> str:
    """What stays out of reach at the best upstream setting, with its figures."""
    missed = "; ".join(f"{verdict.gate}: {verdict.statement}" for verdict in verdicts if not verdict.reachable)
    return (
        f"{missed}. No change of one of 3B's channel rules does better, and in which zones a merchant trades comes "
        "from 3A and 5A, which may not be reopened"
    )


def _candidate(chosen: Predictor, policies: Policies, target: Target, seeds: Sequence[int]) -> _Candidate:
    """Solve, predict for every seed, and aim lower until the worst seed is where it was aimed at."""
    share = _hybrid_share(chosen, policies, target)
    policies = with_changes(policies, {HYBRID_SHARE: share})
    mix = row_zone_mix(chosen.demands(policies), chosen.tables, share)
    by_seed = {seed: chosen.with_seed(seed) for seed in seeds}
    candidate, aim = _Candidate(None, None, {}, ""), target.t6
    for _ in range(_ROUNDS):
        try:
            solution = solve_tilt(mix, aim, chosen.tables.zones)
        except GateRefusal as refusal:
            reason = candidate.reason or f"{refusal.what}: {refusal.found}"
            return candidate._replace(reason=reason)
        tilted = with_changes(policies, {ZONE_MIX: solution.tilt.model_dump()})
        predicted = {seed: predictor.predict(tilted) for seed, predictor in by_seed.items()}
        candidate = _Candidate(tilted, solution, predicted, _first_missed_band(predicted, target))
        excess = max(_excess(prediction.gates["T6"], target) for prediction in predicted.values())
        if excess <= 0:
            break
        aim -= _OVERSHOOT * excess
    return candidate


def _hybrid_share(chosen: Predictor, policies: Policies, target: Target) -> float:
    """The share that there is where it will do, else the one that puts T7 in the middle of its band."""
    own, hybrid = volumes(chosen.demands(policies), chosen.tables), policies.routing.hybrid_policy
    bounds = admissible(own, hybrid, target)
    assert bounds is not None, "T7 is reachable"
    low, high = bounds
    margin = (high - low) / 4
    if own.hybrid == 0 or low + margin <= hybrid.p_virtual_hybrid <= high - margin:
        return hybrid.p_virtual_hybrid
    middle_of_band = (target.t7_low + target.t7_high) / 2
    middle = min(max((middle_of_band - own.virtual_only) / own.hybrid, low), high)
    notched = round(middle * _NOTCH) / _NOTCH
    return notched if low <= notched <= high else middle


def _excess(t6: Estimate, target: Target) -> float:
    """How far T6 is above what was aimed at, or, with three standard errors, above what is allowed."""
    return max(t6.value - target.t6, t6.value + _STANDARD_ERRORS * t6.standard_error - target.t6_limit)


def _first_missed_band(predicted: Mapping[int, Prediction], target: Target) -> str:
    """The first seed that would miss a band, in words; empty where none does."""
    low, high = target.t7_limits
    for seed, prediction in predicted.items():
        t1, t6, t7 = (prediction.gates[gate] for gate in ("T1", "T6", "T7"))
        if t1.value > target.t1_limit:
            return f"on seed {seed} T1 is predicted at {_text(t1)}: segment 2A must be reopened first"
        if _excess(t6, target) > 0:
            return f"on seed {seed} T6 is predicted at {_text(t6)}, beyond {target.t6:.1%}"
        spread = _STANDARD_ERRORS * t7.standard_error
        inside = target.t7_low <= t7.value <= target.t7_high and low <= t7.value - spread and t7.value + spread <= high
        if not inside:
            return f"on seed {seed} T7 is predicted at {_text(t7)}, outside {target.t7_low:.1%} to {target.t7_high:.1%}"
    return ""


def _text(estimate: Estimate) -> str:
    return f"{estimate.value:.2%} ± {estimate.standard_error:.2%}"
