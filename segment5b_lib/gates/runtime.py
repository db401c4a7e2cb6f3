"""R-S1 … R-S5 and the lanes: wall time against the plan's budgets (§3.4), which bind at the pinned scale.

Value: median seconds over repetitions. GREEN up to the target, AMBER up to the stretch, RED above; only GREEN passes.
Fewer than `min_runs` repetitions say nothing, unless one of them takes longer than `long_run_s`. Below the pinned
scale budgets do not apply. Population: runs.

Thresholds: validation_policy_5B.yaml, runtime.states, runtime.lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from segment5b_lib.contract.validation_policy import Budget, Limit, RuntimePolicy
from segment5b_lib.contract.verdicts import (
    LEVELS,
    THRESHOLD_FILE,
    Bound,
    GateResult,
    Measurement,
    not_measured,
    without_power,
)
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.gate import Gate, Group
from segment5b_lib.store.runs import Run

RUNTIME_STATES: Final = ("S1", "S2", "S3", "S4", "S5")
SEED_SETS: Final = ("candidate", "witness", "certification")


def runtime_gate(name: str, seconds: Sequence[float], scale: str, policy: RuntimePolicy) -> GateResult:
    """The gate of a state (`S4`) or lane (`certification`); `seconds` has one wall time per repetition."""
    entry = next(entry for entry in GATES if entry.gate_id == f"R-{name}")
    budgets = policy.states if name in RUNTIME_STATES else policy.lanes
    budget: Budget = {str(key): value for key, value in budgets.items()}[name]
    limit, key = Limit(max=budget.target_s), f"{entry.threshold_key}.target_s"
    bounds = [Bound(limit, THRESHOLD_FILE, key, level, one_number=True) for level in LEVELS]
    measurement = _measure(name, seconds, scale, budget, policy)
    return entry.judged_by(measurement, "hard", bounds, f"{__name__}.runtime_gate")


def state_gates(runs: Sequence[Run]) -> tuple[GateResult, ...]:
    """The gates of all states over repetitions of one run: of each, the attempts that passed."""
    policy, scale = runs[0].policies.validation.runtime, runs[0].world.scale
    records = [run.last_records() for run in runs]
    seconds = {
        state: [last[state].seconds for last in records if state in last and last[state].passed]
        for state in RUNTIME_STATES
    }
    return tuple(runtime_gate(state, times, scale, policy) for state, times in seconds.items())


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


def _runtime_gate(name: str, kind: str, formula: str, owner: str, power: str) -> Gate:
    title, cause = f"Runtime of {name}", "the state takes longer than its budget"
    if kind == "lanes":
        title, cause = (
            f"Runtime of the {name} lane",
            "the lane takes longer than its budget, and S4 is its largest part",
        )
    return Gate(
        gate_id=f"R-{name}",
        title=title,
        unit="s",
        formula=f"{formula}; GREEN up to the target",
        evidence=("segment_state_runs",),
        owner=owner,
        cause=cause,
        group=Group.RUNTIME,
        power=f"fewer repetitions than min_runs, unless one {power} takes longer than long_run_s",
        policy_key=f"runtime.{kind}.{name}",
    )


GATES: Final[tuple[Gate, ...]] = (
    *(
        _runtime_gate(state, "states", f"median over repetitions of the wall time of {state}", state, "run")
        for state in RUNTIME_STATES
    ),
    *(
        _runtime_gate(lane, "lanes", f"wall time of the {lane} lane, changed state onward on {seeds}", "S4", "lane")
        for lane, seeds in zip(SEED_SETS, ("one seed", "two seeds", "four seeds"), strict=True)
    ),
)
