"""POPT.3: are S2 and S3 within their budgets, and the same?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl
from pydantic import Field

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.phases import popt_closure, shared_items
from segment5b_lib.phases.engine.envelope import DodItem, Node
from segment5b_lib.phases.engine.phase import Conclusion, Phase, Subject, item
from segment5b_lib.phases.popt2 import COUNTERS
from segment5b_lib.phases.popt_pair import Pair, PairParameters, pair_of
from segment5b_lib.phases.popt_structure import CounterLine, bundle_faults, counters_of, datasets_of, draws_of
from segment5b_lib.phases.popt_timing import below_scale, budget_item, compared, state_budgets
from segment5b_lib.phases.shared_items import chain_complete

_NAME: Final = "POPT.3"
_STATES: Final = ("S2", "S3")
_COUNTERS: Final = {"S2": ("rows", "lambda_realised_total"), "S3": ("rows", "total_arrivals"), "S4": COUNTERS}
_FIELD: Final = {
    "S2": ("groups", "mean_factor", "mean_factor_expected", "clipped_low", "clipped_high", "lambda_capped"),
    "S3": ("rows_drawn", "rows_zero", "count_capped"),
}


class Popt3Parameters(PairParameters):
    """A candidate, what it is measured against, and the reason for which a missed target is allowed."""

    waiver: str = Field("", description="why a target may be missed within its stretch; empty: it may not")


class BudgetWaiver(Node):
    """Why a missed target is allowed, and what was measured instead of it (seconds)."""

    reason: str
    targets: dict[str, float]
    stretch: dict[str, float]
    measured: dict[str, float]


class Popt3LaneTiming(popt_closure.LaneTiming, artefact="popt3_lane_timing"):
    """S2 and S3 before and after."""


class Popt3Closure(popt_closure.PairClosure, artefact="popt3_closure"):
    """S2 and S3: the same intensities and counts; the waiver, if the target was missed and one was given."""

    waiver: BudgetWaiver | None


@dataclass(frozen=True, kw_only=True)
class Popt3Measured(popt_closure.PairMeasured):
    """S2 and S3 against target and stretch; structure as far as S4, because they feed it.

    Attributes
    ----------
    draws : random numbers that S2 and S3 have used, on both sides
    latent_field : counters of the latent field and of the counts, on both sides
    reason : the reason that was given for a waiver; empty: none
    """

    draws: list[CounterLine]
    latent_field: list[CounterLine]
    reason: str

    @cached_property
    def budget(self) -> tuple[DodItem, BudgetWaiver | None]:
        """Whether the targets are kept, and the waiver if one lets them be missed."""
        return _budget(self.pair, self.reason)

    @property
    def waiver(self) -> BudgetWaiver | None:
        """The waiver, if the target was missed and one was given."""
        return self.budget[1]

    @property
    def budgets(self) -> pl.DataFrame:
        """S2 and S3 against their budgets: `state`, `measured_s`, `target_s`, `stretch_s`, `binds` at this scale."""
        run, budgets = self.pair.run, state_budgets(self.pair.run)
        rows = [
            (state, sample.median if sample.n else None, budgets[state].target_s, budgets[state].stretch_s)
            for state in _STATES
            for sample in [self.pair.after(state)]
        ]
        names = ("state", "measured_s", "target_s", "stretch_s")
        return pl.DataFrame(rows, schema=names, orient="row").with_columns(binds=pl.lit(not below_scale(run)))


def measure(subject: Subject[Popt3Parameters]) -> Popt3Measured:
    """Compare S2 and S3 of a run with their budgets and its baseline."""
    pair = pair_of(_NAME, subject.run, subject.parameters.baseline)
    draws = draws_of(pair.reference, pair.run, _STATES)
    counters, latent_field = (
        [line for state, names in table.items() for line in counters_of(pair.reference, pair.run, state, names)]
        for table in (_COUNTERS, _FIELD)
    )
    return Popt3Measured(
        values=pair.medians(),
        pair=pair,
        counters=[*counters, *draws],
        datasets=datasets_of(pair.reference, pair.run, ["S2", "S3", "S4"]),
        replays=shared_items.replays(pair.run),
        draws=draws,
        latent_field=latent_field,
        reason=subject.parameters.waiver,
    )


def items(measured: Popt3Measured) -> list[DodItem]:
    """The same work, the same intensities and counts, within the budgets."""
    pair, draws = measured.pair, measured.draws
    counters = measured.counters[: len(measured.counters) - len(draws)]
    return [
        shared_items.same_work("POPT.3.1a", pair, ["S2", "S3", "S4"]),
        shared_items.hot_path("POPT.3.1b", pair, _STATES),
        shared_items.equal("POPT.3.2a", "rows, intensities, counts and arrivals are unchanged", counters),
        shared_items.equal("POPT.3.2b", "what S2, S3 and S4 write is the same, column by column", measured.datasets),
        shared_items.equal("POPT.3.2c", "S2 and S3 draw as many random numbers", draws),
        shared_items.lanes_kept("POPT.3.2d", pair.run, _STATES),
        chain_complete("POPT.3.3a", [pair.run]),
        measured.budget[0],
        item("POPT.3.3c", "the S5 bundle is intact", bundle_faults(pair.run), "members, digest and flag agree"),
        shared_items.no_new_failures("POPT.3.3d", pair),
        shared_items.replayed("POPT.3.3e", measured.replays),
        shared_items.pruned("POPT.3.4"),
    ]


def conclude(measured: Popt3Measured, items: Sequence[DodItem]) -> Conclusion:
    """POPT.4 is next, with the waiver if there is one."""
    waiver = measured.waiver
    opens = Decision.UNLOCK_POPT4_CONTINUE_WITH_WAIVER if waiver else Decision.UNLOCK_POPT4_CONTINUE
    reasons = [f"waived: {waiver.reason}"] if waiver else []
    return Conclusion(opens, reasons, next_steps=popt_closure.pair_next_steps(measured.pair, opens, items))


def _budget(pair: Pair, reason: str) -> tuple[DodItem, BudgetWaiver | None]:
    """Target; or stretch, with a reason and a movement that can be told from the spread."""
    name, bounds = "POPT.3.3b", {state: state_budgets(pair.run)[state] for state in _STATES}
    samples = {state: pair.after(state) for state in _STATES}
    text, targets = "S2 and S3 take no more than their targets", [(samples[s], bounds[s].target_s) for s in _STATES]
    target = budget_item(name, text, pair.run, targets)
    if target.status is not ItemStatus.RED or below_scale(pair.run):
        return target, None
    stretch = budget_item(name, text, pair.run, [(samples[state], bounds[state].stretch_s) for state in _STATES])
    still = [state for state in _STATES if not _moved(pair, state)]
    if stretch.status is ItemStatus.RED or still or not reason:
        lacking = [
            *(["the stretch is missed as well"] if stretch.status is ItemStatus.RED else []),
            *(f"{state} has not become faster than its anchor" for state in still),
            *([] if reason else ["no waiver was given"]),
        ]
        return target.model_copy(update={"evidence": f"{target.evidence}; {'; '.join(lacking)}"}), None
    waived = BudgetWaiver(
        reason=reason,
        targets={state: bounds[state].target_s for state in _STATES},
        stretch={state: bounds[state].stretch_s for state in _STATES},
        measured={state: samples[state].median for state in _STATES},
    )
    evidence = f"{target.evidence}; within the stretch, waived: {reason}"
    return DodItem(id=name, text=text, status=ItemStatus.WAIVED, evidence=evidence), waived


def _moved(pair: Pair, state: str) -> bool:
    before, after = pair.before(state), pair.after(state)
    return bool(before.n and after.n) and compared(before, after) == "faster"


PHASE: Final = popt_closure.pair_phase(
    Phase(
        name=_NAME,
        question="Are S2 and S3 within their budgets, and is what they write the same?",
        notebook="popt3_s2_s3_throughput",
        after=("POPT.1", "POPT.2"),
        hold=Decision.HOLD_POPT3_REOPEN,
        parameters=Popt3Parameters,
        artefacts=(Popt3LaneTiming, Popt3Closure),
        measure=measure,
        items=items,
        conclude=conclude,
        bodies=popt_closure.pair_bodies(
            Popt3LaneTiming, Popt3Closure, own=lambda measured: {"waiver": measured.waiver}
        ),
    )
)
