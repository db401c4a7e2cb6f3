"""`segment5b attach`: register a run root of another tool; it is read in place and never changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segment5b_lib.cli.arguments import JsonOption
from segment5b_lib.cli.screen import console, show_json

if TYPE_CHECKING:
    from segment5b_lib.engine.attach.attach import Attached


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
        _show(attached)


def _show(attached: Attached) -> None:
    run, record = attached.run, attached.record
    already = " (attached before; nothing was done)" if attached.existed else ""
    console.print(f"run [bold]{run.run_id[:8]}[/] in {record.root}{already}", soft_wrap=True)
    console.print(f"[dim]world in[/] {record.world_in}  [dim]judged by policies of[/] {record.judged_by}")
    for name, lines in (("verified", record.verified), ("read as", record.normalised), ("missing", record.missing)):
        for line in lines:
            console.print(f"[dim]{name:<9}[/] {line}", soft_wrap=True)
    console.print(f"next: segment5b score {run.run_id[:8]}")
