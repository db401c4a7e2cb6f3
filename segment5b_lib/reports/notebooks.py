"""The notebooks that may be executed: typed parameters, and, where one executes a phase, whose artefacts prove it.

papermill warns about an unknown parameter and goes on, and YAML turns `12:30` into 750; so parameters are
checked here, by name and type, before a kernel starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from segment5b_lib.errors import MissingInputError, UsageError
from segment5b_lib.phases.popt_figures import PUBLISHED
from segment5b_lib.phases.popt_pair import is_figures
from segment5b_lib.store.roots import executed_folder, notebooks_folder
from segment5b_lib.store.runs import open_run


class Parameters(BaseModel):
    """Parameters of a notebook: known names only, exact types.

    A run is named by an id, a prefix, or a role such as `@last`; `resolved` turns the names into ids, so that the
    record of an execution says what was looked at and not what it was called that day.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    run_id: str
    """The run that the notebook is about. Not `run`: IPython takes a line that begins with `run:` for a magic."""

    def resolved(self) -> Self:
        """The same with run ids for names."""
        return self.model_copy(update={"run_id": open_run(self.run_id).run_id})


class OfPhase(Parameters):
    """And what a notebook that executes a phase is told besides."""

    as_what_if: bool = False
    """Go ahead out of order; what is found is stamped and counts for nothing."""


class WithBaseline(OfPhase):
    """And the run that it is compared with."""

    baseline: str = "@baseline"

    def resolved(self) -> Self:
        """The same with run ids for names."""
        return super().resolved().model_copy(update={"baseline": open_run(self.baseline).run_id})


class AgainstFigures(OfPhase):
    """And what it is measured against: a run, the name of a shipped file of figures, or the path of another."""

    baseline: str = PUBLISHED

    def resolved(self) -> Self:
        """The same with a run id for a run's name."""
        baseline = self.baseline if is_figures(self.baseline) else open_run(self.baseline).run_id
        return super().resolved().model_copy(update={"baseline": baseline})


class WithWaiver(AgainstFigures):
    """And the reason for which a target that was missed is let pass; empty: none."""

    waiver: str = ""


class WithWitnesses(WithBaseline):
    """And runs of other seeds that must say the same."""

    witnesses: list[str] = []

    def resolved(self) -> Self:
        """The same with run ids for names."""
        return super().resolved().model_copy(update={"witnesses": [open_run(name).run_id for name in self.witnesses]})


class WithPanel(OfPhase):
    """And the runs of the other seeds that are certified with it."""

    panel: list[str] = []

    def resolved(self) -> Self:
        """The same with run ids for names."""
        return super().resolved().model_copy(update={"panel": [open_run(name).run_id for name in self.panel]})


class Clocks(Parameters):
    """And where the investigation of the clock begins; empty: at the most telling place."""

    zone: str = ""
    transition: str = ""
    """UTC date (YYYY-MM-DD) of one of the zone's changes of offset."""


class WithOthers(Parameters):
    """And the runs that are compared with it."""

    others: list[str] = []

    def resolved(self) -> Self:
        """The same with run ids for names."""
        return super().resolved().model_copy(update={"others": [open_run(name).run_id for name in self.others]})


def _type_name(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


@dataclass(frozen=True)
class Notebook:
    """One notebook of the installed set; `phase` is the one that it executes, None for those that only look."""

    name: str
    phase: str | None
    parameters: type[Parameters]
    verb: str = ""
    """The command that executes a notebook without a phase."""

    @property
    def command(self) -> str:
        """What executes it, to be followed by a run."""
        return f"segment5b {self.verb or f'phase {self.phase}'}"

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
                f"there is no parameter {name}" if first["type"] == "extra_forbidden" else f"{first['msg']}: {name}",
                where=f"notebook {self.name}, parameter {name}",
                expected=", ".join(f"{field} ({_type_name(info.annotation)})" for field, info in fields.items()),
                found=repr(first.get("input"))[:200],
                next_step="correct the parameter; no kernel has been started",
            ) from error


NOTEBOOKS: Final[dict[str, Notebook]] = {
    entry.name: entry
    for entry in (
        Notebook("popt0_baseline_and_hotspots", "POPT.0", OfPhase),
        Notebook("popt1_s1_domain", "POPT.1", AgainstFigures),
        Notebook("popt2_s4_expansion", "POPT.2", AgainstFigures),
        Notebook("popt3_s2_s3_throughput", "POPT.3", WithWaiver),
        Notebook("popt4_validation_and_logging", "POPT.4", OfPhase),
        Notebook("popt5_performance_certification", "POPT.5", OfPhase),
        Notebook("p0_realism_baseline", "P0", OfPhase),
        Notebook("p1_civil_time", "P1", WithWitnesses),
        Notebook("p2_calibration", "P2", WithWitnesses),
        Notebook("p3_contract_hardening", "P3", OfPhase),
        Notebook("p4_certification", "P4", WithPanel),
        Notebook("p5_freeze", "P5", OfPhase),
        Notebook("investigate_dst", None, Clocks, "investigate"),
        Notebook("compare_runs", None, WithOthers, "compare --page"),
    )
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


def notebook_of_phase(phase: str) -> Notebook:
    """The notebook that executes a phase, by the phase's name (`P0`)."""
    known = {entry.phase: entry for entry in NOTEBOOKS.values() if entry.phase is not None}
    if phase.upper() not in known:
        raise UsageError(
            "5B.NOTEBOOK.UNKNOWN_PHASE",
            f"there is no phase {phase!r}",
            expected=", ".join(known),
            found=phase,
        )
    return known[phase.upper()]
