"""POPT.2, and POPT.2R where it has been reopened: is S4 faster, and the same?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.phases import popt_items as items
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.legacy import Finding, Phase
from segment5b_lib.phases.engine.order import recorded_decision, related_runs
from segment5b_lib.phases.engine.phase import item
from segment5b_lib.phases.engine.shared_items import chain_complete
from segment5b_lib.phases.popt_budgets import below_scale, state_budgets
from segment5b_lib.phases.popt_closure import LaneTiming, PairClosure, conclude, conduct_pair
from segment5b_lib.phases.popt_figures import PUBLISHED, Figures
from segment5b_lib.phases.popt_pair import Pair, reduction
from segment5b_lib.phases.popt_structure import bundle_faults, counters_of, datasets_of, draws_of
from segment5b_lib.phases.popt_timing import Sample, compared, timing_of
from segment5b_lib.store.runs import Run

LEAST_REDUCTION: Final = 0.35
"""Plan, POPT.2: S4 takes less time than the baseline by at least this share."""
NEIGHBOURS: Final = 1.15
"""Plan, POPT.2: no other state takes more than this many times its anchor."""
LEAST_REOPENED: Final = 0.03
"""Plan, POPT.2R: S4 takes less time than where it was reopened, by at least this share."""
COUNTERS: Final = (
    "total_bucket_rows",
    "total_arrivals",
    "total_rows_written",
    "total_virtual",
    "missing_group_weights",
)
"""S4's counters that no optimisation may move: bucket_rows, arrivals_total, arrival_rows, arrival_virtual and
missing_group_weights in the plan's words."""
_HOLDS: Final = (Decision.HOLD_POPT2_REOPEN, Decision.HOLD_POPT2R_REOPEN)


class Popt2LaneTiming(LaneTiming):
    """S4 before and after, and the states around it."""

    ARTEFACT: ClassVar[str] = "popt2_lane_timing"


class Popt2Closure(PairClosure):
    """S4: the same arrivals. `reopened_from` is the S4 (seconds) that a reopened POPT.2 is held against."""

    ARTEFACT: ClassVar[str] = "popt2_closure"

    reopened_from: dict[str, float] | None = None


PHASE: Final = Phase(
    name="POPT.2",
    question="Is S4 faster, and is what it writes the same?",
    after=("POPT.0",),
    hold=Decision.HOLD_POPT2_REOPEN,
    artefacts=(Popt2LaneTiming, Popt2Closure),
    pages=(Popt2Closure.ARTEFACT,),
)


@dataclass(frozen=True)
class Reopening:
    """A POPT.2 that was held for another run: the S4 that it starts from, and the best S4 seen before."""

    start: Sample
    best: Sample


def execute(run: Run, baseline: str = PUBLISHED, *, what_if: bool = False) -> Closure:
    """Hold a run against a baseline (a run, or a file of figures), decide, write a new attempt."""
    return conduct_pair(PHASE, run, baseline, examine, what_if=what_if)


def examine(pair: Pair) -> Finding:
    """S4 on both sides; where it has not moved enough and POPT.2 has been reopened, 2R's own anchors decide."""
    counters = counters_of(pair.reference, pair.run, "S4", COUNTERS)
    datasets = datasets_of(pair.reference, pair.run, ["S4"])
    draws = draws_of(pair.reference, pair.run, ["S4"])
    replays = items.replays(pair.run)
    moved = items.reduced("POPT.2.5b", pair, PHASE.name, "S4", LEAST_REDUCTION, None)
    reopening = _reopening(pair) if moved.status is ItemStatus.RED else None
    found = [
        items.same_work("POPT.2.1", pair, ["S4"]),
        items.hot_path("POPT.2.2", pair, ["S4"]),
        items.equal("POPT.2.3", "bucket rows, arrivals and missing group weights are unchanged", counters),
        items.equal("POPT.2.4a", "what S4 writes is the same, column by column", datasets),
        items.equal("POPT.2.4b", "S4 draws as many random numbers", draws),
        items.lanes_kept("POPT.2.4c", pair.run, ["S4"]),
        chain_complete("POPT.2.5a", [pair.run]),
        _reopened_item(pair, reopening) if reopening else moved,
        items.not_slower("POPT.2.5c", pair, PHASE.name, ["S2", "S3", "S5"], NEIGHBOURS),
        item("POPT.2.5d", "the S5 bundle is intact", bundle_faults(pair.run), "members, digest and flag agree"),
        items.no_new_failures("POPT.2.5e", pair),
        items.replayed("POPT.2.5f", replays),
        items.pruned("POPT.2.6"),
    ]
    anchors = {"start": reopening.start.median, "best": reopening.best.median} if reopening else None
    return conclude(
        PHASE,
        pair,
        found,
        Decision.UNLOCK_POPT3_CONTINUE,
        [*counters, *draws],
        datasets,
        replays,
        reopens=Decision.HOLD_POPT2R_REOPEN if reopening else None,
        reasons=[*_budget(pair), *([f"reopened as POPT.2R, because {moved.evidence}"] if reopening else [])],
        own={"reopened_from": anchors},
    )


def _budget(pair: Pair) -> list[str]:
    """How S4 stands to its budget, which POPT.2 prefers and does not demand; nothing where budgets do not bind."""
    budget, after = state_budgets(pair.run)["S4"], pair.after("S4")
    if below_scale(pair.run) or not after.n:
        return []
    sides = (("target", budget.target_s), ("stretch", budget.stretch_s))
    kept = ", ".join(f"{name} {s:g} s {'kept' if after.median <= s else 'missed'}" for name, s in sides)
    return [f"S4 takes {after.text}: {kept}"]


def _reopening(pair: Pair) -> Reopening | None:
    """The anchors of 2R, where POPT.2 has held another run of this kin; none while too few runs were timed."""
    held = _held(pair)
    if not held or pair.few(PHASE.name, ["S4"]):
        return None
    if isinstance(pair.baseline, Figures):
        figures, names = pair.baseline, pair.baseline.reopened
        start, best = (
            Sample("S4", {figures.run_id: figures.snapshots[name].seconds["S4"]}, figures.segment_seconds)
            for name in (names.start, names.best)
        )
        return Reopening(start, best)
    samples = [sample for run in held if (sample := timing_of(run).state("S4")).n]
    return Reopening(samples[0], min(samples, key=lambda sample: sample.median)) if samples else None


def _held(pair: Pair) -> list[Run]:
    """Other runs of this kin that POPT.2 has held, the latest decision first."""
    found = {}
    for circle in related_runs(pair.run, [one for group in pair.others.values() for one in group]):
        for relative in circle:
            spoken = recorded_decision(PHASE.name, relative)
            if spoken and spoken.opening.decision in _HOLDS and relative.run_id != pair.run.run_id:
                found[relative.run_id] = (spoken.created_utc, relative)
    return [relative for _, relative in sorted(found.values(), key=lambda entry: entry[0], reverse=True)]


def _reopened_item(pair: Pair, reopening: Reopening) -> DodItem:
    text = f"POPT.2R: S4 takes at least {LEAST_REOPENED:.0%} less than where it was reopened, and no more than the best"
    after = pair.after("S4")
    sides: Sequence[tuple[str, Sample]] = (("start", reopening.start), ("best", reopening.best), ("now", after))
    found = "; ".join(f"{role} {sample.text}" for role, sample in sides)
    saved = reduction(reopening.start, after)
    holds = saved >= LEAST_REOPENED and compared(reopening.start, after) == "faster"
    holds = holds and after.median <= reopening.best.median
    return item("POPT.2R", text, [] if holds else [f"{saved:+.1%} less: {found}"], f"{saved:+.1%} less: {found}")
