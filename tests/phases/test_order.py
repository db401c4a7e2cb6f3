"""Order: predecessors open a phase for the run's kin, the nearest that has spoken decides, a what-if never counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.errors import GateRefusal, InputError
from segment5b_lib.phases.engine.attempts import current, pointer_path, reports_folder
from segment5b_lib.phases.engine.envelope import DodItem, Envelope
from segment5b_lib.phases.engine.order import openings
from segment5b_lib.phases.engine.phase import Finding, Phase, conduct, decide, item, not_applicable
from segment5b_lib.store.runs import Run
from tests.conftest import finished_run
from tests.decisions import speak


class Note(Envelope):
    ARTEFACT = "p9_note"

    text: str = ""


PHASE = Phase("P9", "What then?", ("P8",), Decision.HOLD_P5_REOPEN, (Note,), pages=("p9_note",))
GREEN = item("P9.1", "all is well", [], "seen")


def test_a_missing_decision_is_named_and_nothing_is_written(own_run: Run) -> None:
    with pytest.raises(GateRefusal) as caught:
        conduct(PHASE, own_run, lambda: Finding([GREEN], Decision.FROZEN_PASS_B))
    assert caught.value.code == "5B.PHASE.NOT_OPENED" and "P8" in caught.value.what
    assert not reports_folder(own_run.run_id).exists()


def test_a_predecessor_that_opens_is_recorded_with_its_digest(own_run: Run) -> None:
    speak("p8", own_run, Decision.UNLOCK_P4)
    closure = conduct(PHASE, own_run, lambda: Finding([GREEN], Decision.FROZEN_PASS_B, own={Note: {"text": "x"}}))
    assert closure.decision is Decision.FROZEN_PASS_B
    document = json.loads(closure.artefacts[0].read_text())
    (opening,) = document["opened_by"]
    assert (opening["phase"], opening["run_id"], opening["decision"]) == ("P8", own_run.run_id, "UNLOCK_P4")
    assert len(opening["pointer_sha256"]) == 64 and document["text"] == "x"


@pytest.mark.parametrize("word", [Decision.HOLD_P3_REMEDIATE, Decision.UNLOCK_P2_UPSTREAM_REOPEN])
def test_a_hold_and_an_upstream_reopening_do_not_open(own_run: Run, word: Decision) -> None:
    speak("p8", own_run, word)
    with pytest.raises(GateRefusal, match="P8"):
        openings("P9", ("P8",), own_run, ())


def test_a_what_if_is_stamped_and_opens_nothing(own_run: Run) -> None:
    closure = conduct(PHASE, own_run, lambda: Finding([GREEN], Decision.FROZEN_PASS_B), what_if=True)
    assert json.loads(closure.artefacts[0].read_text())["what_if"] is True
    assert "What-if" in closure.artefacts[1].read_text() and "what-if" in closure._repr_html_()
    assert current("p9", own_run.run_id) is None and pointer_path("p9", own_run.run_id, what_if=True).is_file()
    speak("p8", own_run, Decision.UNLOCK_P4, what_if=True)
    with pytest.raises(GateRefusal):
        openings("P9", ("P8",), own_run, ())


def test_the_nearest_kin_that_has_spoken_decides(own_run: Run) -> None:
    other = finished_run(own_run.world, "published", seed=7)
    speak("p8", other, Decision.UNLOCK_P4)
    assert openings("P9", ("P8",), own_run, ())[0].run_id == other.run_id, "a run of the same world speaks for it"
    speak("p8", own_run, Decision.HOLD_P3_REMEDIATE)
    with pytest.raises(GateRefusal):
        openings("P9", ("P8",), own_run, ())


def test_an_error_leaves_artefacts_that_hold(own_run: Run) -> None:
    def broken() -> Finding:
        raise InputError("5B.TEST.BROKEN", "the evidence is broken")

    speak("p8", own_run, Decision.UNLOCK_P4)
    with pytest.raises(InputError):
        conduct(PHASE, own_run, broken)
    pointer = current("p9", own_run.run_id)
    assert pointer is not None and pointer["decision"] == "HOLD_P5_REOPEN"
    document = json.loads((reports_folder(own_run.run_id) / pointer["artefacts"][0]["file"]).read_text())
    assert document["error"]["code"] == "5B.TEST.BROKEN"


def test_only_red_items_hold_and_a_reopening_keeps_its_reasons() -> None:
    red = item("P9.2", "it holds", ["it does not"], "")
    waived = DodItem(id="P9.3", text="late", status=ItemStatus.WAIVED, evidence="waiver W1")
    closed = Finding([GREEN, waived, not_applicable("P9.4", "runtime", "tiny world")], Decision.UNLOCK_P4)
    assert decide(PHASE, closed)[0] is Decision.UNLOCK_P4
    assert decide(PHASE, replace(closed, items=[GREEN, red])) == (
        Decision.HOLD_P5_REOPEN,
        ["P9.2 it holds: it does not"],
    )
    reopened = replace(closed, items=[red], reopens=Decision.UNLOCK_P2_UPSTREAM_REOPEN, reasons=["proof"])
    assert decide(PHASE, reopened) == (Decision.UNLOCK_P2_UPSTREAM_REOPEN, ["P9.2 it holds: it does not", "proof"])


def test_the_plan_s_other_spellings_are_read_and_never_written(tmp_path: Path) -> None:
    assert Decision("HOLD_POPT.1_REOPEN") is Decision.HOLD_POPT1_REOPEN
    assert Decision.HOLD_POPT1_REOPEN.value == "HOLD_POPT1_REOPEN"
    with pytest.raises(ValueError, match=r"HOLD_POPT\.9"):
        Decision("HOLD_POPT.9")
