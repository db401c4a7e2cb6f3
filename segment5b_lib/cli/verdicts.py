"""`segment5b score`, `compare` and `phase`: what the gates say of a run, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segment5b_lib.cli.arguments import JsonOption, RunArgument
from segment5b_lib.cli.screen import console, show_json

if TYPE_CHECKING:
    from rich.table import Table

    from segment5b_lib.gates.scorecard import Scorecard

_STYLES = {"pass_bplus": "bold green", "pass_b": "green", "fail": "bold red", "insufficient_power": "yellow"}
_COLUMNS = ("gate", "value", "verdict", "b", "bplus")
_WIDE = 130
"""Columns of a terminal from which on there is room for population and title."""
_SHORT = {"pass_bplus": "B+", "pass_b": "B", "fail": "FAIL", "insufficient_power": "no power"}


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
    """The gates as a table, then why some could not speak, who owns each failure, and what to do."""
    from segment5b_lib.phases.repair import next_steps

    identity = card.identity
    about = f"{identity['posture']}  seed {identity['seed']}  {identity['scale']}"
    console.print(f"run [bold]{identity['run_id'][:8]}[/]  {about}")
    rows = card.frame().to_dicts()
    wide = console.width >= _WIDE
    console.print(_table(rows, (*_COLUMNS, "population", "title") if wide else _COLUMNS))
    for row in rows:
        if row["reason"]:
            console.print(f"[dim]{row['gate']}: {row['reason']}[/]")
    for owner, gates in _by_owner(rows).items():
        console.print(f"[bold]{owner}[/] ({', '.join(gates)})")
    for step in next_steps(card).steps:
        console.print(f"next: {step.command}", soft_wrap=True)


def _by_owner(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Failed gates by owner and cause."""
    owners: dict[str, list[str]] = {}
    for row in rows:
        if row["owner"]:
            owners.setdefault(f"{row['owner']}: {row['cause']}", []).append(row["gate"])
    return owners


def _table(rows: list[dict[str, Any]], columns: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column({"b": "B", "bplus": "B+"}.get(name, name), no_wrap=True)
    for row in rows:
        cells = {**row, "verdict": f"[{_style(row['verdict'])}]{_short(row['verdict'])}[/]"}
        table.add_row(*(str(cells[name] or "") for name in columns))
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

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("gate", no_wrap=True, min_width=len("T1.operational"))
    table.add_column("", no_wrap=True, max_width=max(12, console.width - 17 - 22 * len(cards)))
    for card in cards:
        identity = card.identity
        heading = f"{identity['run_id'][:8]}\n{identity['posture']}\nseed {identity['seed']}"
        table.add_column(heading, no_wrap=True, min_width=20)
    for rows in zip(*(card.frame().to_dicts() for card in cards), strict=True):
        cells = [f"[{_style(row['verdict'])}]{row['value']}  {_short(row['verdict'])}[/]" for row in rows]
        table.add_row(rows[0]["gate"], rows[0]["title"], *cells)
    console.print(table)


def _short(verdict: str) -> str:
    return _SHORT.get(verdict, verdict.replace("_", " "))


def _style(verdict: str) -> str:
    return _STYLES.get(verdict, "dim")


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
        console.print(f"page {record.page}", soft_wrap=True)
    record.raise_for_status()
