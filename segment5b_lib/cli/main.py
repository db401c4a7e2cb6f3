"""Entry point: the command tree, and the exit codes of errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

import typer

from segment5b_lib.cli import browse, calibrate, doctor, phase, runs, verdicts, world
from segment5b_lib.cli.terminal import errors, show_error
from segment5b_lib.errors import Segment5BError

_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "run": runs.run,
    "rerun": runs.rerun,
    "runs": runs.runs,
    "show": runs.show,
    "prune": runs.prune,
    "attach": runs.attach,
    "score": verdicts.score,
    "compare": verdicts.compare,
    "open": browse.open_page,
    "investigate": browse.investigate,
    "lab": browse.lab,
    "certify": phase.certify,
    "phase": phase.phase,
    "calibrate": calibrate.calibrate,
    "demo": phase.demo,
    "doctor": doctor.doctor,
}
"""The commands, in the order of the help page."""

app = typer.Typer(
    name="segment5b",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=(
        "Workbench for Segment 5B, arrival realisation: find a defect, prove its cause, fix it, certify it.\n\n"
        "A RUN is a run id, a prefix of one, or `@last`, `@baseline`, `@candidate`. "
        "Exit codes: 0 done, 1 a gate or phase says no, 2 wrong use, 3 bad input, 4 environment."
    ),
)
app.add_typer(world.app, name="world")
for name, command in _COMMANDS.items():
    app.command(name=name, cls=phase.PhaseCommand if name == "phase" else None)(command)


def _version(requested: bool) -> None:
    if requested:
        from segment5b_lib.version import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show it and stop."),
) -> None:
    del debug, version


def main() -> None:
    """Run the command line; the exit code is that of the error, if any."""
    try:
        app()
    except Segment5BError as error:
        if "--debug" in sys.argv:
            raise
        show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        errors.print("interrupted: nothing is half-written; the same command continues where it stopped")
        sys.exit(130)
