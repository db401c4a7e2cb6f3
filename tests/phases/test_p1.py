"""P1: the local corrections alone send 2A back to work; with 2A reopened the clock is right, enforced and witnessed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from segment5b_lib.contract.words import Decision, ItemStatus, Verdict
from segment5b_lib.engine.chain import run_states
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.errors import StateError
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.phases import p1
from segment5b_lib.phases.engine.envelope import artefact_schema
from segment5b_lib.phases.p1 import lock_lines
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from tests.conftest import finished_run
from tests.phases.execute import artefacts, decided, execute

LOCAL = {
    "placement.local_time_encoding": "wall_clock",
    "routing.physical_router.zone_binding": "row_zone",
    "validation.civil_time_enforcement": "fail_closed",
}


@pytest.fixture(scope="module")
def witness(reopened_world: World) -> Run:
    return finished_run(reopened_world, "civil_time", seed=7)


@pytest.fixture(scope="module")
def cards(civil_time_run: Run, witness: Run) -> list[Scorecard]:
    return [score(civil_time_run), score(witness)]


@pytest.fixture(scope="module")
def local_lane(published_run: Run) -> Run:
    """The corrections that 5B owns, on the world whose cache ends in 2025: S5 now refuses."""
    child = prepare_rerun(published_run, "S4", LOCAL, threads=2)
    if child.last_records().get("S5") is None:
        with pytest.raises(StateError):
            run_states(child, threads=2)
    return child


def statuses(measured: p1.P1Measured) -> dict[str, ItemStatus]:
    return {found.id: found.status for found in p1.items(measured)}


@pytest.mark.reaches(Decision.UNLOCK_P1_UPSTREAM_2A_REOPEN)
def test_local_corrections_alone_reopen_2a(published_run: Run, local_lane: Run) -> None:
    phase = execute("P1", local_lane, baseline=published_run, as_what_if=True)
    assert phase.decision.word is Decision.UNLOCK_P1_UPSTREAM_2A_REOPEN and not phase.decision.opens
    verdicts = {result.gate_id: result.verdict for result in phase.scorecard.results}
    assert verdicts["T12"] is Verdict.PASS_BPLUS and verdicts["T1"] is Verdict.FAIL and verdicts["T11"] is Verdict.FAIL
    documents = {path.name.split(local_lane.run_id)[0]: path for path in artefacts(phase) if path.suffix == ".json"}
    decision = json.loads(documents["segment5b_p1_2a_reopen_decision_"].read_text())
    assert decision["triggered"] is True and "--segment 2A" in decision["command"]
    (found,) = [item for item in phase.items if item.id == "P1.1"]
    assert "5B.S5." in found.evidence, "S5 itself refuses the local lane"


@pytest.mark.reaches(Decision.UNLOCK_P2)
def test_the_corrected_run_with_its_witness_opens_p2(
    civil_time_run: Run, witness: Run, published_run: Run, cards: list[Scorecard]
) -> None:
    phase = execute("P1", civil_time_run, witnesses=[witness], baseline=published_run, as_what_if=True)
    assert phase.decision.word is Decision.UNLOCK_P2, phase.decision.reasons
    for kind, path in zip(p1.PHASE.artefacts, artefacts(phase), strict=False):
        document = json.loads(path.read_text())
        jsonschema.validate(document, artefact_schema(kind))
        assert document["what_if"] is True and document["decision"] == "UNLOCK_P2"
    decision = json.loads(artefacts(phase)[4].read_text())
    assert decision["triggered"] is False and decision["command"] == ""
    assert [link["changes"] for link in decision["already_reopened"]] == [{"last_transition_year": 2028}]


@pytest.mark.reaches(Decision.HOLD_P1_REOPEN)
def test_the_published_run_holds_without_reopening(published_run: Run) -> None:
    """Its local columns are marked as UTC: that is 5B's own to correct before anything upstream."""
    phase = execute("P1", published_run, baseline=published_run, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_P1_REOPEN
    red = {found.id for found in phase.items if found.status is ItemStatus.RED}
    assert {"P1.2", "P1.3", "P1.4", "P1.5", "P1.6"} <= red


def with_result(card: Scorecard, gate_id: str, **changes: Any) -> Scorecard:
    results = tuple(replace(r, **changes) if r.gate_id == gate_id else r for r in card.results)
    return replace(card, results=results)


@pytest.mark.parametrize(
    ("item", "gate"), [("P1.3", "T2"), ("P1.3", "T1.settlement"), ("P1.4", "T12"), ("P1.7", "T4"), ("P1.7", "T5")]
)
def test_a_gate_that_fails_on_the_witness_alone_holds(
    published_run: Run, cards: list[Scorecard], item: str, gate: str
) -> None:
    candidate, witness = cards
    assert statuses(p1.measured_on([candidate, witness], published_run))[item] is ItemStatus.GREEN
    measured = p1.measured_on([candidate, with_result(witness, gate, verdict=Verdict.FAIL)], published_run)
    assert statuses(measured)[item] is ItemStatus.RED
    assert decided(p1.PHASE, measured)[0] is Decision.HOLD_P1_REOPEN


def test_a_witness_must_be_of_another_seed(published_run: Run, cards: list[Scorecard]) -> None:
    assert statuses(p1.measured_on([cards[0], cards[0]], published_run))["P1.5"] is ItemStatus.RED


def test_the_lock_names_what_was_found(published_run: Run, civil_time_run: Run) -> None:
    assert [line.holds for line in lock_lines(civil_time_run)] == [True] * 4
    assert {line.policy_key: line.found for line in lock_lines(published_run)} == {
        "local_time_encoding": "utc_marked",
        "physical_router.zone_binding": "group_weights",
        "horizon_guard": "warn",
        "civil_time_enforcement": "warn_only",
    }
