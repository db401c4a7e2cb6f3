"""POPT.0: where does the time go? Ranks the owners of the time, derives budgets and order, pins the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from segment5b_lib.contract.commands import command
from segment5b_lib.contract.words import STATES, Decision
from segment5b_lib.engine.retention import pin
from segment5b_lib.phases import popt0_done, popt0_hotspots, popt1, popt2, popt_timing
from segment5b_lib.phases.engine.attempts import pointer_path
from segment5b_lib.phases.engine.envelope import Body, DodItem
from segment5b_lib.phases.engine.order import SUBJECTS
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.parameters import PhaseParameters
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, Subject, go_on
from segment5b_lib.phases.engine.repair import NextSteps, one_step
from segment5b_lib.store.publish import write_file
from segment5b_lib.store.roots import runs_folder
from segment5b_lib.store.runs import Run
from segment5b_lib.views.timing import state_elapsed

_LOCK_PAGE: Final = "popt0_baseline_lock"
_ELAPSED: Final = "popt0_state_elapsed"
_REDUCTIONS: Final = {"POPT.1": popt1.S1_REDUCTION, "POPT.2": popt2.S4_REDUCTION}


class HotspotMap(Body, artefact="popt0_hotspot_map"):
    """Lanes of every state and of the segment, ranked owners, reduction targets, order of work."""

    samples: list[popt_timing.TimingLine]
    states: list[popt0_hotspots.StateLanes]
    segment: list[popt0_hotspots.LaneShare]
    owners: list[popt0_hotspots.Owner]
    reduction_targets: list[popt0_hotspots.ReductionTarget]
    order_of_work: list[str]


class BudgetPin(Body, artefact="popt0_budget_pin"):
    """Budgets of states and lanes, each with the figure that it is based on."""

    states: list[popt0_hotspots.StateBudget]
    lanes: list[popt0_hotspots.LaneBudget]


@dataclass(frozen=True, kw_only=True)
class Popt0Measured(Measured):
    """Where a run's time goes.

    Attributes
    ----------
    elapsed : one row per state: time, status, rows, share; what is missing is named
    lanes : seconds of the run's own attempt by state and lane, for a chart
    order_of_work : POPT.1 to POPT.3 by expected gain; empty where S1 or S4 was not timed
    pins : whether an open decision pins the run; a what-if pins nothing
    pinned : the run that is pinned as the baseline so far; empty: none
    """

    timing: popt_timing.Timing
    elapsed: pl.DataFrame
    lanes: pl.DataFrame
    hotspots: popt0_hotspots.Hotspots
    reduction_targets: list[popt0_hotspots.ReductionTarget]
    order_of_work: list[str]
    state_budgets: list[popt0_hotspots.StateBudget]
    lane_budgets: list[popt0_hotspots.LaneBudget]
    pins: bool
    pinned: str

    @property
    def run(self) -> Run:
        """The run whose time is taken apart."""
        return self.timing.run

    @property
    def owners(self) -> list[popt0_hotspots.Owner]:
        """States by expected gain."""
        return self.hotspots.owners

    @property
    def segment(self) -> list[popt0_hotspots.LaneShare]:
        """Lanes of the whole segment."""
        return self.hotspots.segment

    @property
    def budget_lines(self) -> pl.DataFrame:
        """Budgets for a chart; empty where they do not apply."""
        return popt_timing.budget_frame(self.run)


def measure(subject: Subject[PhaseParameters]) -> Popt0Measured:
    """Take the time of a run and its repetitions apart."""
    pin_file = runs_folder() / popt0_done.PIN_FILE
    timing = popt_timing.timing_in(subject.run, subject.others)
    spots = popt0_hotspots.hotspots("baseline", timing)
    return Popt0Measured(
        values=tuple(popt_timing.median_value("baseline", timing.state(state)) for state in STATES),
        timing=timing,
        elapsed=popt0_hotspots.elapsed(timing),
        lanes=state_elapsed(subject.run),
        hotspots=spots,
        reduction_targets=popt0_hotspots.reduction_targets(spots.states, _REDUCTIONS),
        order_of_work=popt0_hotspots.ranked_order(timing, spots.owners),
        state_budgets=popt0_hotspots.state_budget_lines(timing),
        lane_budgets=popt0_hotspots.lane_budget_lines(timing),
        pins=not subject.parameters.as_what_if,
        pinned=pin_file.read_text(encoding="utf-8").strip() if pin_file.is_file() else "",
    )


def items(measured: Popt0Measured) -> list[DodItem]:
    """The baseline is clean, its time taken apart, budgets and order derived; and so it can be pinned."""
    others = [
        *popt0_done.baseline_items(measured.run),
        *popt0_done.elapsed_items(measured.timing, measured.elapsed, measured.hotspots),
        *popt0_done.lanes_items(measured.run, measured.owners, measured.reduction_targets),
        *popt0_done.budgets_items(measured.run, measured.state_budgets, measured.lane_budgets),
        popt0_done.order_item(measured.order_of_work),
    ]
    return [popt0_done.pinned_item(measured.run, measured.pinned, others, pins=measured.pins), *others]


def conclude(measured: Popt0Measured, items: Sequence[DodItem]) -> Conclusion:
    """The work starts, in the order of the ranking."""
    owners = [owner.state for owner in measured.owners]
    work = [f"{phase} ({' and '.join(SUBJECTS[phase])})" for phase in measured.order_of_work]
    return Conclusion(
        opens=Decision.GO_POPT_1,
        reasons=[f"owners by expected gain: {' → '.join(owners)}", f"order of work: {' → '.join(work)}"],
        next_steps=_next_steps(measured, items),
    )


def bodies(measured: Popt0Measured) -> list[Body]:
    """The hotspot map and the budgets."""
    targets, order = measured.reduction_targets, measured.order_of_work
    return [
        HotspotMap(**vars(measured.hotspots), reduction_targets=targets, order_of_work=order),
        BudgetPin(states=measured.state_budgets, lanes=measured.lane_budgets),
    ]


def sections(measured: Popt0Measured) -> list[Section]:
    """How the baseline was made, owners, targets, budgets, order of work."""
    targets, budgets, lanes = measured.reduction_targets, measured.state_budgets, measured.lane_budgets
    order = measured.order_of_work
    return [
        _lock(measured.run),
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
                for o in measured.owners
            ],
        ),
        Section(
            "Reduction targets",
            ("phase", "state", "least", "target"),
            [(t.phase, t.state, f"{t.least_reduction:.0%}", f"{t.target_s:.3f} s") for t in targets],
        ),
        Section(
            "Budgets",
            ("of", "target", "stretch", "based on"),
            [
                *((b.state, f"{b.target_s:g} s", f"{b.stretch_s:g} s", b.rationale) for b in budgets),
                *((b.lane, f"{b.budget_s:g} s", "", b.rationale) for b in lanes),
            ],
        ),
        Section("Order of work", ("phase", "states"), [(phase, ", ".join(SUBJECTS[phase])) for phase in order]),
    ]


def files(measured: Popt0Measured) -> dict[tuple[str, str], bytes]:
    """The table of elapsed times as CSV, seconds and shares with six digits after the point."""
    return {(_ELAPSED, "csv"): measured.elapsed.write_csv(float_precision=6).encode()}


def pin_baseline(measured: Popt0Measured) -> None:
    """The run becomes the baseline: in the pin file, and in the keep-set."""
    write_file(runs_folder() / popt0_done.PIN_FILE, f"{measured.run.run_id}\n".encode())
    pin("baseline", measured.run)


def _next_steps(measured: Popt0Measured, items: Sequence[DodItem]) -> NextSteps:
    run, first = measured.run, measured.order_of_work[:1]
    opened = one_step("performance", first, command("phase", *first, "@last"))
    if run.attached:
        note = "what the attached tree does not say"
        return go_on(items, opened, "baseline", command("show", run.run_id[:8]), note=note)
    return go_on(items, opened, "baseline", popt_timing.repeated(run))


def _lock(run: Run) -> Section:
    """How the baseline was made, and where it and what is said about it lie (below the outputs folder)."""
    receipt, last = run.receipt, run.last_records()
    changed = [word for key, value in receipt.changes.items() for word in ("--set", f"{key}={value}")]
    made = command("run", "--posture", receipt.posture, "--seed", str(receipt.seed), *changed)
    again = made.then("--repeat", str(receipt.nonce)) if receipt.nonce else made
    rows = [
        ("run root", f"{run.home.parent.name}/{run.run_id}"),
        ("command", "made elsewhere, attached" if run.attached else again.text),
        ("threads", ", ".join(sorted({str(record.threads) for record in last.values()}))),
        ("library", receipt.library_version),
        ("pin file", f"runs/{popt0_done.PIN_FILE}"),
        ("artefacts", f"reports/{run.run_id}/{pointer_path(PHASE.slug, run.run_id).name}"),
    ]
    return Section("Baseline", ("what", "which"), rows)


PHASE: Final = Phase(
    name="POPT.0",
    question="Where does the time go?",
    notebook="popt0_baseline_and_hotspots",
    after=(),
    hold=Decision.HOLD_POPT_0,
    parameters=PhaseParameters,
    artefacts=(HotspotMap, BudgetPin),
    pages=(_LOCK_PAGE,),
    roles=lambda run, parameters: popt_timing.repetition_roles(run),
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    sections=sections,
    files=files,
    effects=pin_baseline,
)
