"""Items that several phases share: the chain is complete, gates hold on every run, counts have not moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from segment5b_lib.contract.verdicts import STANDS
from segment5b_lib.contract.words import STATES, Verdict
from segment5b_lib.gates.gate import Group
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import gates_of
from segment5b_lib.gates.wording import value_text
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.phase import item
from segment5b_lib.phases.popt_structure import counters_of, differences
from segment5b_lib.store.runs import Run

CLOCK: Final = gates_of(Group.CLOCK)
LOCAL_TIME: Final = gates_of(Group.LOCAL_TIME)
CONSERVATION: Final = gates_of(Group.CONSERVATION)
FROZEN: Final = (*CLOCK, *CONSERVATION, *LOCAL_TIME)
"""Gates that no calibration may move: they veto from P2 on."""
AUDIT: Final = gates_of(Group.AUDIT)
"""Gates of the audit: reported on the published posture, vetoes from P1 on."""

_UNMOVED: Final = {
    "S3": ("total_arrivals",),
    "S4": ("total_bucket_rows", "total_rows_written", "missing_group_weights"),
}
"""The plan's structural counters, by state, that a correction of the clock must not move."""


def chain_complete(name: str, runs: Sequence[Run]) -> DodItem:
    """Every run has finished S0..S5, and no later attempt of a state failed."""
    problems = [f"{run.run_id[:8]} {state}: {word}" for run in runs for state, word in _unfinished(run)]
    evidence = f"markers of {', '.join(STATES)} in {_count(runs, 'run')}; no later attempt failed"
    return item(name, "every run has finished S0..S5", problems, evidence)


def _unfinished(run: Run) -> list[tuple[str, str]]:
    last = run.last_records()
    failed = {state: str(record.error_code) for state, record in last.items() if not record.passed}
    return [(state, failed.get(state, "no marker")) for state in STATES if run.marker(state) is None or state in failed]


def gates_hold(
    name: str, text: str, cards: Sequence[Scorecard], gates: Sequence[str], stands: Sequence[Verdict] = STANDS
) -> DodItem:
    """Some gates stand on every run; what has no power or was not measured does not stand unless `stands` says so."""
    results = [(card, card.result(gate)) for gate in gates for card in cards]
    problems = [
        f"{result.gate_id} {result.verdict.value} on seed {card.identity['seed']}: "
        f"{result.reason or value_text(result.value, result.unit)}"
        for card, result in results
        if result.verdict not in stands
    ]
    return item(name, text, problems, "; ".join(_values(gate, cards) for gate in gates))


def _values(gate: str, cards: Sequence[Scorecard]) -> str:
    """A gate's values in the order of the runs, or the one that all of them have."""
    values = [value_text(result.value, result.unit) for result in (card.result(gate) for card in cards)]
    return f"{gate} {', '.join(dict.fromkeys(values) if len(set(values)) == 1 else values)}"


def audit_holds(name: str, cards: Sequence[Scorecard]) -> DodItem:
    """No audit gate fails; one without enough data says so and does not veto."""
    without_veto = (*STANDS, Verdict.INSUFFICIENT_POWER)
    return gates_hold(name, "no audit gate vetoes", cards, AUDIT, without_veto)


def counts_unmoved(name: str, baseline: Run, runs: Sequence[Run]) -> DodItem:
    """Runs with the baseline's seed have the baseline's bucket rows and arrivals, and lack no routing row."""
    same_seed = [run for run in runs if run.receipt.seed == baseline.receipt.seed]
    lines = [
        line
        for run in same_seed
        for state, names in _UNMOVED.items()
        for line in counters_of(baseline, run, state, names)
    ]
    problems = differences(lines)
    if not same_seed:
        problems.append(f"no run has the baseline's seed {baseline.receipt.seed}")
    evidence = ", ".join(f"{line.state} {line.counter} {line.reference:,}" for line in lines if line.equal)
    return item(name, "counts and routing have not moved against the baseline", problems, evidence)


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
