"""POPT.5: may remediation start? Times the candidate and witness lanes and refreshes the hotspot map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic import Field

from segment5b_lib.contract.commands import command
from segment5b_lib.contract.words import STATES, Decision, ItemStatus
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem, Node
from segment5b_lib.phases.engine.legacy import Finding, LegacyEnvelope, Phase, conduct
from segment5b_lib.phases.engine.order import latest_decision
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.phase import item, not_applicable
from segment5b_lib.phases.engine.repair import NextSteps, next_phase, one_step
from segment5b_lib.phases.engine.shared_items import chain_complete
from segment5b_lib.phases.popt0_hotspots import LaneShare, Owner, StateLanes, owners, segment_lanes, state_lanes
from segment5b_lib.phases.popt_budgets import below_scale, budget_item, budgets_of, state_budgets, too_few
from segment5b_lib.phases.popt_timing import Rounded, Sample, Timing, TimingLine, measured, timing_line, timing_of
from segment5b_lib.store.catalogue import list_runs
from segment5b_lib.store.runs import Run

_TRACK: Final = ("POPT.0", "POPT.1", "POPT.2", "POPT.3", "POPT.4")


class LaneLine(Node):
    """A lane: its states, the runs it was timed on by seed, its seconds and its budget."""

    lane: str
    states: list[str]
    runs_by_seed: dict[str, list[str]]
    median_s: Rounded | None
    budget_s: Rounded
    applies: bool


class TrackLine(Node):
    """What a phase of the performance track has decided, and about which run."""

    phase: str
    run_id: str | None
    decision: str | None
    opens: bool


class Certification(LegacyEnvelope):
    """Lanes, refreshed hotspots, and the decisions of the track. The envelope's `scale` is where GO_P0 was earned."""

    ARTEFACT: ClassVar[str] = "popt5_certification"

    track: list[TrackLine] = Field(default_factory=list)
    lanes: list[LaneLine] = Field(default_factory=list)
    samples: list[TimingLine] = Field(default_factory=list)
    states: list[StateLanes] = Field(default_factory=list)
    segment: list[LaneShare] = Field(default_factory=list)
    owners: list[Owner] = Field(default_factory=list)


PHASE: Final = Phase(
    name="POPT.5",
    question="May remediation start?",
    after=("POPT.4",),
    hold=Decision.HOLD_POPT5_REOPEN,
    artefacts=(Certification,),
    pages=(Certification.ARTEFACT,),
)


def execute(run: Run, *, what_if: bool = False) -> Closure:
    """Time the lanes from the records of runs that exist, decide, write a new attempt."""
    timing, witness = timing_of(run), _witness(run)
    others = {"repetition": [one for one in timing.repetitions if one.run_id != run.run_id]}
    if witness:
        others["witness"] = list(witness.repetitions)
    return conduct(PHASE, run, lambda: examine(timing, witness), others=others, what_if=what_if)


def _witness(run: Run) -> Timing | None:
    """The latest complete run of the same world, policies and library version with another seed."""
    mine = run.receipt
    same = ("manifest_fingerprint", "parameter_hash", "library_version")
    found = [
        one
        for one in list_runs()
        if one.receipt.seed != mine.seed
        and all(getattr(one.receipt, name) == getattr(mine, name) for name in same)
        and one.complete
    ]
    return timing_of(found[-1]) if found else None


def examine(timing: Timing, witness: Timing | None) -> Finding:
    """The track is closed, both lanes are timed and within budget, and no state stands in the way."""
    run = timing.run
    changed = [state for state in STATES if state in run.receipt.changed_states]
    candidate = timing.together(changed)
    both = _added(candidate, witness.together(changed) if witness else None)
    budgets, states = budgets_of(run).lanes, state_lanes(timing)
    track = [_track(phase, run, list(timing.repetitions)) for phase in _TRACK]
    items = [
        _closed(track),
        chain_complete("POPT.5.1b", [run, *([witness.run] if witness else [])]),
        _timed(run, candidate, both, witness),
        budget_item(
            "POPT.5.1d", "the candidate lane is within its budget", run, [(candidate, budgets["candidate"].target_s)]
        ),
        budget_item("POPT.5.1e", "the witness lane is within its budget", run, [(both, budgets["witness"].target_s)]),
        _no_bottleneck(timing),
    ]
    seeds = {str(one.run.receipt.seed): [r.run_id for r in one.repetitions] for one in (timing, witness) if one}
    lanes = [
        _lane("candidate", changed, {str(run.receipt.seed): seeds[str(run.receipt.seed)]}, candidate, run),
        _lane("witness", changed, seeds, both, run),
    ]
    ranking = owners(timing, states)
    return Finding(
        items=items,
        opens=Decision.GO_P0,
        reasons=[f"GO_P0 at the {run.world.scale} scale" + (f": {below_scale(run)}" if below_scale(run) else "")],
        measured=[measured("lane", candidate), measured("lane", both)],
        own={
            Certification: {
                "track": track,
                "lanes": lanes,
                "samples": [timing_line("candidate", timing.state(s), timing.lanes(s)) for s in STATES],
                "states": states,
                "segment": segment_lanes(states),
                "owners": ranking,
            }
        },
        sections=[_lane_section(lanes), _track_section(track)],
        next_steps=_next_steps(run, items),
    )


def _added(one: Sample, other: Sample | None) -> Sample:
    """Two seeds one after the other: the k-th run of one with the k-th run of the other."""
    pairs = zip(one.seconds.items(), other.seconds.values(), strict=False) if other else ()
    seconds = {name: first + second for (name, first), second in pairs}
    return Sample(f"two seeds, {one.name}", seconds, max(one.whole_run_s, other.whole_run_s if other else 0.0))


def _track(phase: str, run: Run, others: Sequence[Run]) -> TrackLine:
    found = latest_decision(phase, run, others)
    if found is None:
        return TrackLine(phase=phase, run_id=None, decision=None, opens=False)
    return TrackLine(phase=phase, run_id=found.run_id, decision=found.decision.value, opens=found.decision.opens)


def _closed(track: Sequence[TrackLine]) -> DodItem:
    open_points = [f"{line.phase}: {line.decision or 'no decision'}" for line in track if not line.opens]
    return item(
        "POPT.5.1a",
        "POPT.0 to POPT.4 are closed",
        open_points,
        ", ".join(f"{line.phase} {line.decision}" for line in track),
    )


def _timed(run: Run, candidate: Sample, both: Sample, witness: Timing | None) -> DodItem:
    """Both lanes were really run: enough times each, from the states that the candidate changed."""
    open_points = too_few(run, [("candidate lane", candidate)])
    if witness is None:
        open_points.append(f"no second seed: segment5b run --repeat 3 --posture {run.receipt.posture} --seed 7")
    else:
        open_points += too_few(run, [("witness lane", both)])
    text = "the candidate lane (one seed) and the witness lane (two seeds) are timed"
    return item("POPT.5.1c", text, open_points, f"candidate {candidate.text}; witness {both.text}")


def _no_bottleneck(timing: Timing) -> DodItem:
    """No state above its stretch; what is above its target only is named."""
    name, text = "POPT.5.2", "no state is a bottleneck that blocks remediation"
    if reason := below_scale(timing.run):
        return not_applicable(name, text, reason)
    budgets = state_budgets(timing.run)
    samples = {state: timing.state(state) for state in budgets}
    over = [
        f"{state} {sample.text}: stretch {budgets[state].stretch_s:g} s"
        for state, sample in samples.items()
        if sample.n and sample.median > budgets[state].stretch_s
    ]
    lost = [f"{state}: not timed" for state, sample in samples.items() if not sample.n]
    amber = [s for s, sample in samples.items() if sample.n and sample.median > budgets[s].target_s]
    return item(name, text, over + lost, f"above its target only: {', '.join(amber) or 'none'}")


def _lane(name: str, states: Sequence[str], seeds: dict[str, list[str]], sample: Sample, run: Run) -> LaneLine:
    return LaneLine(
        lane=name,
        states=list(states),
        runs_by_seed=seeds,
        median_s=sample.median if sample.n else None,
        budget_s=next(budget.target_s for lane, budget in budgets_of(run).lanes.items() if lane == name),
        applies=not below_scale(run),
    )


def _lane_section(lanes: Sequence[LaneLine]) -> Section:
    rows = [
        (
            line.lane,
            " ".join(line.states),
            ", ".join(line.runs_by_seed),
            "not timed" if line.median_s is None else f"{line.median_s:.3f} s",
            f"{line.budget_s:g} s" + ("" if line.applies else ", not applicable at this scale"),
        )
        for line in lanes
    ]
    return Section("Lanes", ("lane", "states", "seeds", "median", "budget"), rows)


def _track_section(track: Sequence[TrackLine]) -> Section:
    rows = [(line.phase, line.decision or "none", (line.run_id or "–")[:8]) for line in track]
    return Section("Performance track", ("phase", "decision", "about run"), rows)


def _next_steps(run: Run, items: Sequence[DodItem]) -> NextSteps:
    red = tuple(found.id for found in items if found.status is ItemStatus.RED)
    if not red:
        return next_phase("P0", "remediation", run)
    again = command("run", "--repeat", "3", "--posture", run.receipt.posture, "--seed", "7")
    return one_step("performance", red, again)
