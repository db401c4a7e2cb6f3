"""Terminal output: errors in a few lines, JSON for scripts, tables, and progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from segment5b_lib.engine import reporting
from segment5b_lib.errors import Segment5BError

if TYPE_CHECKING:
    from segment5b_lib.engine.reporting import Listener

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
_ENDLESS = 10_000


def table_width() -> int:
    """Columns for a table: those of the terminal, unlimited without one."""
    return console.width if console.is_terminal or "COLUMNS" in os.environ else _ENDLESS


def show_table(table: Table) -> None:
    """Print a table as wide as the terminal allows."""
    Console(highlight=False, width=table_width()).print(table)


def show_error(error: Segment5BError) -> None:
    """Code, what, where, expected, found, what was done, next command: one line each."""
    errors.print(Text.assemble((error.code, "bold red"), ": ", error.what), soft_wrap=True)
    for label, text in error.lines():
        errors.print(Text.assemble((f"  {label:<9}", "dim"), text), soft_wrap=True)


def show_json(document: Any) -> None:
    """One JSON document on standard output, for scripts."""
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True, default=str) + "\n")


@contextmanager
def progress_listener(quiet: bool) -> Iterator[Listener]:
    """The listener for the terminal: a live table; lines without a terminal or if `quiet`."""
    with reporting.progress_listener(console, quiet=quiet) as listener:
        yield listener
