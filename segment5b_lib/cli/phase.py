"""`segment5b phase`, `certify` and `demo`: phases of the plan, executed as their notebooks.

The options of `phase` are those that the phases declare (`phases.engine.parameters`). The declarations need libraries
that `segment5b --help` should not load, so that the command tree has its name and help only, and takes its parameters
from here once it is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from segment5b_lib.cli.runs import prune_superseded
from segment5b_lib.cli.terminal import (
    JsonOption,
    PruneOption,
    QuietOption,
    RunArgument,
    ThreadsOption,
    WhatIfOption,
    complete_run,
    console,
    show_json,
)
from segment5b_lib.engine.reporting import progress_listener
from segment5b_lib.errors import UsageError

_NOT_OPTIONS = ("run_id", "as_what_if")
"""Parameters that the command itself names."""


class PhaseCommand(TyperCommand):
    """`segment5b phase`, whose parameters are made when it is called: most are those that the phases declare."""

    @cached_property
    def _whole(self) -> Any:
        return with_declared_options(execute_declared, phase.__doc__)

    def get_params(self, ctx: Any) -> Any:
        return self._whole.get_params(ctx)

    def invoke(self, ctx: Any) -> Any:
        return self._whole.invoke(ctx)


def phase() -> None:
    """Execute a phase as its notebook, for a run. Example: `segment5b phase P0 @baseline`.

    Leaves the executed notebook, an offline page and the phase's artefacts. Exit code 1 if a predecessor has not
    opened the phase, or if its decision does not open the next one.
    """


def execute_declared(
    name: Annotated[str, typer.Argument(metavar="PHASE", help="POPT.0 to POPT.5, or P0 to P5.")],
    run: RunArgument = "@last",
    as_what_if: WhatIfOption = False,
    json: JsonOption = False,
    *,
    declared: Mapping[str, object],
) -> None:
    """Execute a phase with the parameters that were given, `declared` being those of the phases."""
    what_if = {"as_what_if": True} if as_what_if else {}
    execute_phase(name, {"run_id": run, **declared, **what_if}, json=json)


def execute_phase(name: str, parameters: Mapping[str, object], *, json: bool) -> None:
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


def with_declared_options(command: Callable[..., None], text: str | None) -> Any:
    """The command with one more option for every parameter that a phase declares; they arrive as `declared`."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    options = {option.name: option for option in declared_options()}

    def called(**given: Any) -> None:
        declared = {name: given.pop(name) for name in options}
        command(**given, declared={name: value for name, value in declared.items() if value is not None})

    parameters = [parameter for parameter in own if parameter.name != "declared"] + list(options.values())
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    called.__doc__ = text
    scratch = typer.Typer(rich_markup_mode="markdown", add_completion=False)
    scratch.command()(called)
    return typer.main.get_command(scratch)


def declared_options() -> Iterator[inspect.Parameter]:
    """One option for each parameter name, whose help says what it means to which phase."""
    from segment5b_lib.phases.engine.parameters import Resolves, option_name
    from segment5b_lib.phases.engine.table import PHASES

    models = {name: phase.parameters for name, phase in PHASES.items()}
    names = dict.fromkeys(name for model in models.values() for name in model.model_fields if name not in _NOT_OPTIONS)
    for name in names:
        fields = {phase: model.model_fields[name] for phase, model in models.items() if name in model.model_fields}
        meanings: dict[str, list[str]] = {}
        for phase, field in fields.items():
            meanings.setdefault(field.description or "", []).append(phase)
        first = next(iter(fields.values()))
        several = first.annotation is not str
        option = typer.Option(
            f"--{option_name(name, first)}",
            help="; ".join(f"{', '.join(phases)}: {meaning}" for meaning, phases in meanings.items())
            + (" (may be repeated)" if several else ""),
            autocompletion=complete_run if any(isinstance(mark, Resolves) for mark in first.metadata) else None,
        )
        kind: Any = list[str] | None if several else str | None
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option])


def certify(
    run: RunArgument = "@candidate",
    seeds: Annotated[str, typer.Option(help="Comma-separated; by default those of the policy.")] = "",
    as_what_if: WhatIfOption = False,
    prune_first: PruneOption = False,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Run a candidate's world and policies on every required seed, then P4. Example: `segment5b certify @candidate`.

    Existing runs are not made again. Exit code 1 if the class is HOLD_REMEDIATE, or P3 has not opened P4.
    """
    from segment5b_lib.engine.chain import panel
    from segment5b_lib.store.catalogue import find_run

    chosen = find_run(run)
    prune_superseded([chosen], quiet=quiet or json, prune_first=prune_first)
    required = _parsed(seeds) or list(chosen.policies.validation.stability.required_seeds)
    with progress_listener(console, quiet=quiet or json) as listener:
        others = panel(chosen, required, threads=threads, listener=listener)
    parameters = {"run_id": chosen.run_id, "panel": [other.run_id for other in others], "as_what_if": as_what_if}
    execute_phase("P4", parameters, json=json)


def _parsed(seeds: str) -> list[int]:
    try:
        return [int(seed) for seed in seeds.split(",") if seed.strip()]
    except ValueError:
        raise UsageError("5B.CLI.SEEDS", "seeds are whole numbers", expected="e.g. 42,7,101,202", found=seeds) from None


def demo(
    scale: Annotated[str, typer.Option(help="Name of a file in parameters/worlds.")] = "small",
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Walk the plan: published run, POPT.0 to POPT.5, P0, P1 with 2A reopened, P2 with 3B reopened, P3, P4, P5.

    Every phase is executed as its notebook; the demo stops at a decision that is neither open nor expected.
    Example: `segment5b demo`.
    """
    from segment5b_lib.cli.demo import walk

    walk(scale, threads, quiet=quiet)
