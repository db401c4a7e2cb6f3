"""`segment5b phase`: a phase of the plan, executed as its notebook."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from segment5b_lib.cli.arguments import JsonOption, RunArgument, WhatIfOption
from segment5b_lib.cli.screen import console, show_json


class PhaseCommand(TyperCommand):
    """`segment5b phase`, whose parameters are made when it is called: most are those that the phases declare."""

    @cached_property
    def _whole(self) -> Any:
        from segment5b_lib.cli.phase_command import with_declared_options

        return with_declared_options(execute, phase.__doc__)

    def get_params(self, ctx: Any) -> Any:
        """The command's own parameters and the phases'."""
        return self._whole.get_params(ctx)

    def invoke(self, ctx: Any) -> Any:
        """Call `execute` with all of them."""
        return self._whole.invoke(ctx)


def phase() -> None:
    """Execute a phase as its notebook, for a run. Example: `segment5b phase P0 @baseline`.

    Leaves the executed notebook, an offline page and the phase's artefacts. Exit code 1 if a predecessor has not
    opened the phase, or if its decision does not open the next one.
    """


def execute(
    name: Annotated[str, typer.Argument(metavar="PHASE", help="POPT.0 to POPT.5, or P0 to P5.")],
    run: RunArgument = "@last",
    as_what_if: WhatIfOption = False,
    json: JsonOption = False,
    *,
    declared: Mapping[str, Any],
) -> None:
    """Execute a phase with the parameters that were given, `declared` being those of the phases."""
    what_if = {"as_what_if": True} if as_what_if else {}
    execute_phase(name, {"run_id": run, **declared, **what_if}, json=json)


def execute_phase(name: str, parameters: Mapping[str, Any], *, json: bool) -> None:
    """Execute a phase's notebook, print its decision, and raise the phase's refusal."""
    from segment5b_lib.contract.words import NotebookStatus
    from segment5b_lib.reports.execute import execute_notebook
    from segment5b_lib.reports.notebooks import notebook_of_phase

    record = execute_notebook(notebook_of_phase(name).name, parameters)
    if json:
        show_json(record.model_dump(mode="json"))
    elif record.status is NotebookStatus.COMPLETE:
        console.print(f"{name} complete: [bold]{record.decision}[/]")
        for reason in record.reasons:
            console.print(f"  {escape(reason)}", soft_wrap=True)
        console.print(f"page {record.page}", soft_wrap=True)
    record.raise_for_status()
