"""POPT.1: is S1 faster, and the same?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from segment5b_lib.contract.words import Decision
from segment5b_lib.phases import popt_closure, shared_items
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.order import is_closed
from segment5b_lib.phases.engine.phase import Conclusion, Phase, Subject
from segment5b_lib.phases.popt_pair import BASELINE, CANDIDATE, Pair, PairParameters, pair_of
from segment5b_lib.phases.popt_structure import CounterLine, counters_of, datasets_of
from segment5b_lib.phases.popt_timing import below_scale, state_budgets
from segment5b_lib.phases.shared_items import chain_complete
from segment5b_lib.views.counts import group_sizes

S1_REDUCTION: Final = 0.40
"""Plan, POPT.1: less time than the baseline by at least this share, or within the budget."""
_NAME: Final = "POPT.1"
_SHAPE_TOLERANCE: Final = 1e-9
_COUNTERS: Final = ("total_bucket_count", "total_grouping_rows", "total_unique_group_ids")
_SHAPE: Final = ("median_members_per_group", "max_group_share")


class Popt1LaneTiming(popt_closure.LaneTiming, artefact="popt1_lane_timing"):
    """S1 before and after."""


class Popt1Closure(popt_closure.PairClosure, artefact="popt1_closure"):
    """S1: the same buckets, groups and data."""


@dataclass(frozen=True, kw_only=True)
class Popt1Measured(popt_closure.PairMeasured):
    """S1 on both sides: time against the baseline, structure against the second run, replay against all others.

    Attributes
    ----------
    shape : members per group and the largest group's share, on both sides
    group_sizes : groups by the number of their members, `role` candidate and (where there is a second run) baseline
    popt2_closed : whether POPT.2 is closed, so that POPT.3 is next
    """

    shape: list[CounterLine]
    group_sizes: pl.DataFrame
    popt2_closed: bool


def measure(subject: Subject[PairParameters]) -> Popt1Measured:
    """Compare S1 of a run with its baseline."""
    pair = pair_of(_NAME, subject.run, subject.parameters.baseline)
    shape = counters_of(pair.reference, pair.run, "S1", _SHAPE, allowed_difference=_SHAPE_TOLERANCE)
    return Popt1Measured(
        values=pair.medians(),
        pair=pair,
        counters=[*counters_of(pair.reference, pair.run, "S1", _COUNTERS), *shape],
        datasets=datasets_of(pair.reference, pair.run, ["S1"]),
        replays=shared_items.replays(pair.run),
        shape=shape,
        group_sizes=_group_sizes(pair),
        popt2_closed=is_closed("POPT.2", pair.run, subject.other_runs),
    )


def items(measured: Popt1Measured) -> list[DodItem]:
    """The same work, the same buckets, groups and data, in so much less time."""
    pair, shape = measured.pair, measured.shape
    target = None if below_scale(pair.run) else state_budgets(pair.run)["S1"].target_s
    counters = measured.counters[: len(measured.counters) - len(shape)]
    return [
        shared_items.same_work("POPT.1.1", pair, ["S1"]),
        shared_items.hot_path("POPT.1.2", pair, ["S1"]),
        shared_items.equal("POPT.1.3a", "buckets, grouping rows and group ids are unchanged", counters),
        shared_items.equal("POPT.1.3b", f"the shape of the groups is unchanged, within {_SHAPE_TOLERANCE:g}", shape),
        shared_items.equal("POPT.1.3c", "what S1 writes is the same, column by column", measured.datasets),
        shared_items.lanes_kept("POPT.1.4", pair.run, ["S1"]),
        chain_complete("POPT.1.5a", [pair.run]),
        shared_items.reduced("POPT.1.5b", pair, "S1", S1_REDUCTION, target),
        shared_items.no_new_failures("POPT.1.5c", pair),
        shared_items.replayed("POPT.1.5d", measured.replays),
        shared_items.pruned("POPT.1.6"),
    ]


def conclude(measured: Popt1Measured, items: Sequence[DodItem]) -> Conclusion:
    """POPT.2 is next, or POPT.3 where POPT.2 came first."""
    opens = Decision.UNLOCK_POPT3 if measured.popt2_closed else Decision.UNLOCK_POPT2_CONTINUE
    return Conclusion(opens, next_steps=popt_closure.pair_next_steps(measured.pair, opens, items))


def _group_sizes(pair: Pair) -> pl.DataFrame:
    sides = {BASELINE: pair.reference, CANDIDATE: pair.run}
    return pl.concat(
        [group_sizes(run).select(pl.lit(role).alias("role"), pl.all()) for role, run in sides.items() if run]
    )


PHASE: Final = popt_closure.pair_phase(
    Phase(
        name=_NAME,
        question="Is S1 faster, and is what it writes the same?",
        notebook="popt1_s1_domain",
        after=("POPT.0",),
        hold=Decision.HOLD_POPT1_REOPEN,
        parameters=PairParameters,
        artefacts=(Popt1LaneTiming, Popt1Closure),
        measure=measure,
        items=items,
        conclude=conclude,
        bodies=popt_closure.pair_bodies(Popt1LaneTiming, Popt1Closure),
    )
)
