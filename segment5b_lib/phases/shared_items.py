"""Items that the definitions of done of several phases share, each computed from scorecards, runs or a pair of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from segment5b_lib.contract.verdicts import STANDS
from segment5b_lib.contract.words import STATES, Verdict
from segment5b_lib.engine.retention import superseded
from segment5b_lib.gates.gate import Group
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import gates_of
from segment5b_lib.gates.wording import value_text
from segment5b_lib.phases.engine.envelope import DodItem, Node
from segment5b_lib.phases.engine.phase import item, not_applicable
from segment5b_lib.phases.popt_pair import CANDIDATE, Figures, Pair, reduction
from segment5b_lib.phases.popt_structure import CounterLine, DatasetLine, counters_of, datasets_of, differences
from segment5b_lib.phases.popt_timing import compared, siblings, too_few
from segment5b_lib.store.runs import Run

CLOCK: Final = gates_of(Group.CLOCK)
LOCAL_TIME: Final = gates_of(Group.LOCAL_TIME)
CONSERVATION: Final = gates_of(Group.CONSERVATION)
FROZEN_GATES: Final = (*CLOCK, *CONSERVATION, *LOCAL_TIME)
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
    evidence = (
        f"markers of {', '.join(STATES)} in {len(runs)} run{'' if len(runs) == 1 else 's'}; no later attempt failed"
    )
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


_ROUNDING_MS: Final = 1e-3
"""Run records give milliseconds with three digits."""


class ReplayLine(Node):
    """Another run of the same world, policies and seed, and what it wrote differently."""

    run_id: str
    library_version: str
    differs: list[str]


def same_work(name: str, pair: Pair, states: Sequence[str]) -> DodItem:
    """There is a second run, and the states compared (and those before them) were made under the same policies."""
    text = "structure has a second run of the same work to be compared with"
    if pair.reference is None:
        return item(name, text, [f"no second run: segment5b run --repeat 3 --seed {pair.run.receipt.seed}"], "")
    upto = STATES[: max(STATES.index(state) for state in states) + 1]
    other = pair.reference
    problems = [
        f"{state}: made under other policies or unknown ones, or not at all"
        for state in upto
        if _policies(other, state) is None or _policies(other, state) != _policies(pair.run, state)
    ]
    same = f"run {other.run_id[:8]} of library {other.receipt.library_version}: same world, seed and policies"
    return item(name, text, problems, f"{same} of {', '.join(upto)}")


def _policies(run: Run, state: str) -> object:
    """Digests of the policies that a state was made with; None where it has not published."""
    marker = run.marker(state)
    return marker.policies if marker else None


def hot_path(name: str, pair: Pair, states: Sequence[str]) -> DodItem:
    """The step in which a state spends most of its time is known, with what a row costs there."""
    text = f"the hot path of {' and '.join(states)} is named, with its cost"
    problems, steps = [], []
    for state in states:
        step = pair.candidate.hot_step(state)
        if step is None:
            problems.append(f"{state}: no step timers")
            continue
        per_row = f", {step.wall_ms * 1e6 / step.rows:,.0f} ns per row" if step.rows else ""
        steps.append(f"{state}: {step.name} ({step.lane}), {step.wall_ms / 1e3:.3f} s{per_row}")
    return item(name, text, problems, "; ".join(steps))


def equal(name: str, text: str, lines: Sequence[CounterLine | DatasetLine]) -> DodItem:
    """Everything that was compared is equal, and something was compared."""
    problems = differences(lines) or ([] if lines else ["there is nothing to compare"])
    compared_by = sorted({line.compared_by for line in lines if isinstance(line, DatasetLine)})
    return item(name, text, problems, f"{len(lines)} compared" + "".join(f", by {how}" for how in compared_by))


def lanes_kept(name: str, run: Run, states: Sequence[str]) -> DodItem:
    """Every state's steps carry a lane and do not add up to more than the state took."""
    records, problems, shares = run.last_records(), [], []
    for state in states:
        if state not in records:
            problems.append(f"{state}: no record")
            continue
        wall = records[state].durations.wall_ms
        steps = records[state].steps
        timed = sum(step.wall_ms for step in steps)
        if not steps or timed > wall + len(steps) * _ROUNDING_MS:
            problems.append(f"{state}: {len(steps)} steps, {timed:.1f} ms of {wall:.1f} ms, lanes known")
        shares.append(f"{state} {timed / wall:.1%}")
    return item(name, "lane timers account for the states' time", problems, f"timed: {', '.join(shares)}")


def no_new_failures(name: str, pair: Pair) -> DodItem:
    """The candidate knows no error code that the run it is compared with does not know, and lost no scenario."""
    known, done = set(_codes(pair.reference)) if pair.reference else set(), pair.run.counters("S1").get("scenarios", {})
    problems = [f"new error {code}" for code in _codes(pair.run) if code not in known]
    problems += [f"scenario {name} failed" for name in pair.run.scenarios if name not in done]
    text = "no new error code, and no scenario failed"
    return item(name, text, problems, f"{len(pair.run.records())} attempts, {len(pair.run.scenarios)} scenario(s)")


def _codes(run: Run) -> list[str]:
    return sorted({record.error_code for record in run.records() if record.error_code})


def replays(run: Run) -> list[ReplayLine]:
    """Every other run of the same work against this one; the bundle only where the same version sealed it."""
    lines = []
    for other in siblings(run)[1:]:
        version = other.receipt.library_version
        states = STATES if version == run.receipt.library_version else STATES[:-1]
        differs = differences(datasets_of(other, run, states))
        lines.append(ReplayLine(run_id=other.run_id, library_version=version, differs=differs))
    return lines


def replayed(name: str, lines: Sequence[ReplayLine]) -> DodItem:
    """The same inputs give the same data."""
    problems = [f"run {line.run_id[:8]}: {point}" for line in lines for point in line.differs]
    if not lines:
        problems = ["no other run of this world, policies and seed: segment5b run --repeat 3"]
    text = "the same world, policies and seed give the same data again"
    return item(name, text, problems, f"{len(lines)} other run(s), every digest equal")


def pruned(name: str) -> DodItem:
    """No superseded failed run is left."""
    failed = [
        line.run.run_id[:8]
        for line in superseded()
        if not all(record.passed for record in line.run.last_records().values())
    ]
    text = "superseded failed runs are pruned"
    return item(name, text, [f"{', '.join(failed)}: segment5b prune"] if failed else [], "no failed run is superseded")


def reduced(name: str, pair: Pair, state: str, least: float, budget_s: float | None) -> DodItem:
    """A state takes so much less than the baseline, beyond the spread; or it keeps a budget, if one is given."""
    text = f"{state} takes at least {least:.0%} less" + (f", or at most {budget_s:g} s" if budget_s else "")
    if pair.other_scale:
        return not_applicable(name, text, pair.other_scale)
    before, after = pair.before(state), pair.after(state)
    if budget_s is not None and not too_few(pair.run, [(CANDIDATE, after)]) and after.median <= budget_s:
        return item(name, text, [], f"{after.text}, within {budget_s:g} s")
    if few := pair.few([state]):
        return item(name, text, few, "")
    saved, verdict = reduction(before, after), compared(before, after)
    shown = f"{before.text} before, {after.text} now: {saved:+.1%} less, {verdict}"
    return item(name, text, [] if saved >= least and verdict == "faster" else [shown], shown)


def not_slower(name: str, pair: Pair, states: Sequence[str], factor: float) -> DodItem:
    """States take at most so many times their anchors, beyond the spread; an anchor that was not published is named."""
    text = f"{', '.join(states)} take at most {factor:g} × their anchors"
    if pair.other_scale:
        return not_applicable(name, text, pair.other_scale)
    unknown = [s for s in states if isinstance(pair.baseline, Figures) and not pair.before(s).n]
    judged = [state for state in states if state not in unknown]
    problems, shown = pair.few(judged), [f"{state}: no anchor was published" for state in unknown]
    for state in judged:
        before, after = pair.before(state), pair.after(state)
        if before.n and after.n:
            line = f"{state} {after.median / before.median:.2f} ×"
            shown.append(line)
            if after.median > factor * before.median and compared(before, after) == "slower":
                problems.append(line)
    return item(name, text, problems, ", ".join(shown))
