"""POPT.5: may remediation start? Times the candidate and witness lanes and refreshes the hotspot map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from segment5b_lib.contract.words import STATES, Decision
from segment5b_lib.phases import popt_timing
from segment5b_lib.phases.engine.envelope import Body, DodItem, Node
from segment5b_lib.phases.engine.order import latest_decision
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, Subject, go_on, item, not_applicable
from segment5b_lib.phases.engine.repair import next_phase
from segment5b_lib.phases.popt0_hotspots import Hotspots, LaneShare, Owner, StateLanes, hotspots
from segment5b_lib.phases.shared_items import chain_complete
from segment5b_lib.store.catalogue import list_runs
from segment5b_lib.store.runs import Run
from segment5b_lib.views.timing import state_elapsed

_TRACK: Final = ("POPT.0", "POPT.1", "POPT.2", "POPT.3", "POPT.4")
_SECOND_SEED: Final = 7


class LaneLine(Node):
    """A lane: its states, the runs it was timed on by seed, its seconds and its budget."""

    lane: str
    states: list[str]
    runs_by_seed: dict[str, list[str]]
    median_s: popt_timing.Rounded | None
    budget_s: popt_timing.Rounded
    applies: bool


class TrackLine(Node):
    """What a phase of the performance track has decided, and about which run."""

    phase: str
    run_id: str | None
    decision: str | None
    opens: bool


class Certification(Body, artefact="popt5_certification"):
    """Lanes, refreshed hotspots, and the decisions of the track. The envelope's `scale` is where GO_P0 was earned."""

    track: list[TrackLine]
    lanes: list[LaneLine]
    samples: list[popt_timing.TimingLine]
    states: list[StateLanes]
    segment: list[LaneShare]
    owners: list[Owner]


@dataclass(frozen=True, kw_only=True)
class Popt5Measured(Measured):
    """Lanes timed from the records of runs that exist, and the track's decisions.

    Attributes
    ----------
    witness : the latest run of another seed with its repetitions; None where there is none
    candidate, both : samples of the candidate lane (one seed) and of the witness lane (two seeds)
    track : what POPT.0 to POPT.4 have decided, and about which run
    elapsed : seconds of the run's own attempt by state and lane, for a chart
    """

    timing: popt_timing.Timing
    witness: popt_timing.Timing | None
    candidate: popt_timing.Sample
    both: popt_timing.Sample
    track: list[TrackLine]
    lanes: list[LaneLine]
    hotspots: Hotspots
    elapsed: pl.DataFrame

    @property
    def run(self) -> Run:
        """The run of the candidate lane."""
        return self.timing.run

    @property
    def owners(self) -> list[Owner]:
        """States by expected gain."""
        return self.hotspots.owners

    @property
    def budget_lines(self) -> pl.DataFrame:
        """Budgets for a chart; empty where they do not apply."""
        return popt_timing.budget_frame(self.run)


def roles(run: Run, parameters: popt_timing.OnTimedRun) -> dict[str, list[Run]]:
    """Repetitions, and those of the latest complete run of another seed, by the same version on the same work."""
    receipt = run.receipt
    same = ("manifest_fingerprint", "parameter_hash", "library_version")
    witnesses = [
        other
        for other in list_runs()
        if other.receipt.seed != receipt.seed
        and all(getattr(other.receipt, name) == getattr(receipt, name) for name in same)
        and other.complete
    ]
    witness = {"witness": list(popt_timing.timing_of(witnesses[-1]).repetitions)} if witnesses else {}
    return popt_timing.repetition_roles(run) | witness


def measure(subject: Subject[popt_timing.OnTimedRun]) -> Popt5Measured:
    """Time both lanes from the states that the candidate changed."""
    run, timing = subject.run, popt_timing.timing_in(subject.run, subject.others)
    witnesses = subject.others.get("witness", ())
    witness = popt_timing.Timing(witnesses[0], witnesses) if witnesses else None
    changed = [state for state in STATES if state in run.receipt.changed_states]
    candidate = timing.together(changed)
    both = _added(candidate, witness.together(changed) if witness else None)
    return Popt5Measured(
        values=(popt_timing.median_value("lane", candidate), popt_timing.median_value("lane", both)),
        timing=timing,
        witness=witness,
        candidate=candidate,
        both=both,
        track=[_track(phase, run, subject.others["repetition"]) for phase in _TRACK],
        lanes=[_lane("candidate", changed, [timing], candidate), _lane("witness", changed, [timing, witness], both)],
        hotspots=hotspots("candidate", timing),
        elapsed=state_elapsed(run),
    )


def items(measured: Popt5Measured) -> list[DodItem]:
    """The track is closed, both lanes are timed and within budget, and no state stands in the way."""
    run, witness, budgets = measured.run, measured.witness, popt_timing.budgets_of(measured.run).lanes
    bounds = {
        "candidate": (measured.candidate, budgets["candidate"].target_s),
        "witness": (measured.both, budgets["witness"].target_s),
    }
    return [
        _closed(measured.track),
        chain_complete("POPT.5.1b", [run, *([witness.run] if witness else [])]),
        _timed(run, measured.candidate, measured.both, witness),
        popt_timing.budget_item("POPT.5.1d", "the candidate lane is within its budget", run, [bounds["candidate"]]),
        popt_timing.budget_item("POPT.5.1e", "the witness lane is within its budget", run, [bounds["witness"]]),
        _no_bottleneck(measured.timing),
    ]


def conclude(measured: Popt5Measured, items: Sequence[DodItem]) -> Conclusion:
    """Remediation starts, at this scale."""
    run = measured.run
    scale = f"GO_P0 at the {run.world.scale} scale" + (
        f": {reason}" if (reason := popt_timing.below_scale(run)) else ""
    )
    next_steps = go_on(
        items, next_phase("P0", "remediation", run), "performance", popt_timing.repeated(run, _SECOND_SEED)
    )
    return Conclusion(Decision.GO_P0, [scale], next_steps=next_steps)


def bodies(measured: Popt5Measured) -> list[Body]:
    """The certification."""
    return [Certification(track=measured.track, lanes=measured.lanes, **vars(measured.hotspots))]


def sections(measured: Popt5Measured) -> list[Section]:
    """Lanes and track."""
    lanes = [
        (
            line.lane,
            " ".join(line.states),
            ", ".join(line.runs_by_seed),
            "not timed" if line.median_s is None else f"{line.median_s:.3f} s",
            f"{line.budget_s:g} s" + ("" if line.applies else ", not applicable at this scale"),
        )
        for line in measured.lanes
    ]
    track = [(line.phase, line.decision or "none", (line.run_id or "–")[:8]) for line in measured.track]
    return [
        Section("Lanes", ("lane", "states", "seeds", "median", "budget"), lanes),
        Section("Performance track", ("phase", "decision", "about run"), track),
    ]


def _added(first: popt_timing.Sample, other: popt_timing.Sample | None) -> popt_timing.Sample:
    """Two seeds one after the other: the k-th run of one with the k-th run of the other."""
    pairs = zip(first.seconds.items(), other.seconds.values(), strict=False) if other else ()
    seconds = {name: first + second for (name, first), second in pairs}
    return popt_timing.Sample(
        f"two seeds, {first.name}", seconds, max(first.whole_run_s, other.whole_run_s if other else 0.0)
    )


def _track(phase: str, run: Run, others: Sequence[Run]) -> TrackLine:
    result = latest_decision(phase, run, others)
    if result is None:
        return TrackLine(phase=phase, run_id=None, decision=None, opens=False)
    return TrackLine(phase=phase, run_id=result.run_id, decision=result.decision.value, opens=result.decision.opens)


def _closed(track: Sequence[TrackLine]) -> DodItem:
    problems = [f"{line.phase}: {line.decision or 'no decision'}" for line in track if not line.opens]
    evidence = ", ".join(f"{line.phase} {line.decision}" for line in track)
    return item("POPT.5.1a", "POPT.0 to POPT.4 are closed", problems, evidence)


def _timed(
    run: Run, candidate: popt_timing.Sample, both: popt_timing.Sample, witness: popt_timing.Timing | None
) -> DodItem:
    """Both lanes were really run: enough times each, from the states that the candidate changed."""
    problems = popt_timing.too_few(run, [("candidate lane", candidate)])
    if witness is None:
        problems.append(f"no second seed: {popt_timing.repeated(run, _SECOND_SEED).text}")
    else:
        problems += popt_timing.too_few(run, [("witness lane", both)])
    text = "the candidate lane (one seed) and the witness lane (two seeds) are timed"
    return item("POPT.5.1c", text, problems, f"candidate {candidate.text}; witness {both.text}")


def _no_bottleneck(timing: popt_timing.Timing) -> DodItem:
    """No state above its stretch; what is above its target only is named."""
    name, text = "POPT.5.2", "no state is a bottleneck that blocks remediation"
    if reason := popt_timing.below_scale(timing.run):
        return not_applicable(name, text, reason)
    budgets = popt_timing.state_budgets(timing.run)
    samples = {state: timing.state(state) for state in budgets}
    over = [
        f"{state} {sample.text}: stretch {budgets[state].stretch_s:g} s"
        for state, sample in samples.items()
        if sample.n and sample.median > budgets[state].stretch_s
    ]
    lost = [f"{state}: not timed" for state, sample in samples.items() if not sample.n]
    amber = [s for s, sample in samples.items() if sample.n and sample.median > budgets[s].target_s]
    return item(name, text, over + lost, f"above its target only: {', '.join(amber) or 'none'}")


def _lane(
    name: str, states: Sequence[str], timings: Sequence[popt_timing.Timing | None], sample: popt_timing.Sample
) -> LaneLine:
    seeds = {str(timing.run.receipt.seed): [run.run_id for run in timing.repetitions] for timing in timings if timing}
    run = next(timing.run for timing in timings if timing)
    return LaneLine(
        lane=name,
        states=list(states),
        runs_by_seed=seeds,
        median_s=sample.median if sample.n else None,
        budget_s=next(budget.target_s for lane, budget in popt_timing.budgets_of(run).lanes.items() if lane == name),
        applies=not popt_timing.below_scale(run),
    )


PHASE: Final = Phase(
    name="POPT.5",
    question="May remediation start?",
    notebook="popt5_performance_certification",
    after=("POPT.4",),
    hold=Decision.HOLD_POPT5_REOPEN,
    parameters=popt_timing.OnTimedRun,
    artefacts=(Certification,),
    pages=(Certification.ARTEFACT,),
    roles=roles,
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    sections=sections,
)
