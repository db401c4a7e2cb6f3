"""Runtime budgets: what a run's validation policy allows, whether it applies at this scale, on what figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from segment5b_lib.contract.validation_policy import Budget, RuntimePolicy
from segment5b_lib.contract.words import STATES
from segment5b_lib.phases.engine.envelope import DodItem, Node
from segment5b_lib.phases.engine.phase import item, not_applicable
from segment5b_lib.phases.popt_figures import load_figures
from segment5b_lib.phases.popt_timing import Rounded, Sample, Timing
from segment5b_lib.store.runs import Run

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


def budgets_of(run: Run) -> RuntimePolicy:
    """The budgets that a run was made with."""
    return run.policies.validation.runtime


def state_budgets(run: Run) -> Mapping[str, Budget]:
    """Budgets by state."""
    return dict(budgets_of(run).states.items())


def budget_frame(run: Run) -> pl.DataFrame:
    """Budgets for a chart: `state`, `budget` (`target`, `stretch`), `seconds`; empty where they do not apply."""
    rows = [
        (state, name, seconds)
        for state, budget in ({} if below_scale(run) else state_budgets(run)).items()
        for name, seconds in (("target", budget.target_s), ("stretch", budget.stretch_s))
    ]
    return pl.DataFrame(rows, schema={"state": pl.String, "budget": pl.String, "seconds": pl.Float64}, orient="row")


def below_scale(run: Run) -> str:
    """Why budgets do not apply to a run; empty where they do."""
    pinned, scale = budgets_of(run).pinned_scale, run.world.scale
    return "" if scale == pinned else f"budgets are pinned to the {pinned} scale, and this world is {scale}"


def state_budget(run: Run, state: str) -> float | None:
    """Target seconds of a state; None where budgets do not apply."""
    return None if below_scale(run) else state_budgets(run)[state].target_s


def too_few(run: Run, samples: Sequence[tuple[str, Sample]]) -> list[str]:
    """Samples, by role, that are too small to say anything: less than `min_runs` runs, and no single long one."""
    law = budgets_of(run)
    return [
        f"{role} {sample.name}: {sample.text}; it takes {law.min_runs} runs: segment5b run --repeat {law.min_runs}"
        for role, sample in samples
        if sample.n < law.min_runs and not (sample.n and sample.whole_run_s > law.long_run_s)
    ]


def budget_item(name: str, text: str, run: Run, bounds: Sequence[tuple[Sample, float]]) -> DodItem:
    """Samples within their budgets (seconds), by their medians; not applicable below the pinned scale."""
    if reason := below_scale(run):
        return not_applicable(name, text, reason)
    few = too_few(run, [("candidate", sample) for sample, _ in bounds])
    over = [f"{s.name}: {s.text}, budget {bound:g} s" for s, bound in bounds if s.n and s.median > bound]
    return item(name, text, few + over, "; ".join(f"{s.text} of {bound:g} s for {s.name}" for s, bound in bounds))


def state_budget_lines(timing: Timing) -> list[StateBudget]:
    """Budgets of S1 to S5, each with the measured and the published figures that it is based on."""
    figures, reason = load_figures(), below_scale(timing.run)
    lines = []
    for state, budget in state_budgets(timing.run).items():
        sample, published = timing.state(state), figures.published(state)
        lines.append(
            StateBudget(
                state=state,
                target_s=budget.target_s,
                stretch_s=budget.stretch_s,
                measured_s=sample.median if sample.n else None,
                measured_runs=sample.n,
                published_s=published,
                applies=not reason,
                rationale=_rationale(sample, published, figures.scale, budget.target_s, reason),
            )
        )
    return lines


def _rationale(sample: Sample, published: list[float], scale: str, target: float, reason: str) -> str:
    rests = f"published {min(published):g} to {max(published):g} s at the {scale} scale" if published else "unpublished"
    if reason or not sample.n:
        return f"{rests}; measured here {sample.text}"
    stands = "confirmed" if sample.median <= target else f"{sample.median / target:.1f} × over"
    return f"{rests}; measured here {sample.text}: {stands}"


def lane_budget_lines(timing: Timing) -> list[LaneBudget]:
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
