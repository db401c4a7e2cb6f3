"""P0: the published run's story, a definition of done that can turn red, evidence that survives a failure."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import segment5b_lib as s5
from segment5b_lib.contract.words import Decision, ItemStatus, Verdict
from segment5b_lib.errors import StaleError
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.phases import p0
from segment5b_lib.phases.engine.attempts import current, read_artefact, reports_folder
from segment5b_lib.phases.engine.envelope import Body, artefact_model, artefact_schema, content
from segment5b_lib.phases.engine.execution import PhaseExecution
from segment5b_lib.phases.engine.repair import next_steps
from segment5b_lib.phases.p0 import AXES, OwnerStateMatrix, RealismGateboard
from segment5b_lib.phases.p0_figures import PublishedFigures
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.runs import Run
from tests.phases.execute import artefacts, decided, execute

ARTEFACTS: list[type[Body]] = [RealismGateboard, OwnerStateMatrix, PublishedFigures]


@pytest.fixture(scope="module")
def scorecard(published_run: Run) -> Scorecard:
    return score(published_run)


def statuses(run: Run, scorecard: Scorecard) -> dict[str, ItemStatus]:
    return {item.id: item.status for item in p0.items(p0.measured_on(run, scorecard))}


def artefact_file(phase: PhaseExecution[Any, Any], kind: type[Body]) -> Path:
    (path,) = (p for p in artefacts(phase) if f"_{kind.ARTEFACT}_" in p.name and p.suffix == ".json")
    return path


def files_of(run: Run) -> dict[Path, str]:
    return {path: sha256_file(path) for path in sorted(run.root.rglob("*")) if path.is_file()}


@pytest.mark.reaches(Decision.UNLOCK_P1)
def test_the_published_run_is_bad_and_p1_opens(released_run: Run) -> None:
    before = files_of(released_run)
    phase = execute("P0", released_run)
    assert phase.decision.word is Decision.UNLOCK_P1
    assert {item.status for item in phase.items} == {ItemStatus.GREEN}
    verdicts = {result.gate_id: result.verdict for result in phase.scorecard.results}
    assert all(verdicts[name] is Verdict.FAIL for name in ("T1", "T2", "T11", "T12"))
    assert all(verdicts[name] is Verdict.PASS_BPLUS for name in ("T4", "T5"))
    assert len(phase.decision.reasons) == 1 + sum(verdict is Verdict.FAIL for verdict in verdicts.values())
    assert files_of(released_run) == before, "P0 reads a run and never changes it"


def test_the_artefacts_say_the_same_and_fit_their_schemas(released_run: Run) -> None:
    phase = execute("P0", released_run)
    assert [path.suffix for path in artefacts(phase)] == [".json", ".json", ".json", ".md"]
    for artefact in ARTEFACTS:
        document = read_artefact("p0", released_run.run_id, artefact.ARTEFACT)
        jsonschema.Draft202012Validator.check_schema(artefact_schema(artefact))
        jsonschema.validate(document, artefact_schema(artefact))
        assert document["decision"] == "UNLOCK_P1" and document["error"] is None
        assert document["run"]["run_id"] == released_run.run_id and document["scale"] == "tiny"
        model = artefact_model(artefact)
        read, again = model.model_validate(document), model.model_validate_json(json.dumps(document))
        assert content(read, None) == content(again, None) == artefact_file(phase, artefact).read_bytes()


def test_inputs_are_digests_of_what_was_read(released_run: Run) -> None:
    execute("P0", released_run)
    document = read_artefact("p0", released_run.run_id, "p0_realism_gateboard")
    roots = {"run": released_run.root, "world": released_run.world.root}
    inputs = {entry["path"]: entry["sha256"] for entry in document["inputs"]}
    assert any("arrival_events" in path for path in inputs) and any("tz_cache_v1.bin" in path for path in inputs)
    for path, digest in inputs.items():
        root, relative = path.split("/", 1)
        assert sha256_file(roots[root] / relative) == digest


def test_every_failure_has_one_owner_on_one_axis(released_run: Run) -> None:
    execute("P0", released_run)
    matrix = read_artefact("p0", released_run.run_id, "p0_owner_state_matrix")
    failing = [line["gate_id"] for line in matrix["gates"] if line["verdict"] == "fail"]
    assert [line["gate_id"] for line in matrix["owners"]] == failing
    axes = {line["axis"]: line for line in matrix["axes"]}
    assert axes["DST"]["stands"] == "fails" and axes["DST"]["owners"] == ["2A", "S4"]
    assert axes["conservation"]["stands"] == "holds" and axes["conservation"]["owners"] == []
    assert sorted(name for gates in AXES.values() for name in gates) == sorted(
        line["gate_id"] for line in matrix["gates"]
    )


def test_earlier_figures_are_context_and_no_verdict(released_run: Run) -> None:
    phase = execute("P0", released_run)
    board = read_artefact("p0", released_run.run_id, "p0_realism_gateboard")
    lines = {(line["gate_id"], line["level"]): line for line in board["context"]}
    assert {key: line["max"] for key, line in lines.items()} == {
        ("T1", "b"): 0.002,
        ("T1", "bplus"): 0.0005,
        ("T3", "bplus"): 0.8,
    }
    assert lines["T1", "b"]["within"] is False
    page = artefacts(phase)[-1].read_text()
    assert "≤ 0.2 %" in page and "UNLOCK_P1" in page and "--segment 2A --set last_transition_year=2028" in page


def test_a_second_execution_keeps_the_first(released_run: Run) -> None:
    first = execute("P0", released_run)
    kept = [path.read_bytes() for path in artefacts(first)]
    second = execute("P0", released_run)
    assert set(artefacts(first)).isdisjoint(artefacts(second))
    assert [path.read_bytes() for path in artefacts(first)] == kept
    numbers = [json.loads(artefacts(p)[0].read_text())["attempt"] for p in (first, second)]
    assert numbers == [1, 2]


def test_the_corrected_run_holds_where_the_clock_is_concerned(civil_time_run: Run) -> None:
    corrected = score(civil_time_run)
    decision, reasons = decided(p0.PHASE, p0.measured_on(civil_time_run, corrected))
    assert decision is Decision.UNLOCK_P1
    assert all(reason.split()[0] in ("the", "T6", "T7") for reason in reasons)


def with_result(scorecard: Scorecard, gate_id: str, **changes: Any) -> Scorecard:
    results = tuple(replace(r, **changes) if r.gate_id == gate_id else r for r in scorecard.results)
    return replace(scorecard, results=results)


@pytest.mark.parametrize(
    ("item", "broken"),
    [
        ("P0.2", lambda card: with_result(card, "T9", verdict=Verdict.NOT_MEASURED)),
        ("P0.2", lambda card: replace(card, results=tuple(r for r in card.results if r.gate_id != "T5"))),
        ("P0.3", lambda card: with_result(card, "T1", population=card.result("T1").population - 1)),
        ("P0.4", lambda card: with_result(card, "T2", thresholds=())),
        (
            "P0.4",
            lambda card: with_result(card, "T6", thresholds=(replace(card.result("T6").thresholds[0], value=0.9),)),
        ),
        ("P0.5", lambda card: replace(card, attributions=card.attributions[1:])),
        ("P0.5", lambda card: replace(card, attributions=(*card.attributions, card.attributions[0]))),
        ("P0.6", lambda card: replace(card, attributions=())),
    ],
)
def test_each_item_can_turn_red(published_run: Run, scorecard: Scorecard, item: str, broken: Any) -> None:
    assert statuses(published_run, scorecard)[item] is ItemStatus.GREEN
    assert statuses(published_run, broken(scorecard))[item] is ItemStatus.RED
    decision, reasons = decided(p0.PHASE, p0.measured_on(published_run, broken(scorecard)))
    assert decision is Decision.HOLD_P0_REOPEN
    assert any(reason.startswith(item) for reason in reasons)


@pytest.mark.reaches(Decision.HOLD_P0_REOPEN)
def test_an_unfinished_chain_holds(released_run: Run) -> None:
    released_run.marker_path("S5").unlink()
    phase = execute("P0", released_run)
    assert phase.decision.word is Decision.HOLD_P0_REOPEN
    assert [item.id for item in phase.items if item.status is ItemStatus.RED] == ["P0.1"]


def test_damaged_evidence_is_recorded_before_it_is_raised(released_run: Run) -> None:
    victim = released_run.files("arrival_events_5B", released_run.scenarios[0])[0]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    with pytest.raises(StaleError) as caught:
        execute("P0", released_run)
    assert caught.value.code == "5B.PHASE.INPUT_CHANGED"
    for artefact in ARTEFACTS:
        document = read_artefact("p0", released_run.run_id, artefact.ARTEFACT)
        jsonschema.validate(document, artefact_schema(artefact))
        assert document["decision"] == "HOLD_P0_REOPEN"
        assert document["error"]["code"] == "5B.PHASE.INPUT_CHANGED"
        assert [item["status"] for item in document["definition_of_done"]] == ["red"]
    (page,) = reports_folder(released_run.run_id).glob("*.md")
    assert "5B.PHASE.INPUT_CHANGED" in page.read_text()


def test_rich_displays_are_escaped(released_run: Run) -> None:
    phase = execute("P0", released_run)
    card = replace(phase.identity, scale="<script>")
    assert "&lt;script&gt;" in card._repr_html_() and "<script>" not in card._repr_html_()
    answer = phase.decision._repr_html_() + phase.items._repr_html_()
    assert "UNLOCK_P1" in answer and all(item.id in answer for item in phase.items)


def test_next_steps_name_the_run_and_the_world_and_cover_every_failure(
    published_run: Run, scorecard: Scorecard
) -> None:
    steps = next_steps(scorecard)
    failing = [result.gate_id for result in scorecard.results if result.verdict is Verdict.FAIL]
    assert sorted(name for step in steps.steps for name in step.about) == sorted(failing)
    commands = {step.owner: step.text for step in steps.steps}
    world, run = published_run.world.mf[:8], published_run.run_id[:8]
    assert commands["2A"].startswith(
        f"segment5b world reopen {world} --segment 2A --set last_transition_year=2028 --reason "
    )
    assert commands["S4"].startswith(f"segment5b rerun --run {run} --changed S4 --set ")
    assert len({(step.owner, step.text) for step in steps.steps}) == len(steps.steps)
    assert f"world reopen {world}" in steps._repr_html_()
    assert "nothing to repair" in next_steps(replace(scorecard, attributions=()))._repr_html_()


def test_what_was_measured_is_frozen_and_published_once(released_run: Run) -> None:
    phase = s5.phase("P0", released_run)
    assert phase.measured is phase.measured and phase.items is phase.items and phase.decision is phase.decision
    assert current("p0", released_run.run_id) is None, "to look is not to publish"
    assert phase.publish() is phase.publish() and phase.publish().attempt == 1
    with pytest.raises(FrozenInstanceError):
        phase.subject = None
    with pytest.raises(FrozenInstanceError):
        phase.measured.figures = ()
    look = phase.with_parameters(as_what_if=True)
    assert look is not phase and look.parameters.as_what_if and not phase.parameters.as_what_if
    assert "what-if" in look.decision._repr_html_() and "figures" in phase.measured._repr_html_()
