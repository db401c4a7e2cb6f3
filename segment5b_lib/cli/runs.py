"""`segment5b run`, `rerun`, `runs`, `show`, `prune`: making runs and keeping them in order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segment5b_lib.cli.arguments import (
    JsonOption,
    PruneOption,
    QuietOption,
    RunArgument,
    SetOption,
    ThreadsOption,
    complete_run,
    parse_changes,
    thread_count,
)
from segment5b_lib.cli.screen import console, show_json, show_table, watching
from segment5b_lib.errors import UsageError
from segment5b_lib.store.documents import read_json

if TYPE_CHECKING:
    from segment5b_lib.engine.retention import Leftover, Superseded
    from segment5b_lib.store.runs import Run


def register(app: typer.Typer) -> None:
    """Add these commands to the command tree."""
    for command in (run, rerun, runs, show, prune):
        app.command()(command)


def run(
    states: Annotated[list[str] | None, typer.Argument(metavar="[S0..S5]", help="All by default.")] = None,
    world: Annotated[str, typer.Option(help="World fingerprint or prefix; the only world by default.")] = "",
    posture: Annotated[str, typer.Option(help="A named set of policies.")] = "published",
    seed: Annotated[int, typer.Option(min=0, help="Drives S2 to S4.")] = 42,
    changes: SetOption = [],  # noqa: B006 - typer reads the default, nobody writes to it
    repeat: Annotated[int, typer.Option(min=0, help="Make this many further runs of the same inputs.")] = 0,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Run states S0 to S5. Example: `segment5b run --posture published --seed 42`.

    The same inputs give the same run; what is complete already is not done again.
    """
    from segment5b_lib.engine.chain import create_run
    from segment5b_lib.engine.retention import pin_new
    from segment5b_lib.store.postures import load_posture, with_changes
    from segment5b_lib.store.worlds import open_world

    policies = with_changes(load_posture(posture), settings := parse_changes(changes))
    chosen = open_world(world)
    for nonce in range(1, repeat + 1) if repeat else (0,):
        made = create_run(chosen, policies, seed=seed, posture=posture, nonce=nonce, changes=settings)
        _execute(made, states, thread_count(threads), quiet=quiet or json, json=json)
        pin_new(made)
        _report(made, json)


def rerun(
    changed: Annotated[str, typer.Option(help="First state that changes, S0 to S5.")],
    parent: Annotated[str, typer.Option("--run", help="Run to start from.", autocompletion=complete_run)] = "@last",
    changes: SetOption = [],  # noqa: B006 - typer reads the default, nobody writes to it
    prune_first: PruneOption = False,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Rerun a changed state and all after it, in a new run that links the rest.

    Example: `segment5b rerun --changed S4 --set routing.zone_binding=row_zone`.
    """
    from segment5b_lib.engine.rerun import prepare_rerun
    from segment5b_lib.engine.retention import pin_new
    from segment5b_lib.store.runs import open_run

    count = thread_count(threads)
    child = prepare_rerun(origin := open_run(parent), changed, parse_changes(changes), threads=count)
    clear_away([origin, child], quiet=quiet or json, prune_first=prune_first)
    _execute(child, None, count, quiet=quiet or json, json=json)
    pin_new(child)
    _report(child, json)


def _execute(made: Run, states: list[str] | None, threads: int, *, quiet: bool, json: bool) -> None:
    from segment5b_lib.contract.words import STATES
    from segment5b_lib.engine.chain import run_states
    from segment5b_lib.engine.rerun import states_from
    from segment5b_lib.engine.retention import discard_unstarted
    from segment5b_lib.errors import EnvironmentFault

    for name in states or ():
        states_from(name)
    try:
        with watching(quiet) as listener:
            executed = run_states(made, sorted(states) if states else STATES, threads=threads, listener=listener)
    except EnvironmentFault:
        discard_unstarted(made)
        raise
    if not executed and not json:
        console.print("nothing to do: this run is complete and unchanged")


def runs(json: JsonOption = False) -> None:
    """List runs, oldest first. Example: `segment5b runs`."""
    from segment5b_lib.workbench.listing import runs as every_run

    rows = every_run().to_dicts()
    if json:
        show_json(rows)
    elif rows:
        _table([_card(row) for row in rows])
    else:
        console.print("no run yet: segment5b run")


def show(run: RunArgument = "@last", json: JsonOption = False) -> None:
    """Show one run: identity, roles, size, pages, states with lanes. Example: `segment5b show @baseline`."""
    from segment5b_lib.store.runs import open_run
    from segment5b_lib.workbench.listing import about

    chosen = open_run(run)
    found = about(chosen)
    if json:
        show_json({**found, "records": [record.document() for record in chosen.records()]})
        return
    others = {name: found[name] for name in ("scale", "scenarios", "roles", "bytes", "pages")}
    for name, value in {**found["receipt"], **others, **(found["attachment"] or {})}.items():
        console.print(f"[dim]{name:<22}[/] {_line(value)}", soft_wrap=True)
    _table([_state_card(row) for row in found["states"]])


def _line(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, (list, dict)):
        return ", ".join(f"{name}={value[name]}" if isinstance(value, dict) else str(name) for name in value) or "none"
    return "none" if value is None else f"{value}"


def prune(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, json: JsonOption = False) -> None:
    """Remove runs outside the keep-set, with a receipt. Example: `segment5b prune --yes`.

    What killed processes have left goes as well. Without `--yes` it asks; where nobody can be asked, nothing goes.
    """
    from segment5b_lib.engine.retention import keep_set, leftovers, superseded
    from segment5b_lib.engine.retention import prune as prune_runs
    from segment5b_lib.store.attachments import attached_homes

    candidates, dead = superseded(), leftovers()
    if not json:
        console.print(f"keep-set: {len(keep_set())} run(s); superseded: {len(candidates)}; leftovers: {len(dead)}")
        console.print(f"attached, never touched: {len(attached_homes())}")
        for name, size in _listed(candidates, dead):
            console.print(f"  {name}  {size / 1e6:.1f} MB", soft_wrap=True)
    if (candidates or dead) and not yes and not _confirmed("remove these?", asking=not json):
        return
    receipt = prune_runs(candidates, dead)
    found = read_json(receipt)
    if json:
        removed = [one["run_id"] for one in found["removed"]]
        show_json({"receipt": str(receipt), "removed": removed, "cleared": found["cleared"]})
    else:
        console.print(f"freed {found['freed_bytes'] / 1e6:.1f} MB; receipt {receipt}", soft_wrap=True)


def _listed(candidates: Sequence[Superseded], dead: Sequence[Leftover]) -> list[tuple[str, int]]:
    return [*((one.run.run_id, one.bytes) for one in candidates), *((one.folder.name, one.bytes) for one in dead)]


def _confirmed(question: str, *, asking: bool) -> bool:
    """The answer of a person at a terminal; anything else is no answer."""
    if asking and sys.stdin.isatty():
        return typer.confirm(question)
    raise UsageError(
        "5B.RUN.NOT_CONFIRMED",
        "runs or leftovers would be removed, and nobody can be asked",
        expected="a terminal, or --yes",
        done="nothing is removed",
        next_step="segment5b prune --yes",
    )


def clear_away(used: Sequence[Run], *, quiet: bool, prune_first: bool) -> None:
    """Before something expensive: remove superseded runs, if that was asked for or is agreed to; else name them.

    Runs that are about to be `used` stay.
    """
    from segment5b_lib.engine.retention import prune as prune_runs
    from segment5b_lib.engine.retention import superseded

    kept = {one.run_id for one in used}
    candidates = [one for one in superseded() if one.run.run_id not in kept]
    if not candidates:
        return
    if not quiet:
        for name, size in _listed(candidates, []):
            console.print(f"superseded: {name}  {size / 1e6:.1f} MB", soft_wrap=True)
    if prune_first or (not quiet and sys.stdin.isatty() and typer.confirm("remove these first?")):
        freed = read_json(prune_runs(candidates))["freed_bytes"]
        said = f"pruned {len(candidates)} superseded run(s), freed {freed / 1e6:.1f} MB"
    else:
        said = f"{len(candidates)} superseded run(s) are left: --prune removes them first"
    if not quiet:
        console.print(said)


def _card(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": row["run_id"][:8],
        "world": row["world"][:6],
        "scale": row["scale"],
        "posture": row["posture"],
        "seed": row["seed"],
        "states": f"{row['states']}/6",
        "role": ", ".join([*row["roles"], *(["attached"] if row["attached"] else [])]),
        "parent": (row["parent"] or "")[:8],
        "created": row["created_utc"][5:16].replace("T", " "),
    }


def _state_card(row: dict[str, Any]) -> dict[str, str]:
    """One state's line; a state that was not run here has no figures."""
    card = {"state": row["state"], "status": row["status"]}
    if row["seconds"] is None:
        return card
    lanes = ("input_load", "compute", "validation", "write")
    return {
        **card,
        **{name: _figure(row[name], ".2f") for name in ("seconds", *lanes)},
        "rows out": _figure(row["rows_out"], ","),
        "peak MB": _figure(row["peak_bytes"] and row["peak_bytes"] / 1e6, ".0f"),
        "": row["error_code"] or "",
    }


def _figure(value: float | None, form: str) -> str:
    """A figure, or a dash where an attached run's record does not say it."""
    return "–" if value is None else format(value, form)


def _table(cards: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    columns = list(dict.fromkeys(name for card in cards for name in card))
    widest = max(len(str(card.get(columns[0], ""))) for card in cards)
    for name in columns:
        # Who a row is about is never cut short.
        table.add_column(name, no_wrap=True, min_width=widest if name == columns[0] else None)
    for card in cards:
        table.add_row(*(str(card.get(name, "")) for name in columns))
    show_table(table)


def _report(run: Run, json: bool) -> None:
    if json:
        records = {state: record.document() for state, record in run.last_records().items()}
        show_json({"run_id": run.run_id, "folder": str(run.root), "records": records})
    else:
        console.print(f"run [bold]{run.run_id[:8]}[/]: segment5b score {run.run_id[:8]}")
