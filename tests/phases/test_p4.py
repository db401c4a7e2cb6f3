"""P4 on the tiny world: whatever its gates say, it is too small to be certified."""

from __future__ import annotations

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.gates.scorecard import score
from segment5b_lib.phases import p4
from segment5b_lib.phases.phase import decide
from segment5b_lib.store.runs import Run
from tests.conftest import finished_run


def test_a_tiny_world_is_not_certifiable_and_says_so(civil_time_run: Run) -> None:
    others = [finished_run(civil_time_run.world, "civil_time", seed=seed) for seed in (7, 101, 202)]
    found = p4.examine([score(run) for run in (civil_time_run, *others)])
    decision, reasons = decide(p4.PHASE, found)
    assert decision is Decision.HOLD_REMEDIATE
    assert any("a tiny world cannot be certified" in reason for reason in reasons)
    statuses = {item.id: item.status for item in found.items}
    assert statuses["P4.1"] is statuses["P4.2"] is ItemStatus.GREEN
    assert statuses["P4.3"] is statuses["P4.6"] is ItemStatus.RED
