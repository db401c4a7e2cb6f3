"""`segment5b attach`: a run root that somebody else made, read where it lies and never changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segment5b_lib.cli.arguments import JsonOption
from segment5b_lib.cli.screen import console, show_json

if TYPE_CHECKING:
    from segment5b_lib.engine.attach.attach import Attached


def register(app: typer.Typer) -> None:
    """Add the command to the command tree."""
    app.command()(attach)


def attach(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Run root of the data engine, or an older run of ours.")],
    run_id: Annotated[str, typer.Option(help="Which run, where the tree holds several.")] = "",
    posture: Annotated[str, typer.Option(help="Judge by these policies; the tree's own by default.")] = "",
    world: Annotated[str, typer.Option(help="Fingerprint or folder of its world, where that lies elsewhere.")] = "",
    scale: Annotated[str, typer.Option(help="Scale of its world, where no world file says it.")] = "",
    json: JsonOption = False,
) -> None:
    """Register a foreign run root read-only. Example: `segment5b attach runs/local_full_run-5 --posture published`.

    Every file is opened, checked and hashed once; nothing in the tree is changed, copied or ever pruned. After that
    `score`, `show`, `compare` and `phase` read it like any run, and refuse it if it changes. What the tree lacks is
    listed.
    """
    from segment5b_lib.engine.attach.attach import attach as attach_root

    found = attach_root(path, run_id=run_id, posture=posture, world=world, scale=scale)
    if json:
        record = found.record.model_dump(exclude={"world_files"})
        show_json({"run_id": found.run.run_id, "existed": found.existed, **record})
    else:
        _show(found)


def _show(found: Attached) -> None:
    run, record = found.run, found.record
    already = " (attached before; nothing was done)" if found.existed else ""
    console.print(f"run [bold]{run.run_id[:8]}[/] in {record.root}{already}", soft_wrap=True)
    console.print(f"[dim]world in[/] {record.world_in}  [dim]judged by policies of[/] {record.judged_by}")
    for name, lines in (("verified", record.verified), ("read as", record.normalised), ("missing", record.missing)):
        for line in lines:
            console.print(f"[dim]{name:<9}[/] {line}", soft_wrap=True)
    console.print(f"next: segment5b score {run.run_id[:8]}")
