"""`segment5b open`, `investigate` and `lab`: a run's pages, the investigation page, and JupyterLab."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from importlib.util import find_spec
from json import dumps
from typing import Annotated, Final

import typer

from segment5b_lib.cli.terminal import JsonOption, RunArgument, console, show_json
from segment5b_lib.errors import EnvironmentFault, MissingInputError
from segment5b_lib.store.publish import write_file
from segment5b_lib.store.roots import executed_folder, notebooks_folder, outputs_folder, pages_of

_LOOPBACK: Final = "127.0.0.1"
_NO_NEWS: Final = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


def open_page(run: RunArgument = "@last", json: JsonOption = False) -> None:
    """Open a run's newest page, a file that needs no network, and list them all. Example: `segment5b open @last`.

    Without a graphical session, or with --json, only the paths are printed.
    """
    from segment5b_lib.store.catalogue import find_run

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
        webbrowser.open(pages[0].as_uri())


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


def make_page(notebook: str, parameters: Mapping[str, object], *, json: bool) -> None:
    """Execute a read-only notebook, and open its page if there is a graphical session."""
    from segment5b_lib.reports.execute import execute_notebook

    record = execute_notebook(notebook, parameters)
    record.raise_for_status()
    if json:
        show_json(record.model_dump(mode="json"))
        return
    console.print(f"page {record.page}", soft_wrap=True)
    if _has_screen():
        webbrowser.open(record.page.as_uri())


def _has_screen() -> bool:
    """Whether a window can be opened; otherwise a text browser would take over the terminal."""
    return console.is_terminal and (
        sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    )


def lab(
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser as well.")] = True,
) -> None:
    """Start JupyterLab on the notebooks: loopback only, with a token. Example: `segment5b lab`."""
    command, environment = lab_command(browser=browser)
    sys.stdout.flush()
    os.execve(command[0], command, environment)


def lab_command(*, browser: bool) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of JupyterLab: on this machine only, with its token, and no news.

    Its configuration folder is `outputs/lab`, not the user's own: nothing there can open another address or switch
    the token off. That folder also holds the one kernel that notebooks ask for, `python3`: this interpreter.

    Raises
    ------
    EnvironmentFault : ``5B.ENV.NO_JUPYTERLAB``
    """
    if find_spec("jupyterlab") is None:
        raise EnvironmentFault(
            "5B.ENV.NO_JUPYTERLAB",
            "JupyterLab is not installed here",
            where=sys.prefix,
            expected="the extra `notebook` of this package",
            next_step="pip install 'segment5b[notebook]'; in a checkout: make install, or pip install -e '.[notebook]'",
        )
    folder = outputs_folder() / "lab"
    launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": launch, "display_name": "Segment 5B", "language": "python"}
    for name, document in {"labconfig/page_config.json": _NO_NEWS, "kernels/python3/kernel.json": kernel}.items():
        write_file(folder / name, (dumps(document, indent=1, sort_keys=True) + "\n").encode())
    arguments = [f"--ServerApp.ip={_LOOPBACK}", f"--ServerApp.root_dir={notebooks_folder()}"]
    if not browser:
        arguments.append("--ServerApp.open_browser=False")
    if os.geteuid() == 0:
        # Root in a container often has no other account; the address is loopback in any case.
        arguments.append("--ServerApp.allow_root=True")
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder),
        "JUPYTER_PATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])]),
        "SEGMENT5B_OUTPUTS": str(outputs_folder()),
    }
    return [sys.executable, "-m", "jupyterlab", *arguments], environment
