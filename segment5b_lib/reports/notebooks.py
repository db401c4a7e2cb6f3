"""The notebooks that may be executed: typed parameters, and the phase that a notebook executes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field

from segment5b_lib.errors import MissingInputError, UsageError
from segment5b_lib.phases.engine.parameters import ANY_RUN, Parameters, RunName, RunNames, checked
from segment5b_lib.phases.engine.table import PHASES
from segment5b_lib.store.roots import executed_folder, notebooks_folder


class Clocks(Parameters):
    """Parameters of the investigation: its first zone and change."""

    run_id: RunName = Field("@last", description=ANY_RUN)
    zone: str = Field("", description="the zone to begin with; empty: the one with most wrong clocks")
    transition: str = Field(
        "", description="UTC date of one of its changes; empty: the one after which its clock is wrong"
    )


class Compared(Parameters):
    """Parameters of a comparison of runs."""

    run_id: RunName = Field(
        "@baseline", description="the run that the others are compared with: an id, the start of one, or a role"
    )
    others: RunNames = Field(["@last"], description="one or more runs that are compared with it")


@dataclass(frozen=True)
class Notebook:
    """One notebook of the installed set; `phase` is the phase that it executes, None for a read-only notebook."""

    name: str
    phase: str | None
    parameters: type[Parameters]
    verb: str = ""
    """The command that executes a notebook without a phase."""

    @property
    def command(self) -> str:
        """The command that executes it, without its run."""
        return f"segment5b {self.verb or f'phase {self.phase}'}"

    @property
    def source(self) -> Path:
        path = notebooks_folder() / f"{self.name}.ipynb"
        if not path.is_file():
            raise MissingInputError("5B.NOTEBOOK.MISSING", "an installed notebook is missing", where=str(path))
        return path

    def executed(self, run_id: str) -> Path:
        return executed_folder(run_id) / f"{self.name}.ipynb"

    def record(self, run_id: str) -> Path:
        return executed_folder(run_id) / f"{self.name}.record.json"

    def checked(self, values: Mapping[str, object]) -> Parameters:
        """Parameters by name and type, or an error that names the offender."""
        return checked(
            self.parameters,
            values,
            code="5B.NOTEBOOK.PARAMETER",
            where=f"notebook {self.name}",
            next_step="correct the parameter; no kernel has been started",
            needed=("run_id",),
        )


NOTEBOOKS: Final[dict[str, Notebook]] = {
    entry.name: entry
    for entry in (
        *(Notebook(phase.notebook, name, phase.parameters) for name, phase in PHASES.items()),
        Notebook("investigate_dst", None, Clocks, "investigate"),
        Notebook("compare_runs", None, Compared, "compare --page"),
    )
}
"""The installed set by name."""


def notebook(name: str) -> Notebook:
    """Look a notebook up; only these are ever executed."""
    try:
        return NOTEBOOKS[name]
    except KeyError:
        raise UsageError(
            "5B.NOTEBOOK.UNKNOWN", f"there is no notebook {name!r}", expected=", ".join(NOTEBOOKS), found=name
        ) from None


def notebook_of_phase(phase: str) -> Notebook:
    """The notebook that executes a phase, by the phase's name (`P0`)."""
    if phase.upper() not in PHASES:
        raise UsageError(
            "5B.NOTEBOOK.UNKNOWN_PHASE", f"there is no phase {phase!r}", expected=", ".join(PHASES), found=phase
        )
    return NOTEBOOKS[PHASES[phase.upper()].notebook]
