"""Order: predecessors open a phase for related runs, the nearest that was decided about counts, no what-if does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.errors import GateRefusal, InputError, UsageError
from segment5b_lib.phases.engine.attempts import current, pointer_path, reports_folder
from segment5b_lib.phases.engine.envelope import Body, DodItem, artefact_schema
from segment5b_lib.phases.engine.execution import PhaseExecution, execution
from segment5b_lib.phases.engine.order import openings
from segment5b_lib.phases.engine.parameters import PhaseParameters
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, decide, item, not_applicable
from segment5b_lib.store.runs import Run
from tests.conftest import finished_run
from tests.decisions import speak


class Note(Body, artefact="p9_note"):
    text: str


GREEN = item("P9.1", "all is well", [], "seen")
RED = item("P9.2", "it holds", ["it does not"], "")
performed: list[str] = []


def noted(measured: Measured) -> None:
    performed.append("effects")


PHASE = Phase(
    name="P9",
    question="What then?",
    notebook="p9_what_then",
    after=("P8",),
    hold=Decision.HOLD_P5_REOPEN,
    parameters=PhaseParameters,
    artefacts=(Note,),
    pages=("p9_note",),
    measure=lambda subject: Measured(),
    items=lambda measured: [GREEN],
    conclude=lambda measured, items: Conclusion(Decision.FROZEN_PASS_B),
    bodies=lambda measured: [Note(text="x")],
    effects=noted,
)


def started(run: Run, phase: Phase[PhaseParameters, Measured] = PHASE, **parameters: bool) -> PhaseExecution[Any, Any]:
    performed.clear()
    return execution(phase, {"run_id": run.run_id, **parameters})


def test_a_missing_decision_is_named_and_nothing_is_written(own_run: Run) -> None:
    with pytest.raises(GateRefusal) as caught:
        started(own_run)
    assert caught.value.code == "5B.PHASE.NOT_OPENED" and "P8" in caught.value.what
    assert not reports_folder(own_run.run_id).exists()


def test_a_predecessor_that_opens_is_recorded_with_its_digest(own_run: Run) -> None:
    speak("p8", own_run, Decision.UNLOCK_P4)
    phase = started(own_run)
    assert phase.decision.word is Decision.FROZEN_PASS_B and performed == []
    document = json.loads(phase.publish().artefacts[0].read_text())
    assert performed == ["effects"]
    (opening,) = document["opened_by"]
    assert (opening["phase"], opening["run_id"], opening["decision"]) == ("P8", own_run.run_id, "UNLOCK_P4")
    assert len(opening["pointer_sha256"]) == 64 and document["text"] == "x"


@pytest.mark.parametrize("word", [Decision.HOLD_P3_REMEDIATE, Decision.UNLOCK_P2_UPSTREAM_REOPEN])
def test_a_hold_and_an_upstream_reopening_do_not_open(own_run: Run, word: Decision) -> None:
    speak("p8", own_run, word)
    with pytest.raises(GateRefusal, match="P8"):
        openings("P9", ("P8",), own_run, ())


def test_a_what_if_is_stamped_and_opens_nothing(own_run: Run) -> None:
    phase = started(own_run, as_what_if=True)
    files = phase.publish().artefacts
    assert json.loads(files[0].read_text())["what_if"] is True and performed == []
    assert "What-if" in files[1].read_text() and "what-if" in phase.decision._repr_html_()
    assert current("p9", own_run.run_id) is None and pointer_path("p9", own_run.run_id, what_if=True).is_file()
    speak("p8", own_run, Decision.UNLOCK_P4, what_if=True)
    with pytest.raises(GateRefusal):
        openings("P9", ("P8",), own_run, ())


def test_the_nearest_related_run_that_was_decided_about_counts(own_run: Run) -> None:
    other = finished_run(own_run.world, "published", seed=7)
    speak("p8", other, Decision.UNLOCK_P4)
    assert openings("P9", ("P8",), own_run, ())[0].run_id == other.run_id, "a run of the same world speaks for it"
    speak("p8", own_run, Decision.HOLD_P3_REMEDIATE)
    with pytest.raises(GateRefusal):
        openings("P9", ("P8",), own_run, ())


def test_an_error_leaves_artefacts_that_hold(own_run: Run) -> None:
    def broken(subject: object) -> Measured:
        raise InputError("5B.TEST.BROKEN", "the evidence is broken")

    speak("p8", own_run, Decision.UNLOCK_P4)
    phase = started(own_run, replace(PHASE, measure=broken))
    for step in (lambda: phase.measured, lambda: phase.decision, phase.publish):
        with pytest.raises(InputError):
            step()
    pointer = current("p9", own_run.run_id)
    assert pointer is not None and pointer.decision == "HOLD_P5_REOPEN"
    assert pointer.attempt == 1 and performed == [], "the error is recorded once"
    document = json.loads((reports_folder(own_run.run_id) / pointer.artefacts[0].file).read_text())
    assert document["error"]["code"] == "5B.TEST.BROKEN" and "text" not in document
    jsonschema.validate(document, artefact_schema(Note))


def test_a_phase_that_is_no_longer_open_publishes_nothing(own_run: Run) -> None:
    speak("p8", own_run, Decision.UNLOCK_P4)
    phase = started(own_run)
    assert phase.decision.opens
    speak("p8", own_run, Decision.HOLD_P3_REMEDIATE)
    with pytest.raises(GateRefusal):
        phase.publish()
    assert current("p9", own_run.run_id) is None and performed == []


def test_a_hold_performs_no_effects(own_run: Run) -> None:
    speak("p8", own_run, Decision.UNLOCK_P4)
    phase = started(own_run, replace(PHASE, items=lambda measured: [GREEN, RED]))
    assert phase.publish().decision.word is Decision.HOLD_P5_REOPEN and performed == []


def test_a_schema_refuses_a_body_without_its_fields_and_an_error_with_them(own_run: Run) -> None:
    document = json.loads(started(own_run, as_what_if=True).publish().artefacts[0].read_text())
    jsonschema.validate(document, artefact_schema(Note))
    for refused in (
        {name: value for name, value in document.items() if name != "text"},
        {**document, "error": {"code": "x"}},
        {**document, "other": 1},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(refused, artefact_schema(Note))


def test_parameters_are_checked_before_anything_is_measured(own_run: Run) -> None:
    with pytest.raises(UsageError, match="there is no parameter wavier"):
        execution(PHASE, {"run_id": own_run.run_id, "wavier": ""})
    with pytest.raises(UsageError, match="as_what_if"):
        execution(PHASE, {"run_id": own_run.run_id, "as_what_if": "yes"})


def test_only_red_items_hold_and_a_reopening_keeps_its_reasons() -> None:
    hold = PHASE.hold
    waived = DodItem(id="P9.3", text="late", status=ItemStatus.WAIVED, evidence="waiver W1")
    opens = Conclusion(Decision.UNLOCK_P4)
    assert decide(hold, [GREEN, waived, not_applicable("P9.4", "runtime", "tiny world")], opens)[0] is opens.opens
    assert decide(hold, [GREEN, RED], opens) == (Decision.HOLD_P5_REOPEN, ("P9.2 it holds: it does not",))
    reopened = replace(opens, reopens=Decision.UNLOCK_P2_UPSTREAM_REOPEN, reasons=["proof"])
    assert decide(hold, [RED], reopened) == (
        Decision.UNLOCK_P2_UPSTREAM_REOPEN,
        ("P9.2 it holds: it does not", "proof"),
    )


def test_the_plan_s_other_spellings_are_read_and_never_written(tmp_path: Path) -> None:
    assert Decision("HOLD_POPT.1_REOPEN") is Decision.HOLD_POPT1_REOPEN
    assert Decision.HOLD_POPT1_REOPEN.value == "HOLD_POPT1_REOPEN"
    with pytest.raises(ValueError, match=r"HOLD_POPT\.9"):
        Decision("HOLD_POPT.9")
