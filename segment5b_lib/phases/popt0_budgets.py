"""POPT.0's budgets: what the policy allows each state and lane, and the measured and published figures it rests on."""

from __future__ import annotations

from typing import Final

from segment5b_lib.contract.words import STATES
from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.phases.popt_budgets import below_scale, budgets_of
from segment5b_lib.phases.popt_budgets import state_budgets as allowed
from segment5b_lib.phases.popt_figures import load_figures
from segment5b_lib.phases.popt_timing import Rounded, Sample, Timing

LANE_SEEDS: Final = {"candidate": 1, "witness": 2, "certification": 4}
"""How many seeds each lane runs."""


class StateBudget(Node):
    """Seconds that a state may take: target and stretch, what was measured here, what had been published."""

    state: str
    target_s: Rounded
    stretch_s: Rounded
    measured_s: Rounded | None
    measured_runs: int
    published_s: list[float]
    applies: bool
    rationale: str


class LaneBudget(Node):
    """Seconds that a lane of some seeds may take; measured: S0 to S5 of the baseline, times the seeds."""

    lane: str
    seeds: int
    budget_s: Rounded
    measured_s: Rounded | None
    applies: bool
    rationale: str


def state_budgets(timing: Timing) -> list[StateBudget]:
    """Budgets of S1 to S5."""
    figures, run = load_figures(), timing.run
    lines = []
    for state, budget in allowed(run).items():
        sample, published = timing.state(state), figures.published(state)
        lines.append(
            StateBudget(
                state=state,
                target_s=budget.target_s,
                stretch_s=budget.stretch_s,
                measured_s=sample.median if sample.n else None,
                measured_runs=sample.n,
                published_s=published,
                applies=not below_scale(run),
                rationale=_rationale(sample, published, figures.scale, budget.target_s, below_scale(run)),
            )
        )
    return lines


def _rationale(sample: Sample, published: list[float], scale: str, target: float, reason: str) -> str:
    rests = f"published {min(published):g} to {max(published):g} s at the {scale} scale" if published else "unpublished"
    if reason or not sample.n:
        return f"{rests}; measured here {sample.text}"
    stands = "confirmed" if sample.median <= target else f"{sample.median / target:.1f} × over"
    return f"{rests}; measured here {sample.text}: {stands}"


def lane_budgets(timing: Timing) -> list[LaneBudget]:
    """Budgets of the candidate, witness and certification lanes."""
    sample, reason = timing.together(STATES), below_scale(timing.run)
    return [
        LaneBudget(
            lane=lane,
            seeds=LANE_SEEDS[lane],
            budget_s=budget.target_s,
            measured_s=sample.median * LANE_SEEDS[lane] if sample.n else None,
            applies=not reason,
            rationale=f"{LANE_SEEDS[lane]} × S0 to S5 of the baseline, {sample.text}",
        )
        for lane, budget in budgets_of(timing.run).lanes.items()
    ]
