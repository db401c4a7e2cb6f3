"""JupyterLab on the notebooks: on this machine only, with its token, this interpreter's kernel, and no news."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from segment5b_lib.errors import EnvironmentFault
from segment5b_lib.store.publish import write_file
from segment5b_lib.store.roots import notebooks_folder, outputs_folder

_LOOPBACK: Final = "127.0.0.1"
_NO_NEWS: Final = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


def lab_command(*, browser: bool) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of JupyterLab.

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
    _write(folder / "labconfig" / "page_config.json", _NO_NEWS)
    _write(folder / "kernels" / "python3" / "kernel.json", _kernel())
    arguments = [f"--ServerApp.ip={_LOOPBACK}", f"--ServerApp.root_dir={notebooks_folder()}"]
    if not browser:
        arguments.append("--ServerApp.open_browser=False")
    if os.geteuid() == 0:
        # Root in a container often has no other account; the address is loopback in any case.
        arguments.append("--ServerApp.allow_root=True")
    return [sys.executable, "-m", "jupyterlab", *arguments], _environment(folder)


def _kernel() -> dict[str, Any]:
    launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return {"argv": launch, "display_name": "Segment 5B", "language": "python"}


def _environment(folder: Path) -> dict[str, str]:
    """The caller's environment, with Jupyter's folders and the outputs folder set."""
    overrides = {
        "JUPYTER_CONFIG_DIR": str(folder),
        "JUPYTER_PATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])]),
        "SEGMENT5B_OUTPUTS": str(outputs_folder()),
    }
    return {**os.environ, **overrides}


def _write(path: Path, document: Mapping[str, Any]) -> None:
    write_file(path, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
