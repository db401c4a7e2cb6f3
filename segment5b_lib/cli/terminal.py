"""What the commands share: arguments, and output as text, tables or JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from segment5b_lib.errors import Segment5BError, UsageError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
_ENDLESS = 10_000
_ROLES = ("@last", "@baseline", "@candidate")


def thread_count(threads: int) -> int:
    """Threads as given, or for 0 one per core that this process may use."""
    return threads or len(os.sched_getaffinity(0))


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="One line per step instead of a live table.")]
ThreadsOption = Annotated[
    int,
    typer.Option(min=0, help="Threads; 0: one per core. Bytes do not depend on it.", callback=thread_count),
]
WhatIfOption = Annotated[bool, typer.Option("--as-what-if", help="Go ahead out of order; the result is not evidence.")]
PruneOption = Annotated[bool, typer.Option("--prune", help="Remove superseded runs first, without asking.")]
SetOption = Annotated[
    list[str], typer.Option("--set", help="KEY=VALUE, or @FILE with changes; may be repeated; VALUE is YAML.")
]


def complete_run(incomplete: str) -> list[str]:
    """Completions of RUN: roles, and the first eight digits of every run."""
    from segment5b_lib.store.roots import outputs_folder

    receipts = (path for kind in ("runs", "attached") for path in (outputs_folder() / kind).glob("*/run_receipt.json"))
    made = sorted(receipt.parent.name[:8] for receipt in receipts)
    return [name for name in (*_ROLES, *made) if name.startswith(incomplete)]


RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Run id or a prefix of one, or @last, @baseline, @candidate.", autocompletion=complete_run
    ),
]


def parse_changes(settings: Sequence[str]) -> dict[str, object]:
    """Settings as a mapping: `KEY=VALUE` with a YAML value, or `@FILE`, all changes of a file in a posture's form."""
    changes: dict[str, object] = {}
    for setting in settings:
        for key, value in _setting(setting).items():
            if key in changes:
                raise UsageError("5B.CLI.SETTING", "a key is set twice", where=key, expected="once", found=setting)
            changes[key] = value
    return changes


def _setting(setting: str) -> dict[str, object]:
    if setting.startswith("@"):
        from segment5b_lib.store.postures import load_changes

        return load_changes(Path(setting[1:]))
    key, equals, text = setting.partition("=")
    if not key or not equals:
        raise UsageError(
            "5B.CLI.SETTING",
            "a setting is neither KEY=VALUE nor @FILE",
            expected="--set routing.zone_binding=row_zone",
            found=setting,
        )
    try:
        return {key: yaml.safe_load(text)}
    except yaml.YAMLError as error:
        raise UsageError("5B.CLI.SETTING", "a value is not YAML", where=key, found=text) from error


def table_width() -> int:
    """Columns for a table: those of the terminal, unlimited without one."""
    return console.width if console.is_terminal or "COLUMNS" in os.environ else _ENDLESS


def show_table(table: Table) -> None:
    Console(highlight=False, width=table_width()).print(table)


def show_error(error: Segment5BError) -> None:
    """Code, what, where, expected, found, what was done, next command: one line each."""
    errors.print(Text.assemble((error.code, "bold red"), ": ", error.what), soft_wrap=True)
    for label, text in error.lines():
        errors.print(Text.assemble((f"  {label:<9}", "dim"), text), soft_wrap=True)


def show_json(document: Any) -> None:
    """One JSON document on standard output, for scripts."""
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True, default=str) + "\n")
