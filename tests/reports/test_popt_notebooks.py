"""The notebooks of the optimisation phases: thin, typed, and honest when the order refuses or a decision holds."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from segment5b_lib.charts.renderer import VEGALITE_MIME
from segment5b_lib.contract.words import NotebookStatus
from segment5b_lib.errors import GateRefusal, UsageError
from segment5b_lib.phases.popt_pair import PUBLISHED
from segment5b_lib.reports.execute import execute_notebook
from segment5b_lib.reports.notebooks import NOTEBOOKS, Notebook
from segment5b_lib.reports.record import NotebookRecord
from segment5b_lib.store.runs import Run
from tests.phases.popt_track import repetitions
from tests.reports.conftest import REPOSITORY

POPT = [entry for entry in NOTEBOOKS.values() if (entry.phase or "").startswith("POPT")]
every_notebook = pytest.mark.parametrize("entry", POPT, ids=lambda entry: entry.phase)
MOST_LINES = 15


def cells(path: Path, kind: str = "code") -> list[Any]:
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == kind]


def test_there_is_one_for_every_phase() -> None:
    assert [entry.phase for entry in POPT] == [f"POPT.{n}" for n in range(6)]


@every_notebook
def test_parameters_are_those_that_are_checked(entry: Notebook) -> None:
    (cell,) = (cell for cell in cells(entry.source) if "parameters" in cell.metadata.get("tags", []))
    names = {node.target.id for node in ast.parse(cell.source).body if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
    assert names == set(entry.parameters.model_fields)
    with pytest.raises(UsageError):
        entry.checked({"run_id": "@last", "wavier": ""})


@every_notebook
def test_a_notebook_calls_and_defines_nothing(entry: Notebook) -> None:
    imported = []
    for cell in cells(entry.source):
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert cell.source.count("\n") < MOST_LINES and not cell.outputs
        assert not any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in nodes)
        imported += [ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imported == ["import segment5b_lib as s5"], "the public face only"


@every_notebook
def test_a_notebook_takes_every_step_in_a_cell_of_its_own(entry: Notebook) -> None:
    steps = ["measured", "items", "decision", "publish()", "next_steps"]
    sources = [cell.source for cell in cells(entry.source)]
    assert [source for source in sources if source in {f"phase.{step}" for step in steps}] == [
        f"phase.{step}" for step in steps
    ]


def test_each_paired_phase_shows_what_is_special_about_its_states() -> None:
    shown = {entry.phase: {cell.source for cell in cells(entry.source)} for entry in POPT[1:4]}
    special = {
        "POPT.1": ["group_sizes", 'table("shape")'],
        "POPT.2": ["reopening", 'table("arrivals")'],
        "POPT.3": ["budgets", 'table("latent_field")'],
    }
    for phase, names in special.items():
        for name in names:
            assert [one for one, sources in shown.items() if any(name in source for source in sources)] == [phase]


@pytest.fixture(scope="module")
def run(published_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The published run with two repetitions, in an outputs folder of their own."""
    outputs = tmp_path_factory.mktemp("popt") / "outputs"
    shutil.copytree(published_run.world.root, outputs / "worlds" / published_run.world.mf)
    run = Run(shutil.copytree(published_run.root, outputs / "runs" / published_run.run_id))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGMENT5B_OUTPUTS", str(outputs))
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        repetitions(run.world, 2)
        yield run


def drawn(record: NotebookRecord) -> int:
    outputs = [output for cell in cells(record.executed) for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "stream"]
    return sum(VEGALITE_MIME in output.get("data", {}) for output in outputs)


def test_a_refused_order_says_which_decision_is_missing(run: Run) -> None:
    record = execute_notebook("popt3_s2_s3_throughput", {"run_id": run.run_id})
    assert record.status is NotebookStatus.GATE_FAILED and record.decision is None
    assert record.error is not None and "POPT.1" in record.error["what"]
    assert "5B.PHASE.NOT_OPENED" in record.page.read_text(encoding="utf-8")
    with pytest.raises(GateRefusal):
        record.raise_for_status()


def test_popt_0_is_complete_and_says_what_comes_next(run: Run) -> None:
    record = execute_notebook("popt0_baseline_and_hotspots", {"run_id": run.run_id[:8]})
    assert record.error is None and (record.status, record.decision) == (NotebookStatus.COMPLETE, "GO_POPT.1")
    assert drawn(record) == 1
    page = record.page.read_text(encoding="utf-8")
    assert "GO_POPT.1" in page and "segment5b phase POPT." in page and "order of work" in page


def test_a_what_if_of_popt_2_is_stamped(run: Run) -> None:
    record = execute_notebook("popt2_s4_expansion", {"run_id": run.run_id, "as_what_if": True})
    assert (record.status, record.decision) == (NotebookStatus.COMPLETE, "UNLOCK_POPT3_CONTINUE")
    assert record.parameters["baseline"] == PUBLISHED and drawn(record) == 2
    assert "what-if: out of order, no evidence" in record.page.read_text(encoding="utf-8")


def test_a_hold_is_a_gate_that_failed(run: Run) -> None:
    """POPT.5 without a second seed and with an open track."""
    record = execute_notebook("popt5_performance_certification", {"run_id": run.run_id, "as_what_if": True})
    assert (record.status, record.decision) == (NotebookStatus.GATE_FAILED, "HOLD_POPT5_REOPEN")
    assert record.error is None and drawn(record) == 1
    assert "--seed 7" in record.page.read_text(encoding="utf-8")
