"""The notebooks for people, unattended: executed to the end, alive nowhere, complete as pages, and without a phase."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from segment5b_lib.charts.renderer import VEGALITE_MIME, WIDGET_MIME
from segment5b_lib.contract.words import NotebookStatus
from segment5b_lib.errors import StateError, UsageError
from segment5b_lib.reports.execute import execute_notebook
from segment5b_lib.reports.html import drop_live_views
from segment5b_lib.reports.notebooks import notebook
from segment5b_lib.reports.record import NotebookRecord
from segment5b_lib.store.runs import Run
from tests.reports.conftest import REPOSITORY
from tests.reports.test_html import Loads


@pytest.fixture(scope="module")
def folder(published_run: Run, civil_time_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An outputs folder with copies of both runs."""
    outputs = tmp_path_factory.mktemp("people") / "outputs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGMENT5B_OUTPUTS", str(outputs))
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        for run in (published_run, civil_time_run):
            shutil.copytree(run.world.root, outputs / "worlds" / run.world.mf)
            shutil.copytree(run.root, outputs / "runs" / run.run_id)
        yield outputs


@pytest.fixture(scope="module")
def compared(folder: Path, published_run: Run, civil_time_run: Run) -> NotebookRecord:
    return execute_notebook("compare_runs", {"run_id": published_run.run_id[:8], "others": [civil_time_run.run_id[:8]]})


@pytest.fixture(scope="module")
def investigated(compared: NotebookRecord, published_run: Run) -> NotebookRecord:
    return execute_notebook("investigate_dst", {"run_id": published_run.run_id[:8], "zone": "America/New_York"})


def drawn(record: NotebookRecord) -> int:
    """Charts of an executed notebook, which complains about nothing and holds nothing that is only alive."""
    document = nbformat.read(record.executed, 4)
    outputs = [output for cell in document.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type in ("stream", "error")]
    assert not [output for output in outputs if WIDGET_MIME in output.get("data", {})]
    assert "widgets" not in document.metadata
    return sum(VEGALITE_MIME in output.get("data", {}) for output in outputs)


def told(record: NotebookRecord, *texts: str) -> None:
    page = record.page.read_text(encoding="utf-8")
    for text in texts:
        assert text in page, text
    assert all(load.startswith(("data:", "#")) for load in Loads(page).found)


def test_the_investigation_stands_as_a_page(investigated: NotebookRecord) -> None:
    assert investigated.error is None and investigated.status is NotebookStatus.COMPLETE
    assert investigated.decision is None and investigated.artefacts == []
    investigated.raise_for_status()
    assert drawn(investigated) == 7
    told(
        investigated,
        "America/New_York, 2026-03-08 UTC",
        "−3600",
        "Owner: 2A",
        "rows in order of time",
        "last_transition_year",
    )


def test_the_comparison_stands_as_a_page(compared: NotebookRecord, civil_time_run: Run) -> None:
    assert compared.error is None and compared.status is NotebookStatus.COMPLETE
    assert compared.parameters["others"] == [civil_time_run.run_id]
    assert drawn(compared) == 3
    told(compared, "better", "placement.local_time_encoding", "2A: last_transition_year=2028", "s3_bucket_counts_5B")


def test_a_place_that_is_not_there_fails_and_says_how_to_go_on(compared: NotebookRecord, published_run: Run) -> None:
    record = execute_notebook("investigate_dst", {"run_id": published_run.run_id, "zone": "Europe/Atlantis"})
    assert record.status is NotebookStatus.FAILED
    with pytest.raises(StateError) as caught:
        record.raise_for_status()
    assert caught.value.expected == "every cell executed"
    assert "ZONE_WITHOUT_ARRIVALS" in record.page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("investigate_dst", {"run_id": "@last", "zone": 1}),
        ("investigate_dst", {"run_id": "@last", "as_what_if": True}),
        ("compare_runs", {"run_id": "@last", "others": "@baseline"}),
    ],
)
def test_parameters_are_checked_before_a_kernel_starts(name: str, parameters: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        notebook(name).checked(parameters)
    assert caught.value.code == "5B.NOTEBOOK.PARAMETER"


def test_what_was_alive_is_taken_out_and_the_rest_stays(tmp_path: Path) -> None:
    bundle = {WIDGET_MIME: {"model_id": "0"}, "text/html": "<p>still</p>"}
    output = nbformat.v4.new_output("display_data", bundle)
    path = tmp_path / "alive.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("view", outputs=[output])]), path)
    drop_live_views(path)
    assert nbformat.read(path, 4).cells[0].outputs[0].data == {"text/html": "<p>still</p>"}
