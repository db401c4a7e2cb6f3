"""Record of one execution of a notebook: how it ended, with headline, reasons and next commands.

Its summary is a cell of the notebook, below the question, so that JupyterLab and the page both have it, also after a
refusal, an error or a kernel that died.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from textwrap import shorten
from typing import Any, Final

import nbformat
from nbformat.v4 import new_markdown_cell
from pydantic import BaseModel, ConfigDict

from segment5b_lib.contract.colours import STATUS_COLOURS
from segment5b_lib.contract.words import ItemStatus, NotebookStatus
from segment5b_lib.errors import EnvironmentFault, GateRefusal, Segment5BError, StateError, context_of
from segment5b_lib.html_table import Markup, code, html_record, lines, spaced
from segment5b_lib.phases.engine.table import PHASES
from segment5b_lib.reports.notebooks import notebook
from segment5b_lib.store.publish import write_file

_LONGEST: Final = 400
"""Characters of one reason that a terminal shows."""
_MAX_LENGTH: Final = 240
"""Characters of one reason that the summary shows."""
_MAX_LINES: Final = 4
"""Reasons and commands of the summary; the others are in the page's own sections."""
_FAILURES: Final[dict[NotebookStatus, tuple[str, str, type[Segment5BError]]]] = {
    NotebookStatus.GATE_FAILED: ("refused", "says no", GateRefusal),
    NotebookStatus.FAILED: ("failed", "failed", StateError),
    NotebookStatus.TIMEOUT: ("timed out", "timed out", EnvironmentFault),
    NotebookStatus.KILLED: ("killed", "was killed", EnvironmentFault),
}
"""How a notebook ended that is not complete: as a headline, as a verb, and as an error."""
TAG: Final = "summary"
_PAPERMILL_BANNERS: Final = "papermill-error-cell-tag"


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
        _, verb, failure = _FAILURES[self.status]
        raise failure(
            f"5B.NOTEBOOK.{self.status.name}",
            f"{phase or self.notebook} {verb}: {first}",
            where=f"notebook {self.notebook}, run {self.run_id[:8]}",
            expected="a phase decision that opens the next phase" if phase else "every cell executed",
            found="; ".join(rest) or "no decision",
            done="the record is kept" + (", and the executed notebook and its page" if seen else ""),
            next_step="; ".join([*next_commands(self)[:1], *([f"open {self.page}"] if seen else [])]),
        )


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
    names, phase = list(PHASES), notebook(record.notebook).phase
    if phase is None or phase == names[-1]:
        return []
    follower = names[names.index(phase) + 1]
    return [f"segment5b {'certify' if follower == 'P4' else f'phase {follower}'} {record.run_id[:8]}"]


def summary_html(record: NotebookRecord, phase: str, label: str) -> str:
    """The summary as one HTML block; everything in it is escaped. `label` describes the run."""
    complete = record.status is NotebookStatus.COMPLETE
    colour = STATUS_COLOURS[ItemStatus.GREEN if complete else ItemStatus.RED]
    ended = "complete" if complete else _FAILURES[record.status][0]
    headline = record.decision if record.error is None and record.decision is not None else ended
    stamp = " · what-if: out of order, no evidence" if record.parameters.get("as_what_if") else ""
    commands = [code(command) for command in next_commands(record)]
    rows = [
        ("run", spaced(code(record.run_id), label)),
        ("found", _shown([shorten(line, _MAX_LENGTH, placeholder=" …") for line in reasons(record)])),
        ("next", _shown(commands or ["nothing: this phase is done"])),
    ]
    return (
        f'<div class="summary" style="border-left:6px solid {colour};padding-left:1em">'
        f'<p style="font-size:1.25em"><b>{escape(phase)} · {escape(headline)}</b>{stamp}</p>'
        f"{html_record(rows)}</div>"
    )


def _shown(texts: Sequence[str]) -> Markup:
    hidden = len(texts) - _MAX_LINES
    more = [f"… and {hidden} more below"] if hidden > 0 else []
    return lines(*texts[:_MAX_LINES], *more)


def insert_summary(path: Path, record: NotebookRecord, phase: str, label: str) -> None:
    """Put the summary below the question of an executed notebook, in place of papermill's own banners."""
    document = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    cells = [cell for cell in document.cells if _PAPERMILL_BANNERS not in cell.metadata.get("tags", [])]
    block = summary_html(record, phase, label)
    made = new_markdown_cell(block, id=TAG, metadata={"tags": [TAG]})  # type: ignore[no-untyped-call]  # nbformat has no types
    document.cells = [*cells[:1], made, *cells[1:]]
    write_file(path, nbformat.writes(document).encode())  # type: ignore[no-untyped-call]  # nbformat has no types
