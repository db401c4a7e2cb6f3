"""`segment5b score`, `compare` and `phase`: what the gates say of a run, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from segment5b_lib.cli.arguments import JsonOption, RunArgument
from segment5b_lib.cli.screen import console, show_json

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table

    from segment5b_lib.gates.scorecard import Scorecard

_STYLES = {"pass_bplus": "bold green", "pass_b": "green", "fail": "bold red", "insufficient_power": "yellow"}


def register(app: typer.Typer) -> None:
    """Add these commands to the command tree."""
    for command in (score, compare, phase):
        app.command()(command)


def score(
    run: RunArgument = "@last",
    gate: Annotated[str, typer.Option(help="One gate in full, e.g. T1.")] = "",
    json: JsonOption = False,
) -> None:
    """Measure every gate of a run by full scan. Example: `segment5b score @baseline --gate T1`.

    Exit code 1 where a hard gate does not pass.
    """
    from segment5b_lib.gates.scorecard import score as measure
    from segment5b_lib.store.runs import open_run

    card = measure(open_run(run))
    if gate:
        show_json(card.result(gate).document())
        raise typer.Exit(0 if card.result(gate).passed else 1)
    if json:
        show_json(card.document())
    else:
        show_scorecard(card)
    raise typer.Exit(0 if card.hard_gates_pass else 1)


def show_scorecard(card: Scorecard) -> None:
    """The gates as a table: value, thresholds, verdict, population, and the owner of each failure."""
    identity = card.identity
    about = f"{identity['posture']}  seed {identity['seed']}  {identity['scale']}"
    console.print(f"run [bold]{identity['run_id'][:8]}[/]  {about}")
    rows = card.frame()
    console.print(_table(rows, ["gate", "title", "value", "b", "bplus", "verdict", "population", "owner"]))
    for row in rows.filter(rows["reason"] != "").to_dicts():
        console.print(f"[dim]{row['gate']}: {row['reason']}[/]")
    for command in dict.fromkeys(rows.filter(rows["command"] != "")["command"]):
        console.print(f"next: {command}")


def _table(frame: pl.DataFrame, columns: list[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column({"b": "B", "bplus": "B+"}.get(name, name), no_wrap=name != "title")
    for row in frame.to_dicts():
        cells = [str(row[name] if row[name] is not None else "") for name in columns]
        table.add_row(*(f"[{_STYLES[cell]}]{cell}[/]" if cell in _STYLES else cell for cell in cells))
    return table


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Two or more runs.")],
    json: JsonOption = False,
) -> None:
    """Gates of several runs side by side. Example: `segment5b compare @baseline @candidate`."""
    from segment5b_lib.gates.scorecard import score as measure
    from segment5b_lib.store.runs import open_run

    cards = [measure(open_run(name)) for name in runs]
    if json:
        show_json([card.document() for card in cards])
    else:
        show_comparison(cards)


def show_comparison(cards: list[Scorecard]) -> None:
    """One row per gate, one column per run: value, coloured by verdict."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("gate")
    table.add_column("")
    for card in cards:
        identity = card.identity
        table.add_column(f"{identity['run_id'][:8]}\n{identity['posture']}, seed {identity['seed']}")
    for rows in zip(*(card.frame().to_dicts() for card in cards), strict=True):
        cells = [f"[{_STYLES.get(row['verdict'], 'dim')}]{row['value']}  {row['verdict']}[/]" for row in rows]
        table.add_row(rows[0]["gate"], rows[0]["title"], *cells)
    console.print(table)


def phase(
    name: Annotated[str, typer.Argument(metavar="PHASE", help="P0: realism baseline.")],
    run: RunArgument = "@last",
    json: JsonOption = False,
) -> None:
    """Execute a phase as its notebook, for a run. Example: `segment5b phase P0 @baseline`.

    Leaves the executed notebook, an offline page and the phase's artefacts. Exit code 1 where the decision
    does not open the next phase.
    """
    from segment5b_lib.reports.execute import execute_notebook
    from segment5b_lib.reports.notebooks import notebook_of_phase

    record = execute_notebook(notebook_of_phase(name).name, {"run_id": run})
    if json:
        show_json(record.model_dump(mode="json"))
    else:
        console.print(f"{name} {record.status.value}: [bold]{record.decision or 'no decision'}[/]")
        console.print(f"page {record.page}")
    record.raise_for_status()
