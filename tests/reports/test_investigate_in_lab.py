"""The investigation alive: JupyterLab as `segment5b lab` starts it, a headless Chromium, a click, a list, a slider."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segment5b_lib.gates.scoring import scorecard
from segment5b_lib.store.runs import Run
from tests.reports.conftest import REPOSITORY
from tests.reports.lab_server import serving

pytestmark = [pytest.mark.slow, pytest.mark.browser]
SHOTS = os.environ.get("SEGMENT5B_SHOTS", "")
"""A folder for pictures of what the browser showed; none without it."""
PATIENCE_MS = 300_000


@pytest.fixture
def lab(published_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address, with token, of a server over a copy of the published run."""
    for needed in ("jupyterlab", "ipywidgets", "anywidget", "playwright"):
        pytest.importorskip(needed, reason="the extras `notebook` and `dev` are not installed")
    outputs = tmp_path / "outputs"
    shutil.copytree(published_run.world.root, outputs / "worlds" / published_run.world.mf)
    own = Run(shutil.copytree(published_run.root, outputs / "runs" / published_run.run_id))
    monkeypatch.setenv("SEGMENT5B_OUTPUTS", str(outputs))
    monkeypatch.setenv("SEGMENT5B_HOME", str(home(tmp_path)))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(tmp_path / "workspaces"))
    monkeypatch.setenv("JUPYTERLAB_SETTINGS_DIR", str(tmp_path / "settings"))
    scorecard(own)  # kept: the kernel reads it
    with serving(tmp_path / "runtime") as server:
        yield f"{server['url']}lab/tree/investigate_dst.ipynb?token={server['token']}"


def home(folder: Path) -> Path:
    """A project of its own: the notebooks may be written to, as JupyterLab does."""
    project = folder / "home"
    for name in ("notebooks", "parameters"):
        shutil.copytree(REPOSITORY / name, project / name)
    return project


@pytest.fixture
def page(lab: str) -> Iterator[Any]:
    """The notebook, all of its cells run; whatever is asked of another machine is refused and remembered."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 9000})
        page.set_default_timeout(PATIENCE_MS)
        page.abroad = []
        page.on("request", lambda request: page.abroad.append(request.url) if is_abroad(request.url) else None)
        page.goto(lab)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        page.get_by_text("| Idle").first.wait_for()  # a kernel that is still starting loses the command
        run_all(page)
        yield page
        browser.close()


def is_abroad(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))


def run_all(page: Any) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(".jp-OutputArea-output .vega-embed svg").nth(6).wait_for()
    page.get_by_role("slider").wait_for()


def shot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def drop_down(page: Any, label: str) -> Any:
    return page.locator(".widget-dropdown", has_text=label).locator("select")


def shows(page: Any, text: str) -> None:
    """Wait until the outputs show a text."""
    page.locator(".jp-OutputArea-output", has_text=text).first.wait_for()


def test_clicks_lists_and_the_slider_move_the_views(page: Any) -> None:
    assert page.locator(".jp-OutputArea-output .vega-embed svg").count() == 7
    assert not page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count()
    shows(page, "Europe/London, 2026-03-29 UTC")
    shot(page, "lab-light")

    drop_down(page, "zone").select_option(label=option(page, "zone", "America/New_York"))
    shows(page, "America/New_York, 2026-03-08 UTC")
    shows(page, "2026-03-08 07:00 UTC, +1 h")

    heatmap = page.locator(".vega-embed", has_text="Mismatch rate by date and zone")
    heatmap.locator("path[aria-label*='Europe/Berlin'][aria-label*='2026-03-30']").first.click(force=True)
    shows(page, "Europe/Berlin, 2026-03-30 UTC")
    follows(page, "zone", option(page, "zone", "Europe/Berlin"))
    shot(page, "lab-clicked")

    before = page.locator(".widget-html", has_text="predicted T1").inner_text()
    assert "through 2025 (as it is now)" in before and "predicted T1 0 %" not in before
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    shows(page, "through 2026: predicted T1 0 %")

    page.get_by_title("page forward", exact=True).click()
    shows(page, "page 2 of")
    follow_the_dark_theme(page)
    assert page.abroad == []


def follows(page: Any, label: str, text: str) -> None:
    """Lists are set after the views are drawn: wait until one shows the text."""
    for _ in range(PATIENCE_MS // 100):
        if drop_down(page, label).locator("option:checked").inner_text() == text:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the list {label} does not show {text}")


def option(page: Any, label: str, begins: str) -> str:
    texts = drop_down(page, label).locator("option").all_inner_texts()
    return next(text for text in texts if text.startswith(begins))


def follow_the_dark_theme(page: Any) -> None:
    ink = "() => getComputedStyle(document.querySelector('.vega-embed svg .role-title-text text')).fill"
    light = page.evaluate(ink)
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-item", has_text="Theme").first.hover()
    page.locator(".lm-Menu-item", has_text="JupyterLab Dark").first.click()
    page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    assert page.evaluate(ink) != light
    shot(page, "lab-dark")
