"""P0's definition of done: the picture of the baseline is complete, and every failure has one owner."""

from __future__ import annotations

import pyarrow.parquet as pq

from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import GATES
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.phase import item
from segment5b_lib.phases.engine.shared_items import chain_complete
from segment5b_lib.phases.p0_artefacts import axis_lines
from segment5b_lib.phases.p0_clocks import explained
from segment5b_lib.phases.p0_figures import figure_lines, verdict_counts
from segment5b_lib.store.attachments import OWN_POLICIES
from segment5b_lib.store.runs import Run


def definition_of_done(run: Run, scorecard: Scorecard) -> list[DodItem]:
    """Every item, computed from the run and its scorecard."""
    return [
        chain_complete("P0.1", [run]),
        _scored(scorecard),
        _full_scan(run, scorecard),
        _provenance(run, scorecard),
        _owners(scorecard),
        _axes(scorecard),
        _figures(scorecard),
        explained(scorecard),
    ]


def _scored(scorecard: Scorecard) -> DodItem:
    found = {result.gate_id: result for result in scorecard.results}
    open_points = [f"{entry.gate_id}: no result" for entry in GATES if entry.gate_id not in found]
    open_points += [
        f"{result.gate_id}: not measured ({result.reason})"
        for result in scorecard.results
        if result.verdict is Verdict.NOT_MEASURED
    ]
    failed = sum(result.verdict is Verdict.FAIL for result in scorecard.results)
    undecided = [r.gate_id for r in scorecard.results if r.verdict is Verdict.INSUFFICIENT_POWER]
    evidence = f"{len(found)} gates measured, {failed} of them fail"
    if undecided:
        evidence += f"; too little data to decide {', '.join(undecided)}"
    return item("P0.2", "every gate of the scorecard is measured", open_points, evidence)


def _full_scan(run: Run, scorecard: Scorecard) -> DodItem:
    """The scan's count of arrivals against the row counts in the files' footers."""
    written = sum(
        pq.read_metadata(path).num_rows
        for scenario_id in run.scenarios
        for path in run.files("arrival_events_5B", scenario_id)
    )
    scanned = scorecard.result("T1").population
    open_points = [] if scanned == written else [f"{scanned} arrivals scanned, {written} written"]
    text = "the gates saw every arrival, not a sample"
    return item("P0.3", text, open_points, f"{written:,} arrivals written, as many scanned")


def _provenance(run: Run, scorecard: Scorecard) -> DodItem:
    """Each threshold must be the number that stands in the run's policy under the key it names."""
    open_points = [
        f"{result.gate_id}: {threshold.policy_key} is not {threshold.value}"
        for result in scorecard.results
        for threshold in result.thresholds
        if run.policies.at("validation", threshold.policy_key, None) != threshold.value
    ]
    open_points += [f"{result.gate_id}: no threshold" for result in scorecard.results if not result.thresholds]
    count = sum(len(result.thresholds) for result in scorecard.results)
    lent = run.attachment.judged_by if run.attachment else OWN_POLICIES
    whose = "that the run was made with" if lent == OWN_POLICIES else f"of posture {lent}, lent to an attached run"
    text = f"every threshold comes from the policy {whose}"
    return item("P0.4", text, open_points, f"{count} thresholds found under the keys that they name")


def _owners(scorecard: Scorecard) -> DodItem:
    failed = [result.gate_id for result in scorecard.results if result.verdict is Verdict.FAIL]
    owned = [found.gate_id for found in scorecard.attributions]
    open_points = [f"{name}: {owned.count(name)} owners" for name in failed if owned.count(name) != 1]
    owners = sorted({found.owner for found in scorecard.attributions})
    evidence = f"{len(failed)} failing gates, owners: {', '.join(owners) or 'none needed'}"
    return item("P0.5", "every failing gate has exactly one owner", open_points, evidence)


def _axes(scorecard: Scorecard) -> DodItem:
    """An axis is attributed when something on it was measured and what fails has an owner."""
    lines = axis_lines(scorecard)
    open_points = [
        f"{line.axis}: nothing measured"
        for line in lines
        if all(verdict is Verdict.NOT_MEASURED for verdict in line.gates.values())
    ]
    open_points += [
        f"{line.axis}: fails without an owner" for line in lines if line.stands == "fails" and not line.owners
    ]
    evidence = "; ".join(
        f"{line.axis} {line.stands}" + (f" ({', '.join(line.owners)})" if line.owners else "") for line in lines
    )
    return item("P0.6", "every axis is attributed to its owner", open_points, evidence)


def _figures(scorecard: Scorecard) -> DodItem:
    """What lies outside is for people to judge; what could be measured and was not keeps the picture incomplete."""
    lines = figure_lines(scorecard)
    open_points = [f"{line.title}: {line.reason}" for line in lines if line.ours is None and line.population != 0]
    counts = verdict_counts(lines)
    evidence = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in counts.items())
    return item("P0.7", "every published figure stands beside ours", open_points, evidence)
