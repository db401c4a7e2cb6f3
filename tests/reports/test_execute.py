"""Executing notebooks: the status is true, evidence is kept, bad parameters never start a kernel."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from segment5b_lib.contract.words import NotebookStatus
from segment5b_lib.errors import ConflictError, EnvironmentFault, GateRefusal, MissingInputError, StateError, UsageError
from segment5b_lib.phases.engine.parameters import Parameters, parameters_cell
from segment5b_lib.phases.engine.table import PHASES
from segment5b_lib.reports.execute import execute_notebook
from segment5b_lib.reports.notebooks import NOTEBOOKS, notebook, notebook_of_phase
from segment5b_lib.reports.record import NotebookRecord, next_commands, reasons
from segment5b_lib.store.locks import locked
from segment5b_lib.store.roots import notebooks_folder
from tests.reports.conftest import RUN_ID

TIMEOUT = {"is_slow": 1}


def executed(name: str) -> NotebookRecord:
    return execute_notebook(name, {"run_id": "@last"}, cell_timeout_seconds=TIMEOUT.get(name, 60))


def first_screen(record: NotebookRecord) -> str:
    """The summary: right below the question, in the notebook and on the page, without papermill's banners."""
    question, summary, *rest = nbformat.read(record.executed, 4).cells
    assert question.source.startswith("# ") and summary.metadata.tags == ["summary"]
    assert not any("papermill-error-cell-tag" in cell.metadata.get("tags", []) for cell in rest)
    page = unescape(record.page.read_text())
    above, _, below = page[page.index("<main>") :].partition('class="summary"')
    assert "Traceback" not in above and "<table>" not in above
    assert all(command in below for command in next_commands(record))
    return str(summary.source)


@pytest.mark.parametrize(
    ("name", "status", "error", "says"),
    [
        ("opens", NotebookStatus.COMPLETE, None, "UNLOCK_P1"),
        ("holds", NotebookStatus.GATE_FAILED, GateRefusal, "HOLD_P0_REOPEN"),
        ("refuses", NotebookStatus.GATE_FAILED, GateRefusal, "refused"),
        ("raises", NotebookStatus.FAILED, StateError, "5B.TEST.BAD"),
        ("publishes_nothing", NotebookStatus.FAILED, StateError, "no new artefact"),
        ("is_slow", NotebookStatus.TIMEOUT, EnvironmentFault, "timed out"),
        ("dies", NotebookStatus.KILLED, EnvironmentFault, "killed"),
    ],
)
def test_status_is_honest_and_evidence_is_kept(
    home: Path, name: str, status: NotebookStatus, error: type[Exception] | None, says: str
) -> None:
    record = executed(name)
    assert record.status is status
    summary = first_screen(record)
    assert says in summary and RUN_ID in summary and "seed 42" in summary
    assert record.run_id == RUN_ID
    assert record.executed.is_file() and record.page.is_file()
    kept = json.loads(notebook(name).record(RUN_ID).read_text())
    assert kept["status"] == status.value
    assert kept["parameters"] == {"run_id": RUN_ID, "as_what_if": False}
    if error is None:
        record.raise_for_status()
        assert record.artefacts == [f"segment5b_p0_thing_{RUN_ID}.json"]
    else:
        with pytest.raises(error) as caught:
            record.raise_for_status()
        assert caught.value.code == f"5B.NOTEBOOK.{status.name}"  # type: ignore[attr-defined]


def test_an_error_is_saved_in_the_notebook_and_escaped_in_the_page(home: Path) -> None:
    record = executed("raises")
    assert record.error is not None and record.error["kind"] == "InputError"
    assert "5B.TEST.BAD" in record.error["what"]
    outputs = [o for cell in nbformat.read(record.executed, 4).cells for o in cell.get("outputs", [])]
    assert any(output.get("ename") == "InputError" for output in outputs)
    page = record.page.read_text()
    assert "&lt;b&gt;data&lt;/b&gt;" in page and "<b>data</b>" not in page


def test_a_refusal_says_first_what_is_missing_and_which_command_comes_next(home: Path) -> None:
    record = executed("refuses")
    assert reasons(record)[0] == "5B.PHASE.NOT_OPENED: P2 may not <start>"
    assert next_commands(record) == ["segment5b phase P1 01234567"]
    with pytest.raises(GateRefusal) as caught:
        record.raise_for_status()
    assert caught.value.what == "P0 says no: 5B.PHASE.NOT_OPENED: P2 may not <start>"
    assert caught.value.next_step.startswith("segment5b phase P1 01234567; open ")
    page = record.page.read_text()
    assert "P2 may not &lt;start&gt;" in page and "<start>" not in page
    assert '<details class="traceback">' in page
    assert "were not executed" in page and "secret of the last cell" not in page


def test_a_later_failure_does_not_show_an_earlier_success(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = executed("opens")
    assert record.status is NotebookStatus.COMPLETE

    def broken(*args: Any, **kwargs: Any) -> None:
        raise OSError("no kernel today")

    monkeypatch.setattr(papermill, "execute_notebook", broken)
    again = executed("opens")
    assert again.status is NotebookStatus.FAILED
    assert again.error == {"kind": "OSError", "what": "no kernel today"}
    assert not again.executed.exists() and not again.page.exists()


def test_an_interrupt_is_recorded_and_passed_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(papermill, "execute_notebook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        executed("opens")
    assert json.loads(notebook("opens").record(RUN_ID).read_text())["status"] == "killed"


def test_one_execution_of_a_notebook_and_run_at_a_time(home: Path) -> None:
    with locked(notebook("opens").executed(RUN_ID).with_name(".opens.lock"), "test"), pytest.raises(ConflictError):
        executed("opens")


BAD_PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({}, "run_id"),
    ({"run_id": 7}, "run_id"),
    ({"run_id": None}, "run_id"),
    ({"run_id": ["@last"]}, "run_id"),
    ({"run_id": "@last", "run": "@last"}, "run"),
]


@pytest.mark.parametrize(("parameters", "offender"), BAD_PARAMETERS)
def test_bad_parameters_start_no_kernel(
    home: Path, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any], offender: str
) -> None:
    monkeypatch.setattr(papermill, "execute_notebook", lambda *a, **k: pytest.fail("a kernel was started"))
    with pytest.raises(UsageError) as caught:
        execute_notebook("opens", parameters)
    assert caught.value.code == "5B.NOTEBOOK.PARAMETER"
    assert caught.value.where.endswith(f"parameter {offender}")


def test_a_phase_is_found_by_its_name() -> None:
    assert notebook_of_phase("P0").name == "p0_realism_baseline"
    with pytest.raises(UsageError) as caught:
        notebook_of_phase("P9")
    assert caught.value.expected == ", ".join(entry.phase for entry in NOTEBOOKS.values() if entry.phase)


def test_only_installed_notebooks_are_executed(home: Path) -> None:
    with pytest.raises(UsageError) as caught:
        execute_notebook("../../somewhere/else", {"run_id": "@last"})
    assert caught.value.code == "5B.NOTEBOOK.UNKNOWN"
    (home / "notebooks" / "opens.ipynb").unlink()
    with pytest.raises(MissingInputError):
        execute_notebook("opens", {"run_id": "@last"})


@pytest.mark.parametrize("entry", NOTEBOOKS.values(), ids=list(NOTEBOOKS))
def test_the_parameters_cell_and_the_model_agree(entry: Any) -> None:
    source = nbformat.read(notebooks_folder() / f"{entry.name}.ipynb", 4)
    (cell,) = [c for c in source.cells if "parameters" in c.metadata.get("tags", [])]
    lines = [line for line in cell.source.splitlines() if line.strip()]
    assert all("#" in line for line in lines), "every parameter is explained"
    declared = {line.split(":")[0]: line.split(":")[1].split("=")[0].strip() for line in lines}
    fields = entry.parameters.model_fields
    assert declared == {name: info.annotation.__name__ for name, info in fields.items()}
    assert issubclass(entry.parameters, Parameters)
    if entry.phase is None or entry.phase in PHASES:
        assert cell.source == parameters_cell(entry.parameters)


@pytest.mark.parametrize("path", sorted(notebooks_folder().glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_thin(path: Path) -> None:
    source = nbformat.read(path, 4)
    assert source.cells[0].cell_type == "markdown" and source.cells[0].source.startswith("# ")
    for cell in source.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 15
            assert "def " not in cell.source and "lambda" not in cell.source
            assert "/" not in cell.source.replace("1 / 2", ""), "no path is spelled out"
            assert not cell.outputs and cell.execution_count is None
