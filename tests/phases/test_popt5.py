"""POPT.5: both lanes timed on runs that exist, the track closed, no bottleneck; GO_P0 says at which scale."""

from __future__ import annotations

from typing import Any

import pytest

from segment5b_lib.contract.words import Decision
from segment5b_lib.engine.chain import run_states
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.errors import GateRefusal
from segment5b_lib.phases import popt4_overhead, popt5
from segment5b_lib.phases.engine.execution import PhaseExecution
from segment5b_lib.store.runs import Run
from tests.phases.execute import execute
from tests.phases.popt_track import PINNED_HERE, Track, check_artefacts, plant_seconds, repetitions, statuses

FAST = {"S0": 1.0, "S1": 3.0, "S2": 10.0, "S3": 8.0, "S4": 28.0, "S5": 4.0}


def red(phase: PhaseExecution[Any, Any]) -> set[str]:
    return {name for name, status in statuses(phase).items() if status == "red"}


def walk(run: Run) -> None:
    """POPT.0 to POPT.4 on one run, in the order that POPT.0 ranks."""
    execute("POPT.0", run)
    for name in ("POPT.2", "POPT.1", "POPT.3"):
        execute(name, run)
    execute("POPT.4", run)


@pytest.mark.reaches(Decision.HOLD_POPT5_REOPEN, Decision.GO_P0)
def test_the_whole_track_ends_at_go_p0_and_says_its_scale(track: Track, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(popt4_overhead, "FEW_PAIRS", 3)
    run = track.plain[0]
    plant_seconds(track.plain, FAST, apart=0.01)
    with pytest.raises(GateRefusal, match=r"POPT\.4"):
        execute("POPT.5", run)
    walk(run)
    held = execute("POPT.5", run)
    assert held.decision.word is Decision.HOLD_POPT5_REOPEN and red(held) == {"POPT.5.1c"}
    assert "--seed 7" in held.decision.reasons[0]
    witness = repetitions(run.world, 3, seed=7)
    plant_seconds(witness, FAST, apart=0.01)
    phase = execute("POPT.5", run)
    assert phase.decision.word is Decision.GO_P0 and "tiny" in phase.decision.reasons[0]
    found = statuses(phase)
    assert {found[name] for name in ("POPT.5.1d", "POPT.5.1e", "POPT.5.2")} == {"not_applicable"}
    document = check_artefacts(phase, popt5.PHASE.artefacts)["popt5_certification"]
    assert document["scale"] == "tiny" and [line["opens"] for line in document["track"]] == [True] * 5
    lanes = {line["lane"]: line for line in document["lanes"]}
    assert lanes["candidate"]["median_s"] == pytest.approx(54 * 1.01) and set(lanes["witness"]["runs_by_seed"]) == {
        "42",
        "7",
    }
    assert lanes["witness"]["median_s"] == pytest.approx(2 * 54 * 1.01)
    assert document["owners"][0]["state"] == "S4"


@pytest.fixture
def bound(track: Track) -> list[Run]:
    """Runs of two seeds under budgets that bind here: three of the candidate's, three of the witness's."""
    witness = repetitions(track.pinned[0].world, 3, seed=7, changes=PINNED_HERE)
    return [*track.pinned, *witness]


@pytest.mark.parametrize(
    ("planted", "items"),
    [
        (FAST, set()),
        (FAST | {"S0": 400.0}, {"POPT.5.1d", "POPT.5.1e"}),
        (FAST | {"S4": 301.0}, {"POPT.5.2"}),
    ],
    ids=["within", "lanes over", "a state over its stretch"],
)
def test_budgets_that_bind_are_judged(bound: list[Run], planted: dict[str, float], items: set[str]) -> None:
    plant_seconds(bound, planted)
    phase = execute("POPT.5", bound[0], as_what_if=True)
    assert red(phase) == items | {"POPT.5.1a"}, "the track is open: this is a what-if"


def test_a_rerun_is_timed_from_the_state_that_changed(track: Track) -> None:
    child = prepare_rerun(track.plain[0], "S4", {"routing.hybrid_policy.p_virtual_hybrid": 0.31}, threads=2)
    run_states(child, threads=2)
    plant_seconds([child], {"S4": 20.0, "S5": 2.0})
    phase = execute("POPT.5", child, as_what_if=True)
    lanes = phase.measured.table("lanes").to_dicts()
    assert lanes[0]["states"] == ["S4", "S5"] and lanes[0]["median_s"] == pytest.approx(22.0)
    assert "POPT.5.1c" in red(phase), "one short run, and no second seed"
