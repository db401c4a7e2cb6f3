"""`segment5b phase`: a phase of the plan, executed as its notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape

from segment5b_lib.cli.arguments import JsonOption, RunArgument, WhatIfOption, complete_run
from segment5b_lib.cli.screen import console, show_json


def phase(
    name: Annotated[str, typer.Argument(metavar="PHASE", help="POPT.0 to POPT.5, or P0 to P5.")],
    run: RunArgument = "@last",
    baseline: Annotated[
        str | None,
        typer.Option(
            help="The run to compare with, by default @baseline; POPT.1 to POPT.3 also take a file of figures, "
            "by default the plan's (published_run).",
            autocompletion=complete_run,
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(help="A run of another seed that must give the same verdict; may be repeated."),
    ] = None,
    waiver: Annotated[str | None, typer.Option(help="POPT.3: why a target may be missed within its stretch.")] = None,
    as_what_if: WhatIfOption = False,
    json: JsonOption = False,
) -> None:
    """Execute a phase as its notebook, for a run. Example: `segment5b phase P0 @baseline`.

    Leaves the executed notebook, an offline page and the phase's artefacts. Exit code 1 if a predecessor has not
    opened the phase, or if its decision does not open the next one.
    """
    given = {"baseline": baseline, "witnesses": witness, "waiver": waiver, "as_what_if": as_what_if or None}
    parameters = {"run_id": run, **{key: value for key, value in given.items() if value is not None}}
    execute_phase(name, parameters, json=json)


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
