"""`segment5b demo`: the main job on real data, and a one-screen summary of what it found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segment5b_lib.cli.arguments import QuietOption, ThreadsOption, thread_count
from segment5b_lib.cli.screen import console, watching

if TYPE_CHECKING:
    from segment5b_lib.gates.scorecard import Scorecard
    from segment5b_lib.reports.execute import NotebookRecord
    from segment5b_lib.store.runs import Run
    from segment5b_lib.store.worlds import World
    from segment5b_lib.world.spec import WorldSpec


def register(app: typer.Typer) -> None:
    """Add the command to the command tree."""
    app.command()(demo)


def demo(
    scale: Annotated[str, typer.Option(help="Name of a file in parameters/worlds.")] = "small",
    seed: Annotated[int, typer.Option(min=0)] = 42,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
) -> None:
    """From nothing to the corrected run: world, published run, P0, 2A reopened, corrected run, comparison.

    Example: `segment5b demo --scale tiny`.
    """
    from segment5b_lib.engine.preflight import require, scale_needs
    from segment5b_lib.gates.scorecard import score
    from segment5b_lib.reports.execute import execute_notebook
    from segment5b_lib.store.roots import outputs_folder
    from segment5b_lib.world.world_file import load_spec

    started, count, spec = time.perf_counter(), thread_count(threads), load_spec(scale)
    require(scale_needs(spec, count, runs=2), outputs_folder(), f"the demo at scale {scale}")
    with _chapter(f"building the {scale} world from real cities, zones and holidays"):
        world = _build(spec, count)
    console.rule("[bold]the published posture", align="left")
    baseline = _run(world, "published", seed, count, quiet)
    with _chapter("P0 on the published run: full scan of every gate, notebook, offline page"):
        page = execute_notebook("p0_realism_baseline", {"run_id": baseline.run_id})
        page.raise_for_status()
    with _chapter("reopening segment 2A: the time-zone cache now reaches 2028"):
        reopened = _reopen(world, count)
    console.rule("[bold]the civil_time posture", align="left")
    candidate = _run(reopened, "civil_time", seed, count, quiet)
    with _chapter("scoring both runs"):
        cards = [score(baseline), score(candidate)]
    _summary(cards, page, time.perf_counter() - started)


@contextmanager
def _chapter(title: str) -> Iterator[None]:
    """Say what is being done while it is being done, and how long it took."""
    started = time.perf_counter()
    if console.is_terminal:
        with console.status(title):
            yield
    else:
        yield
    console.print(f"[green]✓[/] {title} [dim]{time.perf_counter() - started:.1f} s[/]")


def _build(spec: WorldSpec, threads: int) -> World:
    from segment5b_lib.store.roots import outputs_folder
    from segment5b_lib.world.build import build_world

    return build_world(spec, outputs_folder(), threads=threads).world


def _reopen(world: World, threads: int) -> World:
    from segment5b_lib.world.reopen import reopen_world

    why = "P0: T11 shows that the cache ends before the scenario does"
    return reopen_world(world, "2A", {"last_transition_year": 2028}, why, threads=threads).world


def _run(world: World, posture: str, seed: int, threads: int, quiet: bool) -> Run:
    from segment5b_lib.engine.chain import create_run, run_states
    from segment5b_lib.engine.retention import pin_new
    from segment5b_lib.store.postures import load_posture

    run = create_run(world, load_posture(posture), seed=seed, posture=posture)
    with watching(quiet) as listener:
        run_states(run, threads=threads, listener=listener)
    pin_new(run)
    return run


def _summary(cards: list[Scorecard], page: NotebookRecord, elapsed: float) -> None:
    from segment5b_lib.cli.verdicts import show_comparison

    published, corrected = cards
    console.rule("[bold]what was found", align="left")
    show_comparison(cards)
    console.print()
    for line in _findings(published, corrected):
        console.print(line)
    console.print(f"\npage      {page.page}", soft_wrap=True)
    console.print("look      segment5b show @baseline    segment5b score @candidate")
    console.print(f"[dim]in {elapsed:.0f} s[/]")


def _findings(published: Scorecard, corrected: Scorecard) -> list[str]:
    """What happened, in sentences made of measured values only."""
    before, after = (_values(card) for card in (published, corrected))
    return [
        f"[bold]defect[/]    {before['T1']} of the arrivals carry a local time that is off, {before['T2']} "
        f"by exactly an hour; {before['T11']} of the active zones have complete transitions (T11).",
        f"[bold]cause[/]     {_owner(published, 'T1')}; conservation and nullability hold "
        f"(T4 {before['T4']}, T5 {before['T5']}).",
        f"[bold]corrected[/] T1 {after['T1']}, T2 {after['T2']}, T11 {after['T11']}, T12 {after['T12']}.",
        f"[bold]open[/]      {_still_red(corrected)}.",
    ]


def _values(card: Scorecard) -> dict[str, Any]:
    return {row["gate"]: row["value"] for row in card.frame().to_dicts()}


def _owner(card: Scorecard, gate: str) -> str:
    owner = card.owner(gate)
    return f"{owner.owner}: {owner.cause}" if owner else "none"


def _still_red(card: Scorecard) -> str:
    red = [f"{row['gate']} {row['value']}" for row in card.frame().to_dicts() if row["verdict"] == "fail"]
    return f"{', '.join(red)} still fail: calibration (P2) is their phase" if red else "nothing"
