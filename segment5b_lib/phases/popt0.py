"""POPT.0: where does the time go? Pins the baseline, the ranking, the budgets and the order of work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic import Field

from segment5b_lib.contract.commands import command
from segment5b_lib.contract.words import STATES, Decision, ItemStatus
from segment5b_lib.phases import popt1, popt2
from segment5b_lib.phases.engine.attempts import pointer_path
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.legacy import Finding, LegacyEnvelope, Phase, conduct
from segment5b_lib.phases.engine.order import SUBJECTS
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.repair import NextSteps, one_step
from segment5b_lib.phases.popt0_budgets import LaneBudget, StateBudget, lane_budgets, state_budgets
from segment5b_lib.phases.popt0_done import (
    PIN_FILE,
    baseline_items,
    budgets_items,
    elapsed_items,
    lanes_items,
    order_item,
    pinned_item,
)
from segment5b_lib.phases.popt0_elapsed import elapsed_csv
from segment5b_lib.phases.popt0_hotspots import (
    LaneShare,
    Owner,
    ReductionTarget,
    StateLanes,
    order_of_work,
    owners,
    reduction_targets,
    segment_lanes,
    state_lanes,
)
from segment5b_lib.phases.popt_timing import Timing, TimingLine, measured, timing_line, timing_of
from segment5b_lib.store.runs import Run

LOCK_PAGE: Final = "popt0_baseline_lock"
ELAPSED: Final = "popt0_state_elapsed"
_REDUCTIONS: Final = {"POPT.1": popt1.LEAST_REDUCTION, "POPT.2": popt2.LEAST_REDUCTION}


class HotspotMap(LegacyEnvelope):
    """Lanes of every state and of the segment, ranked owners, reduction targets, order of work."""

    ARTEFACT: ClassVar[str] = "popt0_hotspot_map"

    samples: list[TimingLine] = Field(default_factory=list)
    states: list[StateLanes] = Field(default_factory=list)
    segment: list[LaneShare] = Field(default_factory=list)
    owners: list[Owner] = Field(default_factory=list)
    reduction_targets: list[ReductionTarget] = Field(default_factory=list)
    order_of_work: list[str] = Field(default_factory=list)


class BudgetPin(LegacyEnvelope):
    """Budgets of states and lanes, each with the figure that it rests on."""

    ARTEFACT: ClassVar[str] = "popt0_budget_pin"

    states: list[StateBudget] = Field(default_factory=list)
    lanes: list[LaneBudget] = Field(default_factory=list)


PHASE: Final = Phase(
    name="POPT.0",
    question="Where does the time go?",
    after=(),
    hold=Decision.HOLD_POPT_0,
    artefacts=(HotspotMap, BudgetPin),
    pages=(LOCK_PAGE,),
)


def execute(run: Run, *, what_if: bool = False) -> Closure:
    """Rank where a run's time goes, decide, write a new attempt; pins the run as the baseline if nothing is open."""
    timing = timing_of(run)
    others = {"repetition": [one for one in timing.repetitions if one.run_id != run.run_id]}
    return conduct(PHASE, run, lambda: examine(timing, pins=not what_if), others=others, what_if=what_if)


def examine(timing: Timing, *, pins: bool) -> Finding:
    """The picture of a run's time: complete or not."""
    states = state_lanes(timing)
    ranking, targets = owners(timing, states), reduction_targets(states, _REDUCTIONS)
    order = order_of_work(timing, ranking) if {"S1", "S4"} <= {owner.state for owner in ranking} else []
    budgets, lanes = state_budgets(timing), lane_budgets(timing)
    items = [
        *baseline_items(timing.run),
        *elapsed_items(timing, states, ranking),
        *lanes_items(timing, ranking, targets),
        *budgets_items(timing.run, budgets, lanes),
        order_item(order),
    ]
    items.insert(0, pinned_item(timing.run, items, pins=pins))
    return Finding(
        items=items,
        opens=Decision.GO_POPT_1,
        reasons=_reasons(ranking, order),
        measured=[measured("baseline", timing.state(state)) for state in STATES],
        own={
            HotspotMap: {
                "samples": [timing_line("baseline", timing.state(s), timing.lanes(s)) for s in STATES],
                "states": states,
                "segment": segment_lanes(states),
                "owners": ranking,
                "reduction_targets": targets,
                "order_of_work": order,
            },
            BudgetPin: {"states": budgets, "lanes": lanes},
        },
        files={(ELAPSED, "csv"): elapsed_csv(timing)},
        sections=[_lock(timing.run), *_sections(ranking, targets, budgets, lanes, order)],
        next_steps=_next_steps(timing.run, items, order),
    )


def _reasons(ranking: Sequence[Owner], order: Sequence[str]) -> list[str]:
    work = [f"{phase} ({' and '.join(SUBJECTS[phase])})" for phase in order]
    return [
        f"owners by expected gain: {' → '.join(owner.state for owner in ranking)}",
        f"order of work: {' → '.join(work)}",
    ]


def _next_steps(run: Run, items: Sequence[DodItem], order: Sequence[str]) -> NextSteps:
    red = tuple(found.id for found in items if found.status is ItemStatus.RED)
    if not red and order:
        return one_step("performance", [order[0]], command("phase", order[0], "@last"))
    if run.attached:
        show = command("show", run.run_id[:8])
        return one_step("baseline", red, show, note="what the attached tree does not say")
    receipt = run.receipt
    again = command("run", "--repeat", "3", "--posture", receipt.posture, "--seed", str(receipt.seed))
    return one_step("baseline", red, again)


def _lock(run: Run) -> Section:
    """How the baseline was made, and where it and what is said about it lie (below the outputs folder)."""
    receipt, last = run.receipt, run.last_records()
    changed = "".join(f" --set {key}={value}" for key, value in receipt.changes.items())
    command = f"segment5b run --posture {receipt.posture} --seed {receipt.seed}{changed}"
    made = (
        "made elsewhere, attached"
        if run.attached
        else command + (f" --repeat {receipt.nonce}" if receipt.nonce else "")
    )
    rows = [
        ("run root", f"{run.home.parent.name}/{run.run_id}"),
        ("command", made),
        ("threads", ", ".join(sorted({str(record.threads) for record in last.values()}))),
        ("library", receipt.library_version),
        ("pin file", f"runs/{PIN_FILE}"),
        ("artefacts", f"reports/{run.run_id}/{pointer_path(PHASE.slug, run.run_id).name}"),
    ]
    return Section("Baseline", ("what", "which"), rows)


def _sections(
    ranking: Sequence[Owner],
    targets: Sequence[ReductionTarget],
    budgets: Sequence[StateBudget],
    lanes: Sequence[LaneBudget],
    order: Sequence[str],
) -> list[Section]:
    return [
        Section(
            "Owners",
            ("rank", "state", "elapsed", "share", "dominant lane", "hot step", "expected gain"),
            [
                (
                    f"{o.rank} {o.bottleneck}",
                    o.state,
                    f"{o.elapsed_s:.3f} s",
                    f"{o.share:.1%}",
                    o.dominant_lane,
                    o.hot_step,
                    f"{o.expected_gain_s:.3f} s",
                )
                for o in ranking
            ],
        ),
        Section(
            "Reduction targets",
            ("phase", "state", "least", "target"),
            [(t.phase, t.state, f"{t.least_reduction:.0%}", f"{t.target_s:.3f} s") for t in targets],
        ),
        Section(
            "Budgets",
            ("of", "target", "stretch", "rests on"),
            [
                *((b.state, f"{b.target_s:g} s", f"{b.stretch_s:g} s", b.rationale) for b in budgets),
                *((b.lane, f"{b.budget_s:g} s", "", b.rationale) for b in lanes),
            ],
        ),
        Section("Order of work", ("phase", "states"), [(phase, ", ".join(SUBJECTS[phase])) for phase in order]),
    ]
