"""Runtime gates: colours, repetitions, the pinned scale, and the records that they read."""

from __future__ import annotations

import pytest

from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.runtime import RUNTIME_STATES, SEED_SETS, runtime_gate, state_gates
from segment5b_lib.gates.table import CROSS_RUN_GATES
from segment5b_lib.store.runs import Run
from tests.gates.made_up import policy


@pytest.mark.parametrize(
    ("name", "seconds", "colour", "verdict"),
    [
        ("S4", (200.0, 240.0, 900.0), "GREEN", Verdict.PASS_BPLUS),
        ("S4", (241.0, 241.0, 1.0), "AMBER", Verdict.FAIL),
        ("S4", (301.0, 301.0, 301.0), "RED", Verdict.FAIL),
        ("S5", (5.0, 5.0, 5.0), "GREEN", Verdict.PASS_BPLUS),
        ("certification", (1801.0,), "RED", Verdict.FAIL),
        ("witness", (700.0,), "GREEN", Verdict.PASS_BPLUS),
        ("candidate", (300.0,), "GREEN", Verdict.INSUFFICIENT_POWER),
        ("S1", (10.0, 10.0), "GREEN", Verdict.INSUFFICIENT_POWER),
    ],
)
def test_medians_against_budgets(name: str, seconds: tuple[float, ...], colour: str, verdict: Verdict) -> None:
    result = runtime_gate(name, seconds, "authority", policy().runtime)
    assert (result.detail["colour"], result.verdict) == (colour, verdict)
    assert result.population == len(seconds)
    kind = "lanes" if name in SEED_SETS else "states"
    assert {entry.policy_key for entry in result.thresholds} == {f"runtime.{kind}.{name}.target_s"}


def test_below_the_pinned_scale_budgets_do_not_apply() -> None:
    result = runtime_gate("S4", (1000.0,), "medium", policy().runtime)
    assert result.verdict is Verdict.NOT_APPLICABLE
    assert "authority" in result.reason


def test_nothing_timed_is_nothing_measured() -> None:
    assert runtime_gate("S2", (), "authority", policy().runtime).verdict is Verdict.NOT_MEASURED


def test_every_runtime_gate_of_the_table_has_a_budget() -> None:
    names = [entry.gate_id.removeprefix("R-") for entry in CROSS_RUN_GATES if entry.gate_id.startswith("R-")]
    assert names == [*RUNTIME_STATES, *SEED_SETS]
    assert set(names) == {*policy().runtime.states, *policy().runtime.lanes}


def test_states_are_timed_by_their_records(civil_time_run: Run) -> None:
    found = {result.gate_id: result for result in state_gates([civil_time_run])}
    for state in RUNTIME_STATES:
        seconds = civil_time_run.last_records()[state].seconds
        assert found[f"R-{state}"].value == pytest.approx(seconds, rel=1e-9)
        assert found[f"R-{state}"].verdict is Verdict.NOT_APPLICABLE
