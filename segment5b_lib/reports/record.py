"""Record of one execution of a notebook: how it ended, with headline, reasons and next commands."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from segment5b_lib.contract.words import NotebookStatus
from segment5b_lib.errors import EnvironmentFault, GateRefusal, Segment5BError, StateError, context_of
from segment5b_lib.reports.notebooks import NOTEBOOKS, notebook

_LONGEST: Final = 400
"""Characters of one reason that a terminal shows."""
_OUTCOMES: Final = {
    NotebookStatus.GATE_FAILED: "says no",
    NotebookStatus.FAILED: "failed",
    NotebookStatus.TIMEOUT: "timed out",
    NotebookStatus.KILLED: "was killed",
}
_EXCEPTIONS: Final[dict[NotebookStatus, type[Segment5BError]]] = {
    NotebookStatus.GATE_FAILED: GateRefusal,
    NotebookStatus.FAILED: StateError,
    NotebookStatus.TIMEOUT: EnvironmentFault,
    NotebookStatus.KILLED: EnvironmentFault,
}
_ENDED: Final = {
    NotebookStatus.COMPLETE: "complete",
    NotebookStatus.GATE_FAILED: "refused",
    NotebookStatus.FAILED: "failed",
    NotebookStatus.TIMEOUT: "timed out",
    NotebookStatus.KILLED: "killed",
}


class NotebookRecord(BaseModel):
    """How one execution of a notebook ended. Written in every case; paths are relative to outputs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    notebook: str
    run_id: str
    parameters: dict[str, Any]
    status: NotebookStatus
    decision: str | None
    artefacts: list[str]
    error: dict[str, str] | None
    reasons: list[str]
    next_steps: list[str]
    started_utc: str
    finished_utc: str
    elapsed_seconds: float
    library_version: str

    @property
    def executed(self) -> Path:
        return notebook(self.notebook).executed(self.run_id)

    @property
    def page(self) -> Path:
        """The offline HTML next to it."""
        return self.executed.with_suffix(".html")

    def raise_for_status(self) -> None:
        """Raise unless the notebook is complete: a refusal (exit 1), a failure (3), or the machine's (4)."""
        if self.status is NotebookStatus.COMPLETE:
            return
        phase, seen = notebook(self.notebook).phase, self.page.is_file()
        first, *rest = [shorten(line, _LONGEST, placeholder=" …") for line in reasons(self)]
        if self.error is None and self.decision:
            first, rest = self.decision, [first, *rest]
        raise _EXCEPTIONS[self.status](
            f"5B.NOTEBOOK.{self.status.name}",
            f"{phase or self.notebook} {_OUTCOMES[self.status]}: {first}",
            where=f"notebook {self.notebook}, run {self.run_id[:8]}",
            expected="a phase decision that opens the next phase" if phase else "every cell executed",
            found="; ".join(rest) or "no decision",
            done="the record is kept" + (", and the executed notebook and its page" if seen else ""),
            next_step="; ".join([*next_commands(self)[:1], *([f"open {self.page}"] if seen else [])]),
        )


def headline(record: NotebookRecord) -> str:
    """The decision, or how the notebook ended without one."""
    if record.error is None and record.decision is not None:
        return record.decision
    return _ENDED[record.status]


def reasons(record: NotebookRecord) -> list[str]:
    """The error, or the decision's reasons, most important first."""
    if record.status is NotebookStatus.TIMEOUT:
        return ["a cell exceeded its time limit, so there is no decision"]
    if record.status is NotebookStatus.KILLED:
        return ["the notebook was killed before its decision: by hand, or out of memory"]
    if record.error is not None:
        context = context_of(record.error["what"])
        first = f"{context.pop('code', record.error['kind'])}: {context.pop('what')}"
        parts = [first, *(f"{label:<9}{text}" for label, text in context.items() if label != "next")]
        return [line.strip() for part in parts for line in part.splitlines() if line.strip()]
    if record.decision is None:
        return ["the phase has left no new artefact"]
    return list(record.reasons) or ["every item of the definition of done is closed"]


def next_commands(record: NotebookRecord) -> list[str]:
    """Next step of the error or of the phase, else the same command again."""
    next_step = context_of(record.error["what"]).get("next") if record.error else None
    if next_step:
        return [next_step]
    what_if = " --as-what-if" if record.parameters.get("as_what_if") else ""
    again = f"{notebook(record.notebook).command} {record.run_id[:8]}{what_if}"
    if record.status in (NotebookStatus.KILLED, NotebookStatus.TIMEOUT):
        return ["segment5b doctor", again]
    return list(record.next_steps) or ([again] if record.status is not NotebookStatus.COMPLETE else _following(record))


def _following(record: NotebookRecord) -> list[str]:
    """Command of the next phase in the plan's order; none after the last, or for a notebook without a phase."""
    names = [entry.phase for entry in NOTEBOOKS.values() if entry.phase is not None]
    phase = notebook(record.notebook).phase
    if phase is None or phase == names[-1]:
        return []
    follower = names[names.index(phase) + 1]
    return [f"segment5b {'certify' if follower == 'P4' else f'phase {follower}'} {record.run_id[:8]}"]
