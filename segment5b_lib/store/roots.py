"""Where things are: parameters, notebooks and outputs.

The project is the folder named by `SEGMENT5B_HOME`, else the nearest parent of the working folder that
holds `parameters/policies`, else the checkout the library was installed from. A wheel carries its own copy
of parameters and notebooks. Outputs go to `SEGMENT5B_OUTPUTS`, else to `outputs/` in the project.
"""

from __future__ import annotations

import os
from pathlib import Path

from segment5b_lib.errors import MissingInputError

PACKAGE = Path(__file__).parents[1]
"""The installed library."""
_MARK = Path("parameters") / "policies"


def project_root() -> Path:
    """The project folder; the working folder where the library came as a wheel and no project is near."""
    named = os.environ.get("SEGMENT5B_HOME")
    if named:
        return Path(named).resolve()
    working_folder = Path.cwd().resolve()
    for folder in (working_folder, *working_folder.parents, PACKAGE.parent):
        if (folder / _MARK).is_dir():
            return folder
    return working_folder


def _shipped(name: str) -> Path:
    candidates = (project_root() / name, PACKAGE / "_shipped" / name)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise MissingInputError(
        "5B.STORE.NO_PROJECT",
        f"no folder {name!r} was found",
        expected=" or ".join(str(folder) for folder in candidates),
        next_step="run inside a checkout, or set SEGMENT5B_HOME to one",
    )


def parameters_folder() -> Path:
    """Folder with `policies/`, `postures/` and `worlds/`."""
    return _shipped("parameters")


def notebooks_folder() -> Path:
    """Folder of the notebook set; only these notebooks are ever executed."""
    return _shipped("notebooks")


def outputs_folder() -> Path:
    """Folder that holds `worlds/`, `runs/`, `reports/` and `notebooks/`; made when first written to."""
    named = os.environ.get("SEGMENT5B_OUTPUTS")
    return Path(named).resolve() if named else project_root() / "outputs"


def executed_folder(run_id: str) -> Path:
    """Folder of a run's executed notebooks, their records and pages."""
    return outputs_folder() / "notebooks" / run_id


def pages_of(run_id: str) -> list[Path]:
    """The offline pages of a run, newest first; none where no notebook has been executed for it."""
    return sorted(executed_folder(run_id).glob("*.html"), key=lambda page: page.stat().st_mtime, reverse=True)


def runs_folder() -> Path:
    return outputs_folder() / "runs"
