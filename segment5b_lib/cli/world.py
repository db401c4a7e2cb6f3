"""`segment5b world`: build, reopen, show and verify sealed worlds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from segment5b_lib.cli.terminal import (
    JsonOption,
    SetOption,
    ThreadsOption,
    console,
    parse_changes,
    show_json,
    thread_count,
)

if TYPE_CHECKING:
    from segment5b_lib.store.worlds import World
    from segment5b_lib.world.build import Built

app = typer.Typer(no_args_is_help=True, help="Build, reopen, show and verify sealed worlds.")

WorldArgument = Annotated[str, typer.Argument(help="Fingerprint or a prefix of it.")]


@app.command()
def build(
    scale: Annotated[str, typer.Option(help="Name of a file in parameters/worlds.")] = "small",
    threads: ThreadsOption = 0,
    json: JsonOption = False,
) -> None:
    """Build a sealed world. Example: `segment5b world build --scale small`."""
    from segment5b_lib.engine.preflight import require_world
    from segment5b_lib.store.roots import outputs_folder
    from segment5b_lib.world.build import build_world
    from segment5b_lib.world.world_file import load_spec

    spec = load_spec(scale)
    require_world(spec, outputs_folder())
    _report(build_world(spec, outputs_folder(), threads=threads), json)


@app.command()
def reopen(
    world: WorldArgument,
    segment: Annotated[str, typer.Option(help="Upstream segment to reopen: 2A, 2B or 3B.")],
    changes: SetOption,
    reason: Annotated[str, typer.Option(help="Why; recorded in the child world.")] = "",
    json: JsonOption = False,
) -> None:
    """Make a child world in which one upstream segment has changed.

    Example: `segment5b world reopen 3f2a --segment 2A --set last_transition_year=2028 --reason "P0: T11"`.
    """
    from segment5b_lib.store.worlds import open_world
    from segment5b_lib.world.reopen import reopen_world

    _report(reopen_world(open_world(world), segment, parse_changes(changes), reason), json)


@app.command()
def show(world: Annotated[str, typer.Argument()] = "", json: JsonOption = False) -> None:
    """Show one world, or list all. Example: `segment5b world show`."""
    from segment5b_lib.store.worlds import list_worlds, open_world

    worlds = [open_world(world)] if world else list_worlds()
    if json:
        show_json([_summary(item) for item in worlds])
        return
    for item in worlds:
        console.print("  ".join(f"{name} {value}" for name, value in _summary(item).items()))
    if not worlds:
        console.print("no world yet: segment5b world build --scale small")


@app.command()
def verify(world: WorldArgument, json: JsonOption = False) -> None:
    """Re-hash everything in a world. Example: `segment5b world verify 3f2a`."""
    from segment5b_lib.store.worlds import open_world
    from segment5b_lib.world.verify import verify_world

    checked = open_world(world)
    verify_world(checked, threads=thread_count(0))
    if json:
        show_json({**_summary(checked), "verified": True})
    else:
        console.print(f"world [bold]{checked.mf[:12]}[/] verified: every file has its sealed digest")


def _summary(world: World) -> dict[str, str]:
    return {"world": world.mf[:12], "scale": world.scale, "scenarios": ",".join(world.scenarios)}


def _report(built: Built, json: bool) -> None:
    summary = {**_summary(built.world), "existed": built.existed, "folder": str(built.world.root)}
    if json:
        show_json(summary)
        return
    already = " existed already, unchanged:" if built.existed else ""
    console.print(
        f"world [bold]{built.world.mf[:12]}[/] ({built.world.scale}){already} {built.world.root}", soft_wrap=True
    )
