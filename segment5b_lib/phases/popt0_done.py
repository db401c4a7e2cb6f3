"""POPT.0's definition of done: a clean baseline that can be pinned, its time taken apart, budgets, order of work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from segment5b_lib.contract.words import STATES, ItemStatus
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.order import SUBJECTS
from segment5b_lib.phases.engine.phase import item, not_applicable
from segment5b_lib.phases.popt0_hotspots import Hotspots, LaneBudget, Owner, ReductionTarget, StateBudget, unnamed
from segment5b_lib.phases.popt_timing import Timing, below_scale, too_few
from segment5b_lib.phases.shared_items import chain_complete, lanes_kept, pruned
from segment5b_lib.store.attachments import OWN_POLICIES
from segment5b_lib.store.runs import Run, policies_digest

PIN_FILE: Final = "POPT0_BASELINE_RUN_ID.txt"
_ROUNDING: Final = 1e-5
"""Shares are rounded to six digits each."""


def pinned_item(run: Run, pinned: str, others: Sequence[DodItem], *, pins: bool) -> DodItem:
    """No other item keeps the run from being pinned, which happens once the artefacts are written.

    `pinned` is the run that is the baseline until then; empty: none.
    """
    name, text = "POPT.0.1a", f"the run can be pinned as the baseline, in {PIN_FILE} and in the keep-set"
    if not pins:
        return not_applicable(name, text, "a what-if pins nothing")
    red = any(other.status is ItemStatus.RED for other in others)
    before = f"run {pinned[:8]} was pinned before" if pinned != run.run_id else "it was pinned before"
    problems = ["not pinned: other items are open"] if red else []
    return item(name, text, problems, f"{run.run_id}; {before if pinned else 'no run was pinned before'}")


def baseline_items(run: Run) -> list[DodItem]:
    """The baseline is complete, made under one set of policies, and superseded failed runs have been pruned."""
    posture = [
        f"{state}: policy {name} is not the one in the run root"
        for state in STATES
        if (marker := run.marker(state))
        for name, digest in marker.policies.items()
        if policies_digest(run.policies, [name])[name] != digest
    ]
    if run.attachment and run.attachment.judged_by != OWN_POLICIES:
        posture = [f"nobody knows them: the attached tree has none, posture {run.attachment.judged_by} lends its own"]
    text = "every state was made under the run's own policies"
    return [
        chain_complete("POPT.0.1b", [run]),
        item("POPT.0.1c", text, posture, f"parameter_hash {run.receipt.parameter_hash[:12]}"),
        pruned("POPT.0.1d"),
    ]


def elapsed_items(timing: Timing, table: pl.DataFrame, hotspots: Hotspots) -> list[DodItem]:
    """Times are there, are a distribution, are ranked, and what is missing is named."""
    samples, rows, owners = [timing.state(state) for state in STATES], table.to_dicts(), hotspots.owners
    untimed = [f"{row['state']}: {row['missing']}" for row in rows if row["elapsed_s"] is None]
    shares = sum(state.share for state in hotspots.states)
    lost = sorted(set(STATES) - {owner.state for owner in owners})
    unranked = [f"{', '.join(lost)}: not ranked"] if lost else []
    unranked += [] if abs(shares - 1) < _ROUNDING or lost else [f"shares add up to {shares}"]
    named = [f"{row['state']} {row['missing']}" for row in rows if row["missing"]]
    few = too_few(timing.run, [("baseline", sample) for sample in samples if sample.n])
    timed, ranked = "S0 to S5 have elapsed times from run records", "states are ranked by seconds and share"
    distribution = "times are a distribution: three runs, or one of more than ten minutes"
    missing = "every missing field of the table is named in its row"
    ranks = ", ".join(f"{owner.state} {owner.elapsed_s:.3f} s {owner.share:.1%}" for owner in owners)
    return [
        item("POPT.0.2a", timed, untimed, f"{timing.together(STATES).text} in all"),
        item("POPT.0.2b", distribution, few, f"n = {min(sample.n for sample in samples)}"),
        item("POPT.0.2c", ranked, unranked, ranks),
        item("POPT.0.2d", missing, unnamed(table), "; ".join(named) or "no field is missing"),
    ]


def lanes_items(run: Run, owners: Sequence[Owner], targets: Sequence[ReductionTarget]) -> list[DodItem]:
    """Lanes are measured, bottlenecks named, targets derived."""
    leaders = [owner for owner in owners if owner.bottleneck]
    unnamed_leaders = [] if len(leaders) == 3 else [f"{len(leaders)} of 3 bottlenecks"]
    aimed = {target.phase for target in targets}
    open_targets = [f"{phase}: no target" for phase in ("POPT.1", "POPT.2") if phase not in aimed]
    bottlenecks = "; ".join(
        f"{o.bottleneck} {o.state}: {o.dominant_lane} {o.expected_gain_s:.3f} s, "
        + (f"most of it in {o.hot_step!r}" if o.hot_step else "without step timers")
        for o in leaders
    )
    aims = "; ".join(f"{t.phase}: {t.state} ≤ {t.target_s:.3f} s ({t.least_reduction:.0%} less)" for t in targets)
    named = "primary, secondary and tertiary bottleneck are named with evidence"
    derived = "reduction targets of POPT.1 and POPT.2 follow from the decomposition"
    return [
        lanes_kept("POPT.0.3a", run, STATES),
        item("POPT.0.3b", named, unnamed_leaders, bottlenecks),
        item("POPT.0.3c", derived, open_targets, aims),
    ]


def budgets_items(run: Run, states: Sequence[StateBudget], lanes: Sequence[LaneBudget]) -> list[DodItem]:
    """Budgets of states and lanes, each on a figure."""
    unmeasured = [f"{line.state}: nothing measured to rest it on" for line in states if line.measured_s is None]
    lost = [f"{state}: no budget" for state in STATES[1:] if state not in {line.state for line in states}]
    unmeasured_lanes = [f"{line.lane}: nothing measured to rest it on" for line in lanes if line.measured_s is None]
    rationale = [f"{line.state}: {line.rationale}" for line in states]
    scale = [reason] if (reason := below_scale(run)) else []
    pinned, lines = "budgets of S1 to S5 are pinned", [f"{line.state} {line.target_s:g} s" for line in states]
    confirmed = "budgets of the candidate, witness and certification lanes are confirmed"
    of_lanes = "; ".join(f"{b.lane} {b.budget_s:g} s: {b.rationale}" for b in lanes)
    return [
        item("POPT.0.4a", pinned, lost, "; ".join(lines)),
        item("POPT.0.4b", confirmed, unmeasured_lanes, of_lanes),
        item("POPT.0.4c", "each budget names the figure that it is based on", unmeasured, "; ".join(rationale + scale)),
    ]


def order_item(order: Sequence[str]) -> DodItem:
    """POPT.1 to POPT.3 each have their place."""
    complete = sorted(order) == sorted(SUBJECTS)
    text = "the order of work follows from the ranking"
    return item("POPT.0.5", text, [] if complete else ["S1 and S4 are not both timed"], " → ".join(order))
