"""The stored notebooks are the installed ones, executed: same cells, and outputs that hold nothing but results."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import nbformat
import pytest

from segment5b_lib.charts.renderer import MAX_ROWS, VEGALITE_MIME
from segment5b_lib.reports.notebooks import NOTEBOOKS, Notebook
from segment5b_lib.store.runs import Run
from tests.notebooks import step_records
from tests.notebooks.comparison import DIGEST, canonical, sanitized
from tests.notebooks.store_outputs import NOT_CHECKED, STORED, code_cells, parameters_cell

every_notebook = pytest.mark.parametrize("entry", NOTEBOOKS.values(), ids=lambda entry: entry.name)
MOST_LINES = 10_000
NOT_CHECKED_CELLS = {
    ("p0_realism_baseline", "witnesses"),  # other databases on this machine
    ("popt4_validation_and_logging", "measured"),  # measured live
    ("popt4_validation_and_logging", "overhead"),
    ("popt4_validation_and_logging", "pairs"),
}
ABSOLUTE_PATH = re.compile(r"(?<![\w./<])/(?:tmp|home|root|work|usr|var|opt|Users)/")


def stored(entry: Notebook) -> Any:
    return nbformat.read(STORED / f"{entry.name}.ipynb", 4)


def outputs(entry: Notebook) -> list[Any]:
    return [output for cell in code_cells(stored(entry)) for output in cell.outputs]


def described(source: str) -> list[tuple[str, str, str]]:
    """Parameters without their values: name, type, comment."""
    comments = [line.split("  # ")[1] for line in source.splitlines()]
    assigned = [node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
    return [
        (ast.unparse(node.target), ast.unparse(node.annotation), comment)
        for node, comment in zip(assigned, comments, strict=True)
    ]


def test_every_phase_has_one_and_there_are_no_others() -> None:
    assert {path.name for path in STORED.iterdir()} == {f"{entry.name}.ipynb" for entry in NOTEBOOKS.values()}
    assert len(NOTEBOOKS) == 14


@every_notebook
def test_cells_are_those_of_the_installed_notebook(entry: Notebook) -> None:
    installed, kept = nbformat.read(entry.source, 4), stored(entry)
    mine, theirs = (parameters_cell(notebook) for notebook in (kept, installed))
    assert described(mine.source) == described(theirs.source)
    mine.source = theirs.source
    for one, other in zip(kept.cells, installed.cells, strict=True):
        assert (one.id, one.cell_type, one.source, one.metadata) == (
            other.id,
            other.cell_type,
            other.source,
            other.metadata,
        )


@every_notebook
def test_every_cell_shows_something_that_is_compared(entry: Notebook) -> None:
    for cell in code_cells(stored(entry)):
        assert cell.execution_count, "nbval does not compare a cell that was not executed"
        tags = cell.metadata.get("tags", [])
        if NOT_CHECKED in tags:
            assert (entry.name, cell.id) in NOT_CHECKED_CELLS and not cell.outputs
        elif "parameters" not in tags:
            assert cell.outputs, cell.id
    for output in outputs(entry):
        assert set(output.data) in ({"text/html"}, {VEGALITE_MIME}) and not output.metadata


@every_notebook
def test_outputs_hold_no_clock_version_or_path(entry: Notebook) -> None:
    """Texts are stored as they are compared: a rule that still finds something would show it."""
    for output in outputs(entry):
        for text in output.data.values():
            if isinstance(text, str):
                assert sanitized(text) == text
            else:
                assert canonical(text) == text
        assert not ABSOLUTE_PATH.search(json.dumps(output))


def test_they_stay_small() -> None:
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in STORED.iterdir()) < MOST_LINES


@every_notebook
def test_a_chart_stands_for_few_rows(entry: Notebook) -> None:
    """Rows are stored as a digest and their number."""
    for output in outputs(entry):
        datasets = output.data.get(VEGALITE_MIME, {}).get("datasets", {})
        digests = [DIGEST.fullmatch(rows) for rows in datasets.values()]
        assert sum(int(found[1]) for found in digests if found) <= MAX_ROWS
        assert all(digests)


def test_the_step_records_are_what_their_script_makes(published_run: Run) -> None:
    assert json.loads(step_records.FIXTURE.read_text(encoding="utf-8")) == step_records.generated(published_run)


def test_planted_times_leave_everything_else(own_run: Run) -> None:
    before = own_run.last_records()
    step_records.plant(own_run, step_records.CURRENT)
    after = own_run.last_records()
    assert after["S4"].durations.wall_ms == 40_000.0
    for state, record in after.items():
        assert sum(step.wall_ms for step in record.steps) < record.durations.wall_ms
        for name in ("counters", "status", "rows_in", "rows_out", "run_id", "threads"):
            assert getattr(record, name) == getattr(before[state], name)
        assert [(step.name, step.lane, step.rows) for step in record.steps] == [
            (step.name, step.lane, step.rows) for step in before[state].steps
        ]
