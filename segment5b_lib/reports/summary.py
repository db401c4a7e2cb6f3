"""Summary of an executed notebook: how it ended, for which run, the reasons and the next steps.

It is a cell of the notebook, below the question, so that JupyterLab and the page both have it, also after a
refusal, an error or a kernel that died.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from textwrap import shorten
from typing import Final

import nbformat
from nbformat.v4 import new_markdown_cell

from segment5b_lib.contract.colours import STATUS_COLOURS
from segment5b_lib.contract.words import ItemStatus, NotebookStatus
from segment5b_lib.html_table import Markup, code, html_record, lines, spaced
from segment5b_lib.reports.record import NotebookRecord, headline, next_commands, reasons
from segment5b_lib.store.publish import write_file

TAG: Final = "summary"
_PAPERMILL_BANNERS: Final = "papermill-error-cell-tag"
_MAX_LINES: Final = 4
"""Reasons and commands that are shown; the others are in the page's own sections."""
_MAX_LENGTH: Final = 240
"""Characters of one reason that are shown."""


def summary_html(record: NotebookRecord, phase: str, label: str) -> str:
    """The summary as one HTML block; everything in it is escaped. `label` describes the run."""
    colour = STATUS_COLOURS[ItemStatus.GREEN if record.status is NotebookStatus.COMPLETE else ItemStatus.RED]
    stamp = " · what-if: out of order, no evidence" if record.parameters.get("as_what_if") else ""
    commands = [code(command) for command in next_commands(record)]
    rows = [
        ("run", spaced(code(record.run_id), label)),
        ("found", _shown([shorten(line, _MAX_LENGTH, placeholder=" …") for line in reasons(record)])),
        ("next", _shown(commands or ["nothing: this phase is done"])),
    ]
    return (
        f'<div class="summary" style="border-left:6px solid {colour};padding-left:1em">'
        f'<p style="font-size:1.25em"><b>{escape(phase)} · {escape(headline(record))}</b>{stamp}</p>'
        f"{html_record(rows)}</div>"
    )


def _shown(texts: Sequence[str]) -> Markup:
    hidden = len(texts) - _MAX_LINES
    more = [f"… and {hidden} more below"] if hidden > 0 else []
    return lines(*texts[:_MAX_LINES], *more)


def add_summary(path: Path, record: NotebookRecord, phase: str, label: str) -> None:
    """Put the summary below the question of an executed notebook, in place of papermill's own banners."""
    document = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    cells = [cell for cell in document.cells if _PAPERMILL_BANNERS not in cell.metadata.get("tags", [])]
    block = summary_html(record, phase, label)
    made = new_markdown_cell(block, id=TAG, metadata={"tags": [TAG]})  # type: ignore[no-untyped-call]  # nbformat has no types
    document.cells = [*cells[:1], made, *cells[1:]]
    write_file(path, nbformat.writes(document).encode())  # type: ignore[no-untyped-call]  # nbformat has no types
