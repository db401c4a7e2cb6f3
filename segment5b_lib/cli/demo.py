"""The walk of `segment5b demo` through the plan on real data, from the published defect to a frozen certificate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from segment5b_lib.cli.terminal import console
from segment5b_lib.cli.verdicts import show_comparison
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.words import Decision
from segment5b_lib.engine.chain import finished, panel, repetitions, run_states
from segment5b_lib.engine.preflight import require, scale_needs
from segment5b_lib.engine.reporting import progress_listener
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.engine.retention import pin, pin_new, prune, superseded
from segment5b_lib.errors import StateRefusal
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import scorecard
from segment5b_lib.phases.engine.attempts import read_artefact
from segment5b_lib.reports.execute import execute_notebook
from segment5b_lib.reports.notebooks import notebook_of_phase
from segment5b_lib.reports.record import NotebookRecord
from segment5b_lib.reports.site import write_site
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world
from segment5b_lib.world.world_file import load_spec

_SEED: Final = 42
_WITNESS: Final = 7
_RUNS_AT_ONCE: Final = 12


def walk(scale: str, threads: int, *, quiet: bool) -> None:
    """Build a world, make the runs and execute every phase; a decision that is neither open nor expected raises."""
    started, spec = time.perf_counter(), load_spec(scale)
    demo_run = _Demo(threads, quiet)
    require(scale_needs(spec, demo_run.threads, runs=_RUNS_AT_ONCE), outputs_folder(), f"the demo at scale {scale}")
    with _timed_step(f"building the {scale} world from real cities, zones and holidays"):
        world = build_world(spec, outputs_folder(), threads=demo_run.threads).world
    baseline = demo_run.performance(world)
    corrected = demo_run.civil_time(baseline)
    candidate = demo_run.calibration(corrected)
    scorecards = [scorecard(run) for run in (baseline, corrected, candidate)]
    demo_run.certification(candidate)
    _summary(scorecards, candidate)
    console.print(f"\npages  {write_site()}", soft_wrap=True)
    console.print("look   segment5b runs    segment5b score @candidate    segment5b open @candidate")
    console.print(f"[dim]in {time.perf_counter() - started:.0f} s[/]")


@contextmanager
def _timed_step(title: str) -> Iterator[None]:
    """Show a step while it runs, then its seconds."""
    started = time.perf_counter()
    if console.is_terminal:
        with console.status(title):
            yield
    else:
        yield
    console.print(f"[green]✓[/] {title} [dim]{time.perf_counter() - started:.1f} s[/]")


class _Demo:
    """The parts of the plan; each makes runs, executed notebooks and artefacts, and returns its run for the next."""

    def __init__(self, threads: int, quiet: bool) -> None:
        self.threads, self.quiet = threads, quiet

    def performance(self, world: World) -> Run:
        """The published posture, repeated on two seeds, and the performance track; returns the baseline run."""
        console.rule("[bold]the published posture, and where its time goes", align="left")
        published = load_posture("published")
        for seed in (_WITNESS, _SEED):
            with _timed_step(f"the published run, seed {seed}, {published.validation.runtime.min_runs} times"):
                run = self.run(world, published, "published", seed)
                with progress_listener(console, quiet=True) as listener:
                    repetitions(run, published.validation.runtime.min_runs, threads=self.threads, listener=listener)
        self.phase("POPT.0", run)
        order = read_artefact("popt0", run.run_id, "popt0_hotspot_map")["order_of_work"]
        for name in (*order, "POPT.4", "POPT.5"):
            self.phase(name, run)
        return run

    def civil_time(self, baseline: Run) -> Run:
        """P0, the local corrections, 2A reopened, P1; returns the corrected run."""
        console.rule("[bold]what is wrong, and the clock", align="left")
        self.phase("P0", baseline)
        local = self.local_lane(baseline)
        reopened = Decision.UNLOCK_P1_UPSTREAM_2A_REOPEN
        self.phase("P1", local, {"baseline": baseline.run_id}, expected=reopened)
        self.prune_superseded()
        with _timed_step("reopening segment 2A: the time-zone cache now reaches 2028"):
            world = reopen_world(
                baseline.world, "2A", {"last_transition_year": 2028}, f"P1: {reopened.value}", threads=self.threads
            ).world
        policies = load_posture("civil_time")
        witness = self.run(world, policies, "civil_time", _WITNESS, role="witness")
        corrected = self.run(world, policies, "civil_time", _SEED, role="candidate")
        self.phase("P1", corrected, {"baseline": baseline.run_id, "witnesses": [witness.run_id]})
        return corrected

    def local_lane(self, baseline: Run) -> Run:
        """S4 and S5 again with the segment's own corrections; S5 may refuse it, which is evidence."""
        from segment5b_lib.phases.p1 import LOCAL_LANE

        with _timed_step("the corrections that this segment owns, on the unchanged cache"):
            local = prepare_rerun(baseline, "S4", LOCAL_LANE, threads=self.threads)
            try:
                run_states(local, threads=self.threads)
            except StateRefusal as refusal:
                console.print(f"[dim]S5 refuses it: {refusal.what}[/]")
        return local

    def calibration(self, corrected: Run) -> Run:
        """P2 by calculation, the upstream changes and candidate that it proposes; returns the measured candidate."""
        console.rule("[bold]concentration and online share", align="left")
        blocked = Decision.UNLOCK_P2_UPSTREAM_REOPEN
        self.phase("P2", corrected, {"baseline": corrected.run_id}, expected=blocked)
        proposal = read_artefact("p2", corrected.run_id, "p2_sensitivity")["proposal"]
        world = corrected.world
        for segment, changes in proposal["reopened"].items():
            with _timed_step(f"reopening segment {segment}: {changes}"):
                world = reopen_world(world, segment, changes, f"P2: {blocked.value}", threads=self.threads).world
        policies = with_changes(load_posture("remediated"), proposal["changes"])
        witness = self.run(world, policies, "remediated", _WITNESS, proposal["changes"], role="witness")
        candidate = self.run(world, policies, "remediated", _SEED, proposal["changes"], role="candidate")
        self.phase("P2", candidate, {"baseline": corrected.run_id, "witnesses": [witness.run_id]})
        return candidate

    def certification(self, candidate: Run) -> None:
        """P3, the panel of required seeds, P4, prune, P5."""
        console.rule("[bold]hardening, certificate, freeze", align="left")
        self.phase("P3", candidate)
        seeds = candidate.policies.validation.stability.required_seeds
        with _timed_step(f"the same world and policies on seeds {', '.join(map(str, seeds))}"):
            others = panel(candidate, seeds, threads=self.threads)
        self.phase("P4", candidate, {"panel": [other.run_id for other in others]})
        self.prune_superseded()
        self.phase("P5", candidate)

    def run(
        self,
        world: World,
        policies: Policies,
        posture: str,
        seed: int,
        changes: Mapping[str, object] | None = None,
        role: str = "",
    ) -> Run:
        """A finished run, pinned into the keep-set."""
        with progress_listener(console, quiet=self.quiet) as listener:
            made = finished(world, policies, posture, seed, threads=self.threads, listener=listener, changes=changes)
        pin_new(made)
        if role:
            pin(role, made)
        return made

    def phase(
        self, name: str, run: Run, parameters: Mapping[str, object] | None = None, expected: Decision | None = None
    ) -> NotebookRecord:
        """Execute a phase as its notebook; a decision that is neither open nor expected raises the phase's error."""
        started = time.perf_counter()
        record = execute_notebook(notebook_of_phase(name).name, {"run_id": run.run_id, **(parameters or {})})
        if expected is None or record.decision != expected.value:
            record.raise_for_status()
        console.print(
            f"[green]✓[/] {name} on {run.receipt.posture} {run.run_id[:8]}: [bold]{record.decision}[/] "
            f"[dim]{time.perf_counter() - started:.1f} s[/]"
        )
        return record

    def prune_superseded(self) -> None:
        """Prune superseded runs before the next expensive ones."""
        candidates = superseded()
        prune(candidates)
        freed = sum(candidate.bytes for candidate in candidates)
        console.print(f"[green]✓[/] pruned {len(candidates)} superseded run(s), {freed / 1e6:,.0f} MB freed")


def _summary(scorecards: list[Scorecard], candidate: Run) -> None:
    console.rule("[bold]what was found", align="left")
    show_comparison(scorecards)
    before, corrected, after = ({row["gate"]: row["value"] for row in card.frame().to_dicts()} for card in scorecards)
    owner = scorecards[0].owner("T1")
    certificate = read_artefact("p4", candidate.run_id, "p4_closure")
    frozen = read_artefact("p5", candidate.run_id, "freeze_decision")
    lines: Sequence[tuple[str, str]] = [
        ("defect", f"{before['T1']} of the arrivals have a wrong local time, {before['T2']} by exactly an hour"),
        ("cause", f"{owner.owner}: {owner.cause}" if owner else "none found"),
        ("clock", f"T1 {corrected['T1']}, T11 {corrected['T11']}, T12 {corrected['T12']} after 2A was reopened"),
        ("bands", f"T6 {before['T6']} → {after['T6']}, T7 {before['T7']} → {after['T7']}, as predicted (P2)"),
        ("certificate", f"{certificate['closure_class']}, earned at the {certificate['earned_at']} scale"),
        ("decision", frozen["decision"]),
    ]
    console.print()
    for name, text in lines:
        console.print(f"[bold]{name:<12}[/]{text}")
