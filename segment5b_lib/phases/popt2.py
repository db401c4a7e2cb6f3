"""POPT.2, and POPT.2R where it has been reopened: is S4 faster, and the same?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.phases import popt_closure, shared_items
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.order import recorded_decision, related_runs
from segment5b_lib.phases.engine.phase import Conclusion, Phase, Subject, item
from segment5b_lib.phases.popt_pair import Figures, Pair, PairParameters, pair_of, reduction
from segment5b_lib.phases.popt_structure import CounterLine, bundle_faults, counters_of, datasets_of, draws_of
from segment5b_lib.phases.popt_timing import Sample, below_scale, compared, state_budgets, timing_of
from segment5b_lib.phases.shared_items import chain_complete
from segment5b_lib.store.runs import Run

S4_REDUCTION: Final = 0.35
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
_SHOWN: Final = ("anomalies", "active_zones")
_NAME: Final = "POPT.2"
_HOLDS: Final = (Decision.HOLD_POPT2_REOPEN, Decision.HOLD_POPT2R_REOPEN)


class Popt2LaneTiming(popt_closure.LaneTiming, artefact="popt2_lane_timing"):
    """S4 before and after, and the states around it."""


class Popt2Closure(popt_closure.PairClosure, artefact="popt2_closure"):
    """S4: the same arrivals. `reopened_from` is the S4 (seconds) that a reopened POPT.2 is compared with."""

    reopened_from: dict[str, float] | None


@dataclass(frozen=True)
class Anchors:
    """What POPT.2R compares S4 with where POPT.2 has held another run: the S4 it starts from, and the best so far."""

    start: Sample
    best: Sample

    def and_now(self, now: Sample) -> dict[str, Sample]:
        """Both anchors and a candidate's S4, by name."""
        return {"start": self.start, "best": self.best, "now": now}


@dataclass(frozen=True, kw_only=True)
class Popt2Measured(popt_closure.PairMeasured):
    """S4 on both sides; where it has not moved enough and POPT.2 has been reopened, 2R's own anchors decide.

    Attributes
    ----------
    arrivals : S4's counters on both sides: rows, arrivals, anomalies, missing group weights
    draws : random numbers that S4 has used, on both sides
    anchors : 2R's anchors; None where POPT.2 has held no related run, or too few runs were timed
    """

    arrivals: list[CounterLine]
    draws: list[CounterLine]
    anchors: Anchors | None

    @cached_property
    def moved(self) -> DodItem:
        """Whether S4 takes so much less time than the baseline."""
        return shared_items.reduced("POPT.2.5b", self.pair, "S4", S4_REDUCTION, None)

    @property
    def reopened(self) -> Anchors | None:
        """The anchors that decide, because S4 has not moved enough."""
        return self.anchors if self.moved.status is ItemStatus.RED else None

    @property
    def reopening(self) -> pl.DataFrame:
        """S4 against 2R's anchors: `anchor` (start, best, now), `runs`, `median_s`, `spread_s`; empty without any."""
        sides = self.anchors.and_now(self.pair.after("S4")) if self.anchors else {}
        rows = [(name, sample.n, sample.median, sample.spread) for name, sample in sides.items()]
        return pl.DataFrame(rows, {"anchor": str, "runs": int, "median_s": float, "spread_s": float}, orient="row")


def measure(subject: Subject[PairParameters]) -> Popt2Measured:
    """Compare S4 of a run with its baseline."""
    pair = pair_of(_NAME, subject.run, subject.parameters.baseline)
    counters = counters_of(pair.reference, pair.run, "S4", COUNTERS)
    draws = draws_of(pair.reference, pair.run, ["S4"])
    return Popt2Measured(
        values=pair.medians(),
        pair=pair,
        counters=[*counters, *draws],
        datasets=datasets_of(pair.reference, pair.run, ["S4"]),
        replays=shared_items.replays(pair.run),
        arrivals=[*counters, *counters_of(pair.reference, pair.run, "S4", _SHOWN)],
        draws=draws,
        anchors=_anchors(pair, subject.other_runs),
    )


def items(measured: Popt2Measured) -> list[DodItem]:
    """The same work, the same arrivals, in so much less time, and no neighbour has become slower."""
    pair, draws = measured.pair, measured.draws
    counters = measured.counters[: len(measured.counters) - len(draws)]
    return [
        shared_items.same_work("POPT.2.1", pair, ["S4"]),
        shared_items.hot_path("POPT.2.2", pair, ["S4"]),
        shared_items.equal("POPT.2.3", "bucket rows, arrivals and missing group weights are unchanged", counters),
        shared_items.equal("POPT.2.4a", "what S4 writes is the same, column by column", measured.datasets),
        shared_items.equal("POPT.2.4b", "S4 draws as many random numbers", draws),
        shared_items.lanes_kept("POPT.2.4c", pair.run, ["S4"]),
        chain_complete("POPT.2.5a", [pair.run]),
        _reopened_item(pair, measured.reopened) if measured.reopened else measured.moved,
        shared_items.not_slower("POPT.2.5c", pair, ["S2", "S3", "S5"], NEIGHBOURS),
        item("POPT.2.5d", "the S5 bundle is intact", bundle_faults(pair.run), "members, digest and flag agree"),
        shared_items.no_new_failures("POPT.2.5e", pair),
        shared_items.replayed("POPT.2.5f", measured.replays),
        shared_items.pruned("POPT.2.6"),
    ]


def conclude(measured: Popt2Measured, items: Sequence[DodItem]) -> Conclusion:
    """POPT.3 is next; a reopened POPT.2 has a hold of its own."""
    opens, reopened = Decision.UNLOCK_POPT3_CONTINUE, measured.reopened
    because = [f"reopened as POPT.2R, because {measured.moved.evidence}"] if reopened else []
    return Conclusion(
        opens,
        reasons=[*_budget(measured.pair), *because],
        reopens=Decision.HOLD_POPT2R_REOPEN if reopened else None,
        next_steps=popt_closure.pair_next_steps(measured.pair, opens, items),
    )


def _reopened_from(measured: Popt2Measured) -> dict[str, dict[str, float] | None]:
    anchors = measured.reopened
    return {"reopened_from": {"start": anchors.start.median, "best": anchors.best.median} if anchors else None}


def _budget(pair: Pair) -> list[str]:
    """How S4 stands to its budget, which POPT.2 prefers and does not demand; nothing where budgets do not bind."""
    budget, after = state_budgets(pair.run)["S4"], pair.after("S4")
    if below_scale(pair.run) or not after.n:
        return []
    sides = (("target", budget.target_s), ("stretch", budget.stretch_s))
    kept = ", ".join(f"{name} {s:g} s {'kept' if after.median <= s else 'missed'}" for name, s in sides)
    return [f"S4 takes {after.text}: {kept}"]


def _anchors(pair: Pair, others: Sequence[Run]) -> Anchors | None:
    held = _held(pair.run, others)
    if not held or pair.few(["S4"]):
        return None
    if isinstance(pair.baseline, Figures):
        figures, names = pair.baseline, pair.baseline.reopened
        start, best = (
            Sample("S4", {figures.run_id: figures.snapshots[name].seconds["S4"]}, figures.segment_seconds)
            for name in (names.start, names.best)
        )
        return Anchors(start, best)
    samples = [sample for run in held if (sample := timing_of(run).state("S4")).n]
    return Anchors(samples[0], min(samples, key=lambda sample: sample.median)) if samples else None


def _held(run: Run, others: Sequence[Run]) -> list[Run]:
    """Other related runs that POPT.2 has held, the latest decision first."""
    held = {}
    for group in related_runs(run, others):
        for related in group:
            recorded = recorded_decision(_NAME, related)
            if recorded and recorded.opening.decision in _HOLDS and related.run_id != run.run_id:
                held[related.run_id] = (recorded.created_utc, related)
    return [related for _, related in sorted(held.values(), key=lambda entry: entry[0], reverse=True)]


def _reopened_item(pair: Pair, anchors: Anchors) -> DodItem:
    text = f"POPT.2R: S4 takes at least {LEAST_REOPENED:.0%} less than where it was reopened, and no more than the best"
    after = pair.after("S4")
    sides = "; ".join(f"{name} {sample.text}" for name, sample in anchors.and_now(after).items())
    saved = reduction(anchors.start, after)
    holds = saved >= LEAST_REOPENED and compared(anchors.start, after) == "faster"
    holds = holds and after.median <= anchors.best.median
    return item("POPT.2R", text, [] if holds else [f"{saved:+.1%} less: {sides}"], f"{saved:+.1%} less: {sides}")


PHASE: Final = popt_closure.pair_phase(
    Phase(
        name=_NAME,
        question="Is S4 faster, and is what it writes the same?",
        notebook="popt2_s4_expansion",
        after=("POPT.0",),
        hold=Decision.HOLD_POPT2_REOPEN,
        parameters=PairParameters,
        artefacts=(Popt2LaneTiming, Popt2Closure),
        measure=measure,
        items=items,
        conclude=conclude,
        bodies=popt_closure.pair_bodies(Popt2LaneTiming, Popt2Closure, own=_reopened_from),
    )
)
