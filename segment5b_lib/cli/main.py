"""Entry point: the command tree, and one place where errors become exit codes."""

from __future__ import annotations

import sys

import typer

from segment5b_lib.cli import attach, browse, calibrate, certify, demo, doctor, phase, runs, verdicts, world
from segment5b_lib.cli.screen import errors, show_error
from segment5b_lib.errors import Segment5BError

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
runs.register(app)
attach.register(app)
verdicts.register(app)
browse.register(app)
certify.register(app)
phase.register(app)
calibrate.register(app)
demo.register(app)
doctor.register(app)


def _version(wanted: bool) -> None:
    if wanted:
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
    """Run the command line and exit with the code of what happened."""
    try:
        app()
    except Segment5BError as error:
        if "--debug" in sys.argv:
            raise
        show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        errors.print("interrupted: nothing is half-written; the same command goes on where it stopped")
        sys.exit(130)
