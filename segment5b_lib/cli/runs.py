"""`segment5b run`, `rerun`, `attach`, `runs`, `show`, `prune`: making and registering runs, keeping them in order."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from segment5b_lib.cli.terminal import (
    JsonOption,
    PruneOption,
    QuietOption,
    RunArgument,
    SetOption,
    ThreadsOption,
    complete_run,
    console,
    parse_changes,
    show_json,
    show_table,
)
from segment5b_lib.engine.reporting import progress_listener
from segment5b_lib.errors import UsageError
from segment5b_lib.store.documents import read_json

if TYPE_CHECKING:
    from segment5b_lib.engine.attach.attach import Attached
    from segment5b_lib.engine.retention import Leftover, Superseded
    from segment5b_lib.store.runs import Run


def run(
    states: Annotated[list[str] | None, typer.Argument(metavar="[S0..S5]", help="All by default.")] = None,
    world: Annotated[str, typer.Option(help="World fingerprint or prefix; the only world by default.")] = "",
    posture: Annotated[str, typer.Option(help="A named set of policies.")] = "published",
    seed: Annotated[int, typer.Option(min=0, help="Drives S2 to S4.")] = 42,
    changes: SetOption = [],  # noqa: B006 - typer reads the default and never writes to it
    repeat: Annotated[int, typer.Option(min=0, help="Make this many further runs of the same inputs.")] = 0,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Run states S0 to S5. Example: `segment5b run --posture published --seed 42`.

    The same inputs give the same run; complete states are not run again.
    """
    from segment5b_lib.engine.chain import create_run
    from segment5b_lib.engine.retention import pin_new
    from segment5b_lib.store.postures import load_posture, with_changes
    from segment5b_lib.store.worlds import open_world

    policies = with_changes(load_posture(posture), settings := parse_changes(changes))
    chosen = open_world(world)
    for nonce in range(1, repeat + 1) if repeat else (0,):
        made = create_run(chosen, policies, seed=seed, posture=posture, nonce=nonce, changes=settings)
        _execute(made, states, threads, quiet=quiet or json, json=json)
        pin_new(made)
        _report(made, json)


def rerun(
    changed: Annotated[str, typer.Option(help="First state that changes, S0 to S5.")],
    parent: Annotated[str, typer.Option("--run", help="Run to start from.", autocompletion=complete_run)] = "@last",
    changes: SetOption = [],  # noqa: B006 - typer reads the default and never writes to it
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
    from segment5b_lib.store.catalogue import find_run

    child = prepare_rerun(origin := find_run(parent), changed, parse_changes(changes), threads=threads)
    prune_superseded([origin, child], quiet=quiet or json, prune_first=prune_first)
    _execute(child, None, threads, quiet=quiet or json, json=json)
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
        with progress_listener(console, quiet=quiet) as listener:
            executed = run_states(made, sorted(states) if states else STATES, threads=threads, listener=listener)
    except EnvironmentFault:
        discard_unstarted(made)
        raise
    if not executed and not json:
        console.print("nothing to do: this run is complete and unchanged")


def attach(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Run root of the engine, or a run of an older version.")],
    run_id: Annotated[str, typer.Option(help="Which run, if the tree holds several.")] = "",
    posture: Annotated[str, typer.Option(help="Judge by these policies; the tree's own by default.")] = "",
    world: Annotated[str, typer.Option(help="Fingerprint or folder of its world, if it is not in the tree.")] = "",
    scale: Annotated[str, typer.Option(help="Scale of its world, if no world file has it.")] = "",
    json: JsonOption = False,
) -> None:
    """Register an external run root read-only. Example: `segment5b attach runs/local_full_run-5 --posture published`.

    Every file is opened, checked and hashed once; nothing in the tree is changed, copied or ever pruned. After that
    `score`, `show`, `compare` and `phase` read it like any run, and refuse it if it changes. Missing parts of
    the tree are listed.
    """
    from segment5b_lib.engine.attach.attach import attach as attach_root

    attached = attach_root(path, run_id=run_id, posture=posture, world=world, scale=scale)
    if json:
        record = attached.record.model_dump(exclude={"world_files"})
        show_json({"run_id": attached.run.run_id, "existed": attached.existed, **record})
    else:
        _show_attached(attached)


def _show_attached(attached: Attached) -> None:
    run, record = attached.run, attached.record
    already = " (attached before; nothing was done)" if attached.existed else ""
    console.print(f"run [bold]{run.run_id[:8]}[/] in {record.root}{already}", soft_wrap=True)
    console.print(f"[dim]world in[/] {record.world_in}  [dim]judged by policies of[/] {record.judged_by}")
    for name, lines in (("verified", record.verified), ("read as", record.normalised), ("missing", record.missing)):
        for line in lines:
            console.print(f"[dim]{name:<9}[/] {line}", soft_wrap=True)
    console.print(f"next: segment5b score {run.run_id[:8]}")


def runs(json: JsonOption = False) -> None:
    """List runs, oldest first. Example: `segment5b runs`."""
    from segment5b_lib.workbench.listing import runs as every_run

    rows = every_run().to_dicts()
    if json:
        show_json(rows)
    elif rows:
        _table([_run_row(row) for row in rows])
    else:
        console.print("no run yet: segment5b run")


def show(run: RunArgument = "@last", json: JsonOption = False) -> None:
    """Show one run: identity, roles, size, pages, states with lanes. Example: `segment5b show @baseline`."""
    from segment5b_lib.store.catalogue import find_run
    from segment5b_lib.workbench.listing import about

    chosen = find_run(run)
    summary = about(chosen)
    if json:
        show_json({**summary, "records": [record.document() for record in chosen.records()]})
        return
    others = {name: summary[name] for name in ("scale", "scenarios", "roles", "bytes", "pages")}
    for name, value in {**summary["receipt"], **others, **(summary["attachment"] or {})}.items():
        console.print(f"[dim]{name:<22}[/] {_line(value)}", soft_wrap=True)
    _table([_state_row(row) for row in summary["states"]])


def _line(value: Any) -> str:
    """Human-readable text of a value: lists and mappings on one line."""
    if isinstance(value, (list, dict)):
        return ", ".join(f"{name}={value[name]}" if isinstance(value, dict) else str(name) for name in value) or "none"
    return "none" if value is None else f"{value}"


def prune(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, json: JsonOption = False) -> None:
    """Remove runs outside the keep-set, with a receipt. Example: `segment5b prune --yes`.

    Leftovers of killed processes are removed as well. Without `--yes` it asks; without a terminal it removes nothing.
    """
    from segment5b_lib.engine.retention import keep_set, leftovers, superseded
    from segment5b_lib.engine.retention import prune as prune_runs
    from segment5b_lib.store.attachments import attached_homes

    candidates, abandoned = superseded(), leftovers()
    if not json:
        console.print(f"keep-set: {len(keep_set())} run(s); superseded: {len(candidates)}; leftovers: {len(abandoned)}")
        console.print(f"attached, never touched: {len(attached_homes())}")
        for name, size in _listed(candidates, abandoned):
            console.print(f"  {name}  {size / 1e6:.1f} MB", soft_wrap=True)
    if (candidates or abandoned) and not yes and not _confirmed("remove these?", asking=not json):
        return
    path = prune_runs(candidates, abandoned)
    receipt = read_json(path)
    if json:
        removed = [entry["run_id"] for entry in receipt["removed"]]
        show_json({"receipt": str(path), "removed": removed, "cleared": receipt["cleared"]})
    else:
        console.print(f"freed {receipt['freed_bytes'] / 1e6:.1f} MB; receipt {path}", soft_wrap=True)


def _listed(candidates: Sequence[Superseded], abandoned: Sequence[Leftover]) -> list[tuple[str, int]]:
    runs = [(item.run.run_id, item.bytes) for item in candidates]
    return runs + [(item.folder.name, item.bytes) for item in abandoned]


def _confirmed(question: str, *, asking: bool) -> bool:
    """The user's answer at a terminal; refuse without a terminal."""
    if asking and sys.stdin.isatty():
        return typer.confirm(question)
    raise UsageError(
        "5B.RUN.NOT_CONFIRMED",
        "runs or leftovers would be removed, and there is no terminal to ask for confirmation",
        expected="a terminal, or --yes",
        done="nothing is removed",
        next_step="segment5b prune --yes",
    )


def prune_superseded(used: Sequence[Run], *, quiet: bool, prune_first: bool) -> None:
    """Before an expensive step: remove superseded runs if requested or confirmed, else list them; `used` runs stay."""
    from segment5b_lib.engine.retention import prune as prune_runs
    from segment5b_lib.engine.retention import superseded

    kept = {run.run_id for run in used}
    candidates = [item for item in superseded() if item.run.run_id not in kept]
    if not candidates:
        return
    if not quiet:
        for name, size in _listed(candidates, []):
            console.print(f"superseded: {name}  {size / 1e6:.1f} MB", soft_wrap=True)
    if prune_first or (not quiet and sys.stdin.isatty() and typer.confirm("remove these first?")):
        freed = read_json(prune_runs(candidates))["freed_bytes"]
        message = f"pruned {len(candidates)} superseded run(s), freed {freed / 1e6:.1f} MB"
    else:
        message = f"{len(candidates)} superseded run(s) are left: --prune removes them first"
    if not quiet:
        console.print(message)


def _run_row(row: Mapping[str, Any]) -> dict[str, object]:
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


def _state_row(row: Mapping[str, Any]) -> dict[str, str]:
    """Cells of a state; a state that was not run here has no figures."""
    cells = {"state": row["state"], "status": row["status"]}
    if row["seconds"] is None:
        return cells
    lanes = ("input_load", "compute", "validation", "write")
    return {
        **cells,
        **{name: _figure(row[name], ".2f") for name in ("seconds", *lanes)},
        "rows out": _figure(row["rows_out"], ","),
        "peak MB": _figure(row["peak_bytes"] and row["peak_bytes"] / 1e6, ".0f"),
        "": row["error_code"] or "",
    }


def _figure(value: float | None, form: str) -> str:
    """A figure, or a dash if an attached run's record lacks it."""
    return "–" if value is None else format(value, form)


def _table(rows: Sequence[Mapping[str, object]]) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    widest = max(len(str(row.get(columns[0], ""))) for row in rows)
    for name in columns:
        # The name of a row is never cut short.
        table.add_column(name, no_wrap=True, min_width=widest if name == columns[0] else None)
    for row in rows:
        table.add_row(*(str(row.get(name, "")) for name in columns))
    show_table(table)


def _report(run: Run, json: bool) -> None:
    if json:
        records = {state: record.document() for state, record in run.last_records().items()}
        show_json({"run_id": run.run_id, "folder": str(run.root), "records": records})
    else:
        console.print(f"run [bold]{run.run_id[:8]}[/]: segment5b score {run.run_id[:8]}")
