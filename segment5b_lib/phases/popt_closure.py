"""What POPT.1, POPT.2 and POPT.3 leave behind: lane timing and closure, and how they show themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl
from pydantic import Field

from segment5b_lib.contract.commands import command
from segment5b_lib.contract.words import STATES, Decision, ItemStatus
from segment5b_lib.phases.engine.attempts import slug
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem, MeasuredValue
from segment5b_lib.phases.engine.legacy import Finding, LegacyEnvelope, Phase, conduct
from segment5b_lib.phases.engine.legacy_order import ranked
from segment5b_lib.phases.engine.order import SUBJECTS
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.repair import NextSteps, next_phase, one_step
from segment5b_lib.phases.popt_items import ReplayLine
from segment5b_lib.phases.popt_pair import BASELINE, CANDIDATE, Pair, RuntimeLine, pair_of, runtime_lines
from segment5b_lib.phases.popt_structure import EVIDENCE, CounterLine, DatasetLine
from segment5b_lib.phases.popt_timing import Timing, TimingLine, measured, timing_line
from segment5b_lib.store.runs import Run


class LaneTiming(LegacyEnvelope):
    """Both sides' samples of every state, with lanes, and what the difference says."""

    baseline: str = ""
    samples: list[TimingLine] = Field(default_factory=list)
    runtime: list[RuntimeLine] = Field(default_factory=list)


class PairClosure(LegacyEnvelope):
    """What was compared, and whether it is the same."""

    reference: str | None = None
    counters: list[CounterLine] = Field(default_factory=list)
    datasets: list[DatasetLine] = Field(default_factory=list)
    replays: list[ReplayLine] = Field(default_factory=list)


_STRUCTURE: Final = ("what", "before", "now", "equal")
_OPENED: Final = {
    Decision.UNLOCK_POPT2_CONTINUE: "POPT.2",
    Decision.UNLOCK_POPT3: "POPT.3",
    Decision.UNLOCK_POPT3_CONTINUE: "POPT.3",
    Decision.UNLOCK_POPT4_CONTINUE: "POPT.4",
    Decision.UNLOCK_POPT4_CONTINUE_WITH_WAIVER: "POPT.4",
}


def conduct_pair(
    phase: Phase, run: Run, baseline: str, examine: Callable[[Pair], Finding], *, what_if: bool
) -> Closure:
    """Execute a phase on a run and its baseline, in POPT.0's order; everything that the runs wrote is re-hashed."""
    pair = pair_of(run, baseline)
    others = pair.others
    ordered = ranked(phase, run, [one for group in others.values() for one in group])
    return conduct(ordered, run, lambda: examine(pair), others=others, evidence=EVIDENCE, what_if=what_if)


def conclude(
    phase: Phase,
    pair: Pair,
    items: Sequence[DodItem],
    opens: Decision,
    counters: Sequence[CounterLine],
    datasets: Sequence[DatasetLine],
    replays: Sequence[ReplayLine],
    *,
    reopens: Decision | None = None,
    reasons: Sequence[str] = (),
    own: dict[str, Any] | None = None,
) -> Finding:
    """A finding with both artefacts' own fields; `own` are more fields of the closure."""
    timing, closure = phase.artefacts
    reference = pair.reference.run_id if pair.reference else None
    return Finding(
        items=items,
        opens=opens,
        reopens=reopens,
        reasons=reasons,
        measured=medians(pair, phase.name),
        own={
            timing: {
                "baseline": baseline_name(pair),
                "samples": samples(pair, phase.name),
                "runtime": runtime_lines(pair, phase.name),
            },
            closure: {
                "reference": reference,
                "counters": list(counters),
                "datasets": list(datasets),
                "replays": list(replays),
                **(own or {}),
            },
        },
        sections=[
            runtime_section(pair, phase.name),
            Section("Structure", _STRUCTURE, [[str(cell) for cell in row] for row in _structure(counters, datasets)]),
            Section(
                "Replays",
                ("run", "library", "differs"),
                [(line.run_id, line.library_version, "; ".join(line.differs) or "nothing") for line in replays],
            ),
        ],
        next_steps=_next_steps(phase, pair, opens, items),
    )


def _next_steps(phase: Phase, pair: Pair, opens: Decision, items: Sequence[DodItem]) -> NextSteps:
    """The phase that is open now; or, where an item is red, how to measure again after the change."""
    run = pair.run
    red = tuple(found.id for found in items if found.status is ItemStatus.RED)
    if not red:
        return next_phase(_OPENED[opens], "performance", run)
    receipt = run.receipt
    again = command("run", "--repeat", "3", "--posture", receipt.posture, "--seed", str(receipt.seed))
    return one_step(" and ".join(SUBJECTS[phase.name]), red, again)


def samples(pair: Pair, phase: str) -> list[TimingLine]:
    """Every state's sample on both sides."""
    baseline = pair.baseline if isinstance(pair.baseline, Timing) else None
    return [
        *(timing_line(BASELINE, pair.before(phase, s), baseline.lanes(s) if baseline else None) for s in STATES),
        *(timing_line(CANDIDATE, pair.after(s), pair.candidate.lanes(s)) for s in STATES),
    ]


def medians(pair: Pair, phase: str) -> list[MeasuredValue]:
    """Every state's median on both sides, as measured values."""
    return [
        *(measured(BASELINE, pair.before(phase, state)) for state in STATES),
        *(measured(CANDIDATE, pair.after(state)) for state in STATES),
    ]


def baseline_name(pair: Pair) -> str:
    """How a pair's baseline is called."""
    return pair.baseline.run.run_id if isinstance(pair.baseline, Timing) else f"figures {pair.baseline.name}"


def runtime_section(pair: Pair, phase: str) -> Section:
    """Both sides' medians as a table of texts."""
    rows = [
        (
            line.state,
            _seconds(line.baseline_s, line.baseline_runs),
            _seconds(line.candidate_s, line.candidate_runs),
            "–" if line.reduction is None else f"{line.reduction:+.1%}",
            line.verdict.replace("_", " "),
        )
        for line in runtime_lines(pair, phase)
    ]
    return Section(f"Runtime against {baseline_name(pair)}", ("state", "before", "now", "less", "verdict"), rows)


def _seconds(value: float | None, runs: int) -> str:
    return "–" if value is None else f"{value:.3f} s (n = {runs})"


def runtime_frame(closure: Closure) -> pl.DataFrame:
    """Both sides' medians, by state."""
    return closure.table(f"{slug(closure.phase)}_lane_timing", "runtime")


def before_after(closure: Closure) -> pl.DataFrame:
    """Every run on both sides: `state`, `role`, `run`, `seconds`; a baseline of another scale is left out."""
    other_scale = "not_applicable" in runtime_frame(closure)["verdict"]
    rows = [
        (line["name"], line["role"], run_id[:8], seconds)
        for line in closure.table(f"{slug(closure.phase)}_lane_timing", "samples").to_dicts()
        for run_id, seconds in line["seconds"].items()
        if seconds is not None and not (other_scale and line["role"] == BASELINE)
    ]
    return pl.DataFrame(rows, schema=["state", "role", "run", "seconds"], orient="row").sort(
        "state", maintain_order=True
    )


def structure_frame(closure: Closure) -> pl.DataFrame:
    """What was compared: `what`, `before`, `now`, `equal`."""
    name = f"{slug(closure.phase)}_closure"
    rows = _structure(closure.own[name]["counters"], closure.own[name]["datasets"])
    return pl.DataFrame(rows, schema=_STRUCTURE, orient="row")


def _structure(counters: Sequence[CounterLine], datasets: Sequence[DatasetLine]) -> list[tuple[str, str, str, bool]]:
    return [
        *((f"{c.state} {c.counter}", str(c.reference), str(c.candidate), c.equal) for c in counters),
        *((d.dataset_id, f"by {d.compared_by}", ", ".join(d.differs) or "the same", d.equal) for d in datasets),
    ]
