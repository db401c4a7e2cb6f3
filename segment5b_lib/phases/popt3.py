"""POPT.3: are S2 and S3 within their budgets, and the same?"""

from __future__ import annotations

from typing import ClassVar, Final

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.phases import popt_items as items
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem, Node
from segment5b_lib.phases.engine.legacy import Finding, Phase
from segment5b_lib.phases.engine.phase import item
from segment5b_lib.phases.engine.shared_items import chain_complete
from segment5b_lib.phases.popt2 import COUNTERS
from segment5b_lib.phases.popt_budgets import below_scale, budget_item, state_budgets
from segment5b_lib.phases.popt_closure import LaneTiming, PairClosure, conclude, conduct_pair
from segment5b_lib.phases.popt_figures import PUBLISHED
from segment5b_lib.phases.popt_pair import Pair
from segment5b_lib.phases.popt_structure import bundle_faults, counters_of, datasets_of, draws_of
from segment5b_lib.phases.popt_timing import compared
from segment5b_lib.store.runs import Run

_STATES: Final = ("S2", "S3")
_COUNTERS: Final = {"S2": ("rows", "lambda_realised_total"), "S3": ("rows", "total_arrivals"), "S4": COUNTERS}


class Waiver(Node):
    """Why a target that was missed is let pass, and what was measured instead of it (seconds)."""

    reason: str
    targets: dict[str, float]
    stretch: dict[str, float]
    measured: dict[str, float]


class Popt3LaneTiming(LaneTiming):
    """S2 and S3 before and after."""

    ARTEFACT: ClassVar[str] = "popt3_lane_timing"


class Popt3Closure(PairClosure):
    """S2 and S3: the same intensities and counts; the waiver, if the target was missed and one was given."""

    ARTEFACT: ClassVar[str] = "popt3_closure"

    waiver: Waiver | None = None


PHASE: Final = Phase(
    name="POPT.3",
    question="Are S2 and S3 within their budgets, and is what they write the same?",
    after=("POPT.1", "POPT.2"),
    hold=Decision.HOLD_POPT3_REOPEN,
    artefacts=(Popt3LaneTiming, Popt3Closure),
    pages=(Popt3Closure.ARTEFACT,),
)


def execute(run: Run, baseline: str = PUBLISHED, *, waiver: str = "", what_if: bool = False) -> Closure:
    """Hold a run against its budgets and a baseline (a run, or a file of figures), decide, write a new attempt.

    `waiver` is the reason for which a target may be missed as long as the stretch is kept.
    """
    return conduct_pair(PHASE, run, baseline, lambda pair: examine(pair, waiver), what_if=what_if)


def examine(pair: Pair, waiver: str = "") -> Finding:
    """S2 and S3 against target and stretch; structure as far as S4, because they feed it."""
    counters = [
        line for state, names in _COUNTERS.items() for line in counters_of(pair.reference, pair.run, state, names)
    ]
    datasets = datasets_of(pair.reference, pair.run, ["S2", "S3", "S4"])
    draws = draws_of(pair.reference, pair.run, _STATES)
    replays = items.replays(pair.run)
    budget, waived = _budget(pair, waiver)
    found = [
        items.same_work("POPT.3.1a", pair, ["S2", "S3", "S4"]),
        items.hot_path("POPT.3.1b", pair, _STATES),
        items.equal("POPT.3.2a", "rows, intensities, counts and arrivals are unchanged", counters),
        items.equal("POPT.3.2b", "what S2, S3 and S4 write is the same, column by column", datasets),
        items.equal("POPT.3.2c", "S2 and S3 draw as many random numbers", draws),
        items.lanes_kept("POPT.3.2d", pair.run, _STATES),
        chain_complete("POPT.3.3a", [pair.run]),
        budget,
        item("POPT.3.3c", "the S5 bundle is intact", bundle_faults(pair.run), "members, digest and flag agree"),
        items.no_new_failures("POPT.3.3d", pair),
        items.replayed("POPT.3.3e", replays),
        items.pruned("POPT.3.4"),
    ]
    opens = Decision.UNLOCK_POPT4_CONTINUE_WITH_WAIVER if waived else Decision.UNLOCK_POPT4_CONTINUE
    reasons = [f"waived: {waived.reason}"] if waived else []
    lines = [*counters, *draws], datasets
    return conclude(PHASE, pair, found, opens, *lines, replays, reasons=reasons, own={"waiver": waived})


def _budget(pair: Pair, reason: str) -> tuple[DodItem, Waiver | None]:
    """Target; or stretch, with a reason and a movement that can be told from the spread."""
    name, bounds = "POPT.3.3b", {state: state_budgets(pair.run)[state] for state in _STATES}
    samples = {state: pair.after(state) for state in _STATES}
    target = budget_item(
        name,
        "S2 and S3 take no more than their targets",
        pair.run,
        [(samples[state], bounds[state].target_s) for state in _STATES],
    )
    if target.status is not ItemStatus.RED or below_scale(pair.run):
        return target, None
    stretch = budget_item(name, target.text, pair.run, [(samples[state], bounds[state].stretch_s) for state in _STATES])
    still = [state for state in _STATES if not _moved(pair, state)]
    if stretch.status is ItemStatus.RED or still or not reason:
        lacking = [
            *([] if stretch.status is not ItemStatus.RED else ["the stretch is missed as well"]),
            *(f"{state} has not become faster than its anchor" for state in still),
            *([] if reason else ["no waiver was given"]),
        ]
        return target.model_copy(update={"evidence": f"{target.evidence}; {'; '.join(lacking)}"}), None
    waived = Waiver(
        reason=reason,
        targets={state: bounds[state].target_s for state in _STATES},
        stretch={state: bounds[state].stretch_s for state in _STATES},
        measured={state: samples[state].median for state in _STATES},
    )
    evidence = f"{target.evidence}; within the stretch, waived: {reason}"
    return DodItem(id=name, text=target.text, status=ItemStatus.WAIVED, evidence=evidence), waived


def _moved(pair: Pair, state: str) -> bool:
    before, after = pair.before(PHASE.name, state), pair.after(state)
    return bool(before.n and after.n) and compared(before, after) == "faster"
