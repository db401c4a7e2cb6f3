"""`segment5b doctor`: check this machine, with the next step for each failed check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from segment5b_lib.cli.arguments import JsonOption, ThreadsOption, thread_count
from segment5b_lib.cli.screen import console, show_json

if TYPE_CHECKING:
    from segment5b_lib.cli.checks import DoctorCheck

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    scale: Annotated[str, typer.Option(help="Scale that disk and memory must be enough for.")] = "small",
    threads: ThreadsOption = 0,
    json: JsonOption = False,
) -> None:
    """Check versions, threads, disk, memory, time zones, charts and write access.

    Example: `segment5b doctor --scale authority`. Exit code 4 if a check fails.
    """
    from dataclasses import asdict

    from segment5b_lib.cli.checks import run_checks

    checks: list[DoctorCheck] = []
    for check in run_checks(scale, thread_count(threads)):
        checks.append(check)
        if not json:
            _show(check)
    if json:
        show_json([asdict(check) for check in checks])
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(4)


def _show(check: DoctorCheck) -> None:
    from rich.text import Text

    status = (f"{check.status:<5}", _COLOURS[check.status])
    console.print(Text.assemble(status, f"{check.name:<14}", check.found.replace("\n", "\n" + " " * 19)))
    if check.next_step:
        console.print(Text.assemble(" " * 19, ("next ", "dim"), check.next_step))
