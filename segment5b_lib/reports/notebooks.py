"""The notebooks that may be executed: typed parameters, and the phase whose artefacts prove success.

papermill warns about an unknown parameter and goes on, and YAML turns `12:30` into 750; so parameters are
checked here, by name and type, before a kernel starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from segment5b_lib.errors import MissingInputError, UsageError
from segment5b_lib.store.roots import notebooks_folder, outputs_folder


class Parameters(BaseModel):
    """Parameters of a notebook: known names only, exact types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    run_id: str
    """The run that the notebook is about: an id, a prefix, or a role such as `@last`.

    Not `run`: IPython takes a line that begins with `run:` for its magic of that name.
    """


@dataclass(frozen=True)
class Notebook:
    """One notebook of the installed set; `phase` is the one that it executes."""

    name: str
    phase: str
    parameters: type[Parameters]

    @property
    def source(self) -> Path:
        """The installed notebook."""
        path = notebooks_folder() / f"{self.name}.ipynb"
        if not path.is_file():
            raise MissingInputError("5B.NOTEBOOK.MISSING", "an installed notebook is missing", where=str(path))
        return path

    def executed(self, run_id: str) -> Path:
        """Where the executed notebook of a run lies."""
        return executed_folder(run_id) / f"{self.name}.ipynb"

    def record(self, run_id: str) -> Path:
        """Where the record of the latest execution lies."""
        return executed_folder(run_id) / f"{self.name}.record.json"

    def checked(self, values: Mapping[str, Any]) -> Parameters:
        """Parameters by name and type, or an error that names the offender."""
        try:
            return self.parameters.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            fields = self.parameters.model_fields
            raise UsageError(
                "5B.NOTEBOOK.PARAMETER",
                f"{first['msg']}: {name}",
                where=f"notebook {self.name}, parameter {name}",
                expected=", ".join(f"{field} ({info.annotation})" for field, info in fields.items()),
                found=repr(first.get("input"))[:200],
                next_step="correct the parameter; no kernel has been started",
            ) from error


NOTEBOOKS: Final[dict[str, Notebook]] = {
    entry.name: entry for entry in (Notebook("p0_realism_baseline", "p0", Parameters),)
}
"""The installed set by name."""


def notebook(name: str) -> Notebook:
    """Look a notebook up; only these are ever executed."""
    try:
        return NOTEBOOKS[name]
    except KeyError:
        raise UsageError(
            "5B.NOTEBOOK.UNKNOWN",
            f"there is no notebook {name!r}",
            expected=", ".join(NOTEBOOKS),
            found=name,
        ) from None


def executed_folder(run_id: str) -> Path:
    """Folder of a run's executed notebooks, their records and pages."""
    return outputs_folder() / "notebooks" / run_id


def notebook_of_phase(phase: str) -> Notebook:
    """The notebook that executes a phase, by the phase's name (`P0`)."""
    known = {entry.phase.upper(): entry for entry in NOTEBOOKS.values()}
    if phase.upper() not in known:
        raise UsageError(
            "5B.NOTEBOOK.UNKNOWN_PHASE",
            f"there is no phase {phase!r}",
            expected=", ".join(known),
            found=phase,
        )
    return known[phase.upper()]
