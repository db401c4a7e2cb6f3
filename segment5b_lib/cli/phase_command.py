"""`segment5b phase` with the options that the phases declare (`phases.engine.parameters`), made when they are needed.

The declarations need libraries that `segment5b --help` should not load, so that the command tree has its name and help
only, and takes its parameters from here once it is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from segment5b_lib.cli.arguments import complete_run
from segment5b_lib.phases.engine.parameters import Resolves, option_name
from segment5b_lib.reports.notebooks import NOTEBOOKS

_NOT_OPTIONS = ("run_id", "as_what_if")
"""Parameters that the command itself names."""


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
    models = {entry.phase: entry.parameters for entry in NOTEBOOKS.values() if entry.phase is not None}
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
