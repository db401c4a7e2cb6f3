"""The P0 notebook on the published run: executed in a kernel, complete, its page drawn by a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from segment5b_lib.charts.renderer import VEGALITE_MIME
from segment5b_lib.contract.words import Decision, NotebookStatus
from segment5b_lib.reports.execute import execute_notebook
from segment5b_lib.reports.record import NotebookRecord
from segment5b_lib.store.runs import Run
from tests.decisions import speak
from tests.reports.browser import dom, needs_browser
from tests.reports.conftest import REPOSITORY
from tests.reports.test_html import Loads

CHARTS = 16


@pytest.fixture(scope="module")
def record(published_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookRecord]:
    """The record of one execution, in an outputs folder of its own that holds a copy of the run."""
    outputs = tmp_path_factory.mktemp("p0") / "outputs"
    shutil.copytree(published_run.world.root, outputs / "worlds" / published_run.world.mf)
    shutil.copytree(published_run.root, outputs / "runs" / published_run.run_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGMENT5B_OUTPUTS", str(outputs))
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        speak("POPT.5", published_run, Decision.GO_P0)
        yield execute_notebook("p0_realism_baseline", {"run_id": published_run.run_id[:8]})


def test_it_is_complete_and_opens_p1(record: NotebookRecord) -> None:
    assert record.error is None
    assert record.status is NotebookStatus.COMPLETE
    assert record.decision == "UNLOCK_P1"
    assert [Path(name).suffix for name in record.artefacts] == [".json", ".json", ".json", ".md"]
    assert record.executed.is_relative_to(record.page.parents[2]) and record.run_id in str(record.executed)


def test_it_draws_every_chart_and_complains_about_nothing(record: NotebookRecord) -> None:
    cells = nbformat.read(record.executed, 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type in ("stream", "error")]
    drawn = [output for output in outputs if VEGALITE_MIME in output.get("data", {})]
    assert len(drawn) == CHARTS and all("image/png" in output.data for output in drawn)


def test_the_page_tells_the_story(record: NotebookRecord) -> None:
    page = record.page.read_text(encoding="utf-8")
    for told in (
        "UNLOCK_P1",
        "−3600",
        "America/New_York",
        "2026-03-29",
        "--segment 2A --set last_transition_year=2028",
    ):
        assert told in page, told
    assert all(load.startswith(("data:", "#")) for load in Loads(page).found)


@needs_browser
def test_a_browser_draws_the_whole_page_from_disk(record: NotebookRecord, tmp_path: Path) -> None:
    drawn = dom(record.page, tmp_path)
    assert drawn.count('data-drawn="live"') == CHARTS
    assert 'data-drawn="picture"' not in drawn
