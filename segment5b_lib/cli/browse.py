"""`segment5b open`, `investigate` and `lab`: a run's pages, the investigation page, and JupyterLab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segment5b_lib.cli.arguments import JsonOption, RunArgument
from segment5b_lib.cli.screen import console, show_json

if TYPE_CHECKING:
    from pathlib import Path


def open_page(run: RunArgument = "@last", json: JsonOption = False) -> None:
    """Open a run's newest page, a file that needs no network, and list them all. Example: `segment5b open @last`.

    Without a graphical session, or with --json, only the paths are printed.
    """
    from segment5b_lib.errors import MissingInputError
    from segment5b_lib.store.catalogue import find_run
    from segment5b_lib.store.roots import executed_folder, pages_of

    run_id = find_run(run).run_id
    pages = pages_of(run_id)
    if not pages:
        raise MissingInputError(
            "5B.REPORT.NO_PAGE",
            f"run {run_id[:8]} has no page yet",
            where=str(executed_folder(run_id)),
            next_step=f"segment5b phase P0 {run_id[:8]}",
        )
    if json:
        show_json([str(page) for page in pages])
        return
    for page in pages:
        console.print(str(page), soft_wrap=True)
    if _has_screen():
        _browse(pages[0])


def investigate(
    run: RunArgument = "@last",
    zone: Annotated[str, typer.Option(help="By default the zone with most wrong clocks.")] = "",
    transition: Annotated[str, typer.Option(help="UTC date of one of its changes of offset.")] = "",
    json: JsonOption = False,
) -> None:
    """Page of wrong local times, their start and their owner. Example: `segment5b investigate @last`.

    In JupyterLab (`segment5b lab`) the views of the same notebook, `investigate_dst`, are interactive.
    """
    make_page("investigate_dst", {"run_id": run, "zone": zone, "transition": transition}, json=json)


def make_page(notebook: str, parameters: Mapping[str, Any], *, json: bool) -> None:
    """Execute a read-only notebook, and open its page if there is a graphical session."""
    from segment5b_lib.reports.execute import execute_notebook

    record = execute_notebook(notebook, parameters)
    record.raise_for_status()
    if json:
        show_json(record.model_dump(mode="json"))
        return
    console.print(f"page {record.page}", soft_wrap=True)
    if _has_screen():
        _browse(record.page)


def _has_screen() -> bool:
    """Whether a window can be opened; otherwise a text browser would take over the terminal."""
    import os
    import sys

    return console.is_terminal and (
        sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    )


def _browse(page: Path) -> None:
    import webbrowser

    webbrowser.open(page.as_uri())


def lab(
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser as well.")] = True,
) -> None:
    """Start JupyterLab on the notebooks: loopback only, with a token. Example: `segment5b lab`."""
    import os
    import sys

    from segment5b_lib.reports.lab import lab_command

    command, environment = lab_command(browser=browser)
    sys.stdout.flush()
    os.execve(command[0], command, environment)
