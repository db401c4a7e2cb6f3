"""P4 on the tiny world: whatever its gates say, it is too small to be certified."""

from __future__ import annotations

import pytest

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.store.catalogue import read_pins
from segment5b_lib.store.runs import Run
from tests.conftest import finished_run
from tests.phases.execute import execute


@pytest.mark.reaches(Decision.HOLD_REMEDIATE)
def test_a_tiny_world_is_not_certifiable_and_says_so(civil_time_run: Run) -> None:
    others = [finished_run(civil_time_run.world, "civil_time", seed=seed) for seed in (7, 101, 202)]
    phase = execute("P4", civil_time_run, panel=others, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_REMEDIATE
    assert any("a tiny world cannot be certified" in reason for reason in phase.decision.reasons)
    statuses = {item.id: item.status for item in phase.items}
    assert statuses["P4.1"] is statuses["P4.2"] is ItemStatus.GREEN
    assert statuses["P4.3"] is statuses["P4.6"] is ItemStatus.RED
    runtime = phase.measured.table("runtime")
    assert {"gate_id", "title", "verdict", "value", "unit", "population", "reason"} <= set(runtime.columns)
    assert phase.measured.table("seeds")["seed"].to_list() == [42, 7, 101, 202]
    pinned = read_pins().of("certification")
    assert not {run.run_id for run in (civil_time_run, *others)} & set(pinned), "only a certificate keeps its runs"
