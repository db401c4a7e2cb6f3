"""POPT.1: is S1 faster, and the same?"""

from __future__ import annotations

from typing import ClassVar, Final

from segment5b_lib.contract.words import Decision
from segment5b_lib.phases import popt_items as items
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.legacy import Finding, Phase
from segment5b_lib.phases.engine.order import is_closed
from segment5b_lib.phases.engine.shared_items import chain_complete
from segment5b_lib.phases.popt_budgets import state_budget
from segment5b_lib.phases.popt_closure import LaneTiming, PairClosure, conclude, conduct_pair
from segment5b_lib.phases.popt_figures import PUBLISHED
from segment5b_lib.phases.popt_pair import Pair
from segment5b_lib.phases.popt_structure import counters_of, datasets_of
from segment5b_lib.store.runs import Run

LEAST_REDUCTION: Final = 0.40
"""Plan, POPT.1: less time than the baseline by at least this share, or within the budget."""
_SHAPE_TOLERANCE: Final = 1e-9
_COUNTERS: Final = ("total_bucket_count", "total_grouping_rows", "total_unique_group_ids")
_SHAPE: Final = ("median_members_per_group", "max_group_share")


class Popt1LaneTiming(LaneTiming):
    """S1 before and after."""

    ARTEFACT: ClassVar[str] = "popt1_lane_timing"


class Popt1Closure(PairClosure):
    """S1: the same buckets, groups and data."""

    ARTEFACT: ClassVar[str] = "popt1_closure"


PHASE: Final = Phase(
    name="POPT.1",
    question="Is S1 faster, and is what it writes the same?",
    after=("POPT.0",),
    hold=Decision.HOLD_POPT1_REOPEN,
    artefacts=(Popt1LaneTiming, Popt1Closure),
    pages=(Popt1Closure.ARTEFACT,),
)


def execute(run: Run, baseline: str = PUBLISHED, *, what_if: bool = False) -> Closure:
    """Hold a run against a baseline (a run, or a file of figures), decide, write a new attempt."""
    return conduct_pair(PHASE, run, baseline, examine, what_if=what_if)


def examine(pair: Pair) -> Finding:
    """S1 on both sides: time against the baseline, structure against the second run, replay against all others."""
    counters = counters_of(pair.reference, pair.run, "S1", _COUNTERS)
    shape = counters_of(pair.reference, pair.run, "S1", _SHAPE, allowed_difference=_SHAPE_TOLERANCE)
    datasets = datasets_of(pair.reference, pair.run, ["S1"])
    replays = items.replays(pair.run)
    found = [
        items.same_work("POPT.1.1", pair, ["S1"]),
        items.hot_path("POPT.1.2", pair, ["S1"]),
        items.equal("POPT.1.3a", "buckets, grouping rows and group ids are unchanged", counters),
        items.equal("POPT.1.3b", f"the shape of the groups is unchanged, within {_SHAPE_TOLERANCE:g}", shape),
        items.equal("POPT.1.3c", "what S1 writes is the same, column by column", datasets),
        items.lanes_kept("POPT.1.4", pair.run, ["S1"]),
        chain_complete("POPT.1.5a", [pair.run]),
        items.reduced("POPT.1.5b", pair, PHASE.name, "S1", LEAST_REDUCTION, state_budget(pair.run, "S1")),
        items.no_new_failures("POPT.1.5c", pair),
        items.replayed("POPT.1.5d", replays),
        items.pruned("POPT.1.6"),
    ]
    closed = is_closed("POPT.2", pair.run, [one for group in pair.others.values() for one in group])
    opens = Decision.UNLOCK_POPT3 if closed else Decision.UNLOCK_POPT2_CONTINUE
    return conclude(PHASE, pair, found, opens, [*counters, *shape], datasets, replays)
