"""The first screen of an executed notebook: which run, what was found, what comes next, however it ended."""

from __future__ import annotations

from typing import Any

import pytest

from segment5b_lib.contract.words import NotebookStatus
from segment5b_lib.reports.record import NotebookRecord, next_commands, reasons, summary_html

RUN_ID = "0123456789abcdef" * 2
HOLD = {"status": NotebookStatus.GATE_FAILED, "decision": "HOLD_P3_REMEDIATE"}


def record(**changes: Any) -> NotebookRecord:
    fields: dict[str, Any] = {
        "notebook": "p3_contract_hardening",
        "run_id": RUN_ID,
        "parameters": {"run_id": RUN_ID, "as_what_if": False},
        "status": NotebookStatus.COMPLETE,
        "decision": "UNLOCK_P4",
        "artefacts": [],
        "error": None,
        "reasons": [],
        "next_steps": [],
        "started_utc": "",
        "finished_utc": "",
        "elapsed_seconds": 1.0,
        "library_version": "0",
    }
    return NotebookRecord(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "commands"),
    [
        ({}, ["segment5b certify 01234567"]),
        ({"notebook": "p4_certification"}, ["segment5b phase P5 01234567"]),
        ({"notebook": "p5_freeze"}, []),
        ({"next_steps": ["segment5b prune"]}, ["segment5b prune"]),
        (HOLD, ["segment5b phase P3 01234567"]),
        ({**HOLD, "next_steps": ["segment5b rerun"]}, ["segment5b rerun"]),
        ({"status": NotebookStatus.KILLED}, ["segment5b doctor", "segment5b phase P3 01234567"]),
        ({"status": NotebookStatus.TIMEOUT}, ["segment5b doctor", "segment5b phase P3 01234567"]),
    ],
)
def test_there_is_always_something_to_do_until_the_plan_ends(changes: dict[str, Any], commands: list[str]) -> None:
    assert next_commands(record(**changes)) == commands


def test_an_error_comes_before_what_was_decided_without_it() -> None:
    what = "5B.PHASE.INPUT_CHANGED: a file changed\n  where    arrivals\n  next     segment5b run"
    failed = record(
        status=NotebookStatus.FAILED, decision="HOLD_P3_REMEDIATE", error={"kind": "StaleError", "what": what}
    )
    assert reasons(failed) == ["5B.PHASE.INPUT_CHANGED: a file changed", "where    arrivals"]
    assert next_commands(failed) == ["segment5b run"]
    page = summary_html(failed, "P3", "published, seed 42")
    assert "P3 · failed" in page and "HOLD_P3" not in page


def test_an_error_of_another_kind_is_named_and_the_phase_is_to_be_executed_again() -> None:
    failed = record(status=NotebookStatus.FAILED, decision=None, error={"kind": "ZeroDivisionError", "what": "by zero"})
    assert reasons(failed) == ["ZeroDivisionError: by zero"]
    assert next_commands(failed) == ["segment5b phase P3 01234567"]


def test_a_decision_without_reasons_is_not_taken_for_no_artefact() -> None:
    assert reasons(record(reasons=[])) == ["every item of the definition of done is closed"]
    assert reasons(record(reasons=[], decision=None)) == ["the phase has left no new artefact"]


def test_the_screen_holds_few_and_short_lines_and_escapes_them() -> None:
    reasons = ["<script>" + "long words " * 60, *(f"reason {n}" for n in range(5))]
    page = summary_html(record(**HOLD, reasons=reasons), "P3", "<i>published</i>")
    assert "&lt;script&gt;" in page and "<script>" not in page and "<i>" not in page
    assert "reason 2" in page and "reason 3" not in page and "and 2 more below" in page
    assert len(page) < 1500 and "\n\n" not in page, "an empty line would end the block in Markdown"


def test_a_what_if_is_stamped_and_stays_one() -> None:
    held = record(**HOLD, parameters={"run_id": RUN_ID, "as_what_if": True})
    assert "what-if: out of order" in summary_html(held, "P3", "")
    assert next_commands(held) == ["segment5b phase P3 01234567 --as-what-if"]
    assert "what-if" not in summary_html(record(**HOLD), "P3", "")
