"""R-S1 … R-S5 and the lanes: wall time against the plan's budgets (§3.4), which bind at the pinned scale.

Value: median seconds over repetitions. GREEN up to the target, AMBER up to the stretch, RED above; only GREEN passes.
Fewer than `min_runs` repetitions say nothing, unless one of them takes longer than `long_run_s`. Below the pinned
scale budgets do not apply. Population: runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from segment5b_lib.contract.validation_policy import Budget, Limit, RuntimePolicy
from segment5b_lib.contract.verdicts import (
    THRESHOLD_FILE,
    Bound,
    GateResult,
    Level,
    Measurement,
    not_measured,
    without_power,
)
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.table import gate
from segment5b_lib.store.runs import Run

RUNTIME_STATES: Final = ("S1", "S2", "S3", "S4", "S5")
LANES: Final = ("candidate", "witness", "certification")


def runtime_gate(name: str, seconds: Sequence[float], scale: str, policy: RuntimePolicy) -> GateResult:
    """The gate of a state (`S4`) or lane (`certification`); `seconds` has one wall time per repetition."""
    kind, budgets = ("states", policy.states) if name in RUNTIME_STATES else ("lanes", policy.lanes)
    budget: Budget = {str(key): value for key, value in budgets.items()}[name]
    limit, key = Limit(max=budget.target_s), f"runtime.{kind}.{name}.target_s"
    levels: tuple[Level, ...] = ("b", "bplus")
    bounds = [Bound(limit, THRESHOLD_FILE, key, level, one_number=True) for level in levels]
    measurement = _measure(name, seconds, scale, budget, policy)
    return gate(f"R-{name}").judged_by(measurement, "hard", bounds, f"{__name__}.runtime_gate")


def state_gates(runs: Sequence[Run]) -> tuple[GateResult, ...]:
    """The gates of all states over repetitions of one run: of each, the attempts that passed."""
    policy, scale = runs[0].policies.validation.runtime, runs[0].world.scale
    records = [run.last_records() for run in runs]
    return tuple(
        runtime_gate(
            state,
            [found[state].seconds for found in records if state in found and found[state].passed],
            scale,
            policy,
        )
        for state in RUNTIME_STATES
    )


def _measure(name: str, seconds: Sequence[float], scale: str, budget: Budget, policy: RuntimePolicy) -> Measurement:
    detail = _detail(seconds, budget)
    value = median(seconds) if seconds else None
    if scale != policy.pinned_scale:
        reason = f"budgets are pinned to the {policy.pinned_scale} scale, and this world is {scale}"
        return Measurement(value, len(seconds), "runs", detail, Verdict.NOT_APPLICABLE, reason)
    if value is None:
        return not_measured(f"no run has timed {name}", "runs")
    if len(seconds) < policy.min_runs and max(seconds) <= policy.long_run_s:
        return without_power(value, len(seconds), "runs", detail, f"{policy.min_runs} repetitions")
    return Measurement(value, len(seconds), "runs", detail)


def _detail(seconds: Sequence[float], budget: Budget) -> dict[str, Any]:
    """Bounds, and where there is a sample its colour and spread."""
    detail: dict[str, Any] = {"target_s": budget.target_s, "stretch_s": budget.stretch_s, "seconds": list(seconds)}
    if seconds:
        value = median(seconds)
        colour = "GREEN" if value <= budget.target_s else "AMBER" if value <= budget.stretch_s else "RED"
        detail |= {"colour": colour, "spread_s": max(seconds) - min(seconds)}
    return detail
