"""Arguments that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
import yaml

from segment5b_lib.errors import UsageError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="One line per step instead of a live table.")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="Threads; 0: one per core. Bytes do not depend on it.")]
SetOption = Annotated[list[str], typer.Option("--set", help="KEY=VALUE, may be repeated; VALUE is YAML.")]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Run id or a prefix of one, or @last, @baseline, @candidate.")
]


def parse_changes(settings: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` settings as a mapping; values are YAML scalars, lists or maps."""
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not key or not equals or key in changes:
            raise UsageError(
                "5B.CLI.SETTING",
                "a setting is not KEY=VALUE, or its key is given twice",
                expected="--set routing.zone_binding=row_zone",
                found=setting,
            )
        try:
            changes[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError("5B.CLI.SETTING", "a value is not YAML", where=key, found=text) from error
    return changes


def thread_count(threads: int) -> int:
    """The number of threads to use: as given, or one per core that this process may use."""
    import os

    return threads or len(os.sched_getaffinity(0))
