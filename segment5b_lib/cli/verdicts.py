"""`segment5b score` and `compare`: gate results of a run, or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from segment5b_lib.cli.terminal import (
    JsonOption,
    RunArgument,
    complete_run,
    console,
    show_json,
    show_table,
    table_width,
)

if TYPE_CHECKING:
    from segment5b_lib.gates.difference import Difference
    from segment5b_lib.gates.scorecard import Scorecard

_STYLES = {"pass_bplus": "bold green", "pass_b": "green", "fail": "bold red", "insufficient_power": "yellow"}
_COLUMNS = {
    "gate": "gate",
    "value": "value",
    "verdict": "verdict",
    "b": "B",
    "bplus": "B+",
    "distance": "distance",
    "owner": "owner",
    "population": "population",
    "title": "title",
    "provenance": "thresholds from",
    "produced_by": "measured by",
}
"""Columns of the scorecard's frame and their headings: a terminal shows as many of them as fit."""
_GAP = 2
_LABELS = {"pass_bplus": "B+", "pass_b": "B", "fail": "FAIL", "insufficient_power": "no power"}


def score(
    run: RunArgument = "@last",
    gate: Annotated[str, typer.Option(help="One gate in full, e.g. T1.")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure even if nothing has changed.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of --json, and stop.")] = False,
    json: JsonOption = False,
) -> None:
    """Measure every gate of a run by full scan. Example: `segment5b score @baseline --gate T1`.

    A scorecard is saved: while run, world and library are unchanged, it is read and not measured again. Exit
    code 1 if a hard gate (with --gate: the gate) does not pass.
    """
    from segment5b_lib.gates.scoring import scorecard, scorecard_schema
    from segment5b_lib.store.catalogue import find_run

    if schema:
        show_json(scorecard_schema())
        return
    scored = scorecard(find_run(run), fresh=fresh)
    if gate:
        _show_gate(scored, gate, json)
    elif json:
        show_json(scored.document())
    else:
        show_scorecard(scored)
    raise typer.Exit(0 if scored.stands(gate) else 1)


def show_scorecard(scorecard: Scorecard) -> None:
    """Print the gates as a table, then reasons without a verdict, owners of failures, and next steps."""
    from segment5b_lib.phases.engine.repair import next_steps

    console.print(_heading(scorecard))
    rows = scorecard.frame().to_dicts()
    shown = _visible_columns(rows, table_width())
    show_table(_table(rows, shown))
    for row in rows:
        if row["reason"]:
            console.print(f"[dim]{row['gate']}: {row['reason']}[/]")
    for owner, gates in _by_owner(rows).items():
        console.print(f"[bold]{owner}[/] ({', '.join(gates)})")
    for step in next_steps(scorecard).steps:
        console.print(f"next: {step.text}", soft_wrap=True)
    if hidden := [heading for name, heading in _COLUMNS.items() if name not in shown]:
        console.print(f"[dim]{', '.join(hidden)}: --gate GATE, --json, or a wider terminal[/]")


def _heading(scorecard: Scorecard) -> str:
    identity = scorecard.identity
    about = f"{identity['posture']}  seed {identity['seed']}  {identity['scale']}"
    origin = f"  [dim]{scorecard.origin.text}[/]" if scorecard.origin else ""
    return f"run [bold]{identity['run_id'][:8]}[/]  {about}{origin}"


def _show_gate(scorecard: Scorecard, gate: str, json: bool) -> None:
    """Print one gate line by line, with the details that fit a line; the rest is in the JSON."""
    result = scorecard.result(gate)
    if json:
        show_json(result.document())
        return
    (row,) = (row for row in scorecard.frame().to_dicts() if row["gate"] == gate)
    console.print(_heading(scorecard))
    lines = {_COLUMNS.get(name, name): row[name] for name in (*_COLUMNS, "reason", "cause", "command")}
    lines |= {name: value for name, value in result.detail.items() if not isinstance(value, (list, dict))}
    for name, value in lines.items():
        if value not in ("", None):
            console.print(f"[dim]{name:<24}[/] {value}", soft_wrap=True)
    if tables := [name for name, value in result.detail.items() if isinstance(value, (list, dict))]:
        console.print(f"[dim]{', '.join(tables)}: --json[/]")


def _by_owner(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Ids of the failed gates by `owner: cause`."""
    owners: dict[str, list[str]] = {}
    for row in rows:
        if row["owner"]:
            owners.setdefault(f"{row['owner']}: {row['cause']}", []).append(row["gate"])
    return owners


def _visible_columns(rows: list[dict[str, Any]], width: int) -> list[str]:
    """The first columns that fit the width; the first five always."""
    names, width_left = list(_COLUMNS), width
    for position, name in enumerate(names):
        texts = [_COLUMNS[name], *(_cell(row, name) for row in rows)]
        width_left -= max(len(text) for text in texts) + _GAP
        if width_left < 0 and position >= names.index("distance"):
            return names[:position]
    return names


def _table(rows: list[dict[str, Any]], columns: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, _GAP, 0, 0))
    for name in columns:
        table.add_column(_COLUMNS[name], no_wrap=True)
    for row in rows:
        cells = {name: _cell(row, name) for name in columns}
        table.add_row(*({**cells, "verdict": f"[{_style(row['verdict'])}]{cells['verdict']}[/]"}).values())
    return table


def _cell(row: dict[str, Any], name: str) -> str:
    return _verdict_label(row[name]) if name == "verdict" else str(row[name] or "")


def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help="Two or more runs.", autocompletion=complete_run)
    ],
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure even if nothing has changed.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Make a page of all differences instead.")] = False,
    json: JsonOption = False,
) -> None:
    """Gates of several runs side by side, and the verdicts that change from the first run to each other run.

    With --page also settings that differ, files that are equal, and times. Example:
    `segment5b compare @baseline @candidate --page`.
    """
    from segment5b_lib.cli.browse import make_page
    from segment5b_lib.gates.difference import Difference
    from segment5b_lib.gates.scoring import scorecard
    from segment5b_lib.store.catalogue import find_run

    if page:
        make_page("compare_runs", {"run_id": runs[0], "others": runs[1:]}, json=json)
        return
    scorecards = [scorecard(find_run(name), fresh=fresh) for name in runs]
    changes = [Difference(scorecards[0], other) for other in scorecards[1:]]
    if json:
        documents = [scored.document() for scored in scorecards]
        show_json({"scorecards": documents, "differences": [change.document() for change in changes]})
        return
    show_comparison(scorecards)
    for change in changes:
        _show_changes(change)


def _show_changes(change: Difference) -> None:
    """Print each gate whose verdict changed, with the change of its value."""
    before, after = (scorecard.identity["run_id"][:8] for scorecard in (change.before, change.after))
    rows = change.verdicts_changed().to_dicts()
    console.print(f"\nfrom {before} to {after}: {len(rows)} verdict(s) changed")
    for row in rows:
        verdicts = f"{_verdict_label(row['verdict_before'])} → {_verdict_label(row['verdict_after'])}"
        console.print(f"  {row['gate']:<15} {verdicts:<22} {row['change']:<14} {row['moved']}")


def show_comparison(scorecards: list[Scorecard]) -> None:
    """Print one row per gate and one column per run: value, coloured by verdict."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("gate", no_wrap=True, min_width=len("T1.operational"))
    table.add_column("", no_wrap=True, max_width=max(12, console.width - 17 - 22 * len(scorecards)))
    for scorecard in scorecards:
        identity = scorecard.identity
        heading = f"{identity['run_id'][:8]}\n{identity['posture']}\nseed {identity['seed']}"
        table.add_column(heading, no_wrap=True, min_width=20)
    for rows in zip(*(scorecard.frame().to_dicts() for scorecard in scorecards), strict=True):
        cells = [f"[{_style(row['verdict'])}]{row['value']}  {_verdict_label(row['verdict'])}[/]" for row in rows]
        table.add_row(rows[0]["gate"], rows[0]["title"], *cells)
    console.print(table)


def _verdict_label(verdict: str) -> str:
    return _LABELS.get(verdict, verdict.replace("_", " "))


def _style(verdict: str) -> str:
    return _STYLES.get(verdict, "dim")
