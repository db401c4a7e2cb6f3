"""Runtime budgets: what the run's validation policy allows, and whether it applies at the run's scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from segment5b_lib.contract.validation_policy import Budget, RuntimePolicy
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.phase import item, not_applicable
from segment5b_lib.phases.popt_timing import Sample
from segment5b_lib.store.runs import Run


def budgets_of(run: Run) -> RuntimePolicy:
    """The budgets that a run was made with."""
    return run.policies.validation.runtime


def state_budgets(run: Run) -> Mapping[str, Budget]:
    """Budgets by state."""
    return dict(budgets_of(run).states.items())


def budget_lines(run: Run) -> pl.DataFrame:
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
