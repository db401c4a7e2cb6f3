"""POPT.4: is S5 strict, replayable and in budget, and is progress reporting cheap?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from segment5b_lib.contract.commands import command
from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.engine.chain import run_states
from segment5b_lib.engine.throwaway import stale_bundles, throwaway
from segment5b_lib.errors import Segment5BError
from segment5b_lib.phases import popt_items as items
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem, MeasuredValue
from segment5b_lib.phases.engine.legacy import Finding, LegacyEnvelope, Phase, conduct
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.phase import item, not_applicable
from segment5b_lib.phases.engine.repair import NextSteps, next_phase, one_step
from segment5b_lib.phases.engine.shared_items import chain_complete
from segment5b_lib.phases.popt4_overhead import (
    FEW_PAIRS,
    MOST_PAIRS,
    REPLAYED,
    Overhead,
    PairLine,
    Replay,
    overhead,
    pair_lines,
    paired_replays,
    replay,
)
from segment5b_lib.phases.popt_budgets import below_scale, budget_item, state_budgets
from segment5b_lib.phases.popt_structure import BUNDLE, bundle_faults
from segment5b_lib.phases.popt_timing import Timing, TimingLine, measured, timing_line, timing_of
from segment5b_lib.store.publish import write_file
from segment5b_lib.store.runs import Run


class Popt4LaneTiming(LegacyEnvelope):
    """S5's sample with its lanes, and every pair of replays."""

    ARTEFACT: ClassVar[str] = "popt4_lane_timing"

    samples: list[TimingLine] = Field(default_factory=list)
    pairs: list[PairLine] = Field(default_factory=list)


class Popt4Closure(LegacyEnvelope):
    """Overhead with its interval, replays, and what S5 said to a damaged input."""

    ARTEFACT: ClassVar[str] = "popt4_closure"

    overhead: Overhead | None = None
    replays: int = 0
    refusal: str = ""


PHASE: Final = Phase(
    name="POPT.4",
    question="Is S5 strict, replayable and in budget, and is progress reporting cheap?",
    after=("POPT.3",),
    hold=Decision.HOLD_POPT4_REOPEN,
    artefacts=(Popt4LaneTiming, Popt4Closure),
    pages=(Popt4Closure.ARTEFACT,),
)


def execute(run: Run, *, what_if: bool = False) -> Closure:
    """Replay S4 and S5 of a run in a throw-away copy, decide, write a new attempt. The run itself is not touched.

    What the states have written is compared with its digests by the replays; here only the bundle is re-hashed.
    """
    timing = timing_of(run)
    others = {"repetition": [one for one in timing.repetitions if one.run_id != run.run_id]}
    return conduct(PHASE, run, lambda: examine(timing), others=others, evidence=(BUNDLE,), what_if=what_if)


def examine(timing: Timing) -> Finding:
    """Replays of S4 and S5 without and with reporting, pairs until their interval decides, then a damaged input."""
    run, threads = timing.run, _threads(timing.run)
    most = FEW_PAIRS if below_scale(run) else MOST_PAIRS
    with throwaway(run) as copy:
        replays = [replay(copy, REPLAYED, threads, quiet=quiet) for quiet in (True, False)]
        sound = not any(one.error for one in replays)
        pairs = list(paired_replays(copy, threads, most)) if sound else []
        refusal = _refusal(copy, threads) if sound else ""
    lines = pair_lines(pairs)
    found = overhead(lines) if len(lines) > 1 else None
    replays += [one for pair in pairs for one in pair]
    checks = [
        chain_complete("POPT.4.1a", [run]),
        _strict(run, refusal),
        budget_item(
            "POPT.4.1c",
            "S5 takes no more than its target",
            run,
            [(timing.state("S5"), state_budgets(run)["S5"].target_s)],
        ),
        _replayed(run, replays),
        _cheap(run, found),
        _auditable(replays),
        items.lanes_kept("POPT.4.3b", run, REPLAYED),
        items.pruned("POPT.4.3c"),
    ]
    return Finding(
        items=checks,
        opens=Decision.UNLOCK_POPT5_CONTINUE,
        measured=[measured("candidate", timing.state(state)) for state in REPLAYED] + _measured(found),
        own={
            Popt4LaneTiming: {
                "samples": [timing_line("candidate", timing.state(s), timing.lanes(s)) for s in REPLAYED],
                "pairs": lines,
            },
            Popt4Closure: {"overhead": found, "replays": len(replays), "refusal": refusal},
        },
        sections=_sections(lines, found),
        next_steps=_next_steps(run, checks),
    )


def _threads(run: Run) -> int:
    """As many threads as the run's own S4 had; one where that is not recorded."""
    record = run.last_records().get("S4")
    return (record and record.threads) or 1


def _refusal(copy: Run, threads: int) -> str:
    """The code with which S5 refuses a copy one of whose inputs has been damaged; empty if it does not notice."""
    smallest = min(copy.outputs("S4"), key=lambda output: output.bytes)
    path = copy.root / smallest.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    write_file(path, bytes(content))  # a new file: the run's own, which the old name linked to, stays as it is
    copy.marker_path("S5").unlink(missing_ok=True)
    try:
        run_states(copy, ["S5"], threads=threads)
    except Segment5BError as error:
        return error.code
    return ""


def _strict(run: Run, refusal: str) -> DodItem:
    """No check failed or was left out of the bundle's count, the bundle is whole, and a damaged input is refused."""
    by_status = run.counters("S5").get("checks_by_status", {})
    open_points = bundle_faults(run)
    open_points += [] if by_status.get("pass") else ["S5 counts no passed check"]
    open_points += [f"{by_status['fail']} checks failed"] if by_status.get("fail") else []
    open_points += [] if refusal else ["S5 passed an input that had been damaged"]
    found = ", ".join(f"{count} {status}" for status, count in by_status.items())
    text = "S5 is strict: checks hold, the bundle is whole, a damaged input is refused"
    return item("POPT.4.1b", text, open_points, f"{found}; damaged input: {refusal}")


def _replayed(run: Run, replays: Sequence[Replay]) -> DodItem:
    """Every replay passes at its first attempt, publishes the same bytes and moves nothing aside; nor has the run."""
    open_points = [f"replay {n}: {fault}" for n, one in enumerate(replays) for fault in _faults(one)]
    open_points += [f"stale folder {path.name}" for path in stale_bundles(run)]
    text = "S5 replays PASS at the first attempt, with no stale folder left"
    with_s5 = sum("S5" in one.states for one in replays)
    return item("POPT.4.1d", text, open_points, f"S5 {with_s5} times, S4 {len(replays)} times, every byte the same")


def _faults(one: Replay) -> list[str]:
    if one.error:
        return [one.error]
    return [
        *([f"{one.attempts} attempts"] if one.attempts > len(one.states) else []),
        *([] if one.same_outputs else ["other bytes"]),
        *([f"{one.stale} folder(s) moved aside"] if one.stale else []),
    ]


def _cheap(run: Run, found: Overhead | None) -> DodItem:
    """The interval lies below the limit. Below the pinned scale runs are too short for it: measured, not judged."""
    name, text = "POPT.4.2", "progress reporting costs less than 2 % of the time"
    if found is None:
        return item(name, text, ["not measured: a replay failed"], "")
    measured_as = f"{found.mean:+.2%}, 95 % interval {found.low:+.2%} to {found.high:+.2%}, {found.pairs} pairs"
    if found.verdict == "below":
        return item(name, text, [], measured_as)
    if reason := below_scale(run):
        return not_applicable(name, text, f"{measured_as}; {reason}")
    why = "above the limit" if found.verdict == "above" else "undecided"
    return item(name, text, [f"{measured_as}: {why}"], "")


def _auditable(replays: Sequence[Replay]) -> DodItem:
    """Records, log and random number trace are complete with and without reporting."""
    open_points = [f"replay {n}: record, log or trace incomplete" for n, one in enumerate(replays) if not one.audited]
    text = "records, log and random number trace stay complete"
    return item("POPT.4.3a", text, open_points, f"complete in {len(replays)} replays")


def _measured(found: Overhead | None) -> list[MeasuredValue]:
    if found is None:
        return []
    sides = {"overhead": found.mean, "overhead, low": found.low, "overhead, high": found.high}
    return [
        MeasuredValue(name=name, value=value, unit="share", population=found.pairs, population_unit="pairs")
        for name, value in sides.items()
    ]


def _sections(lines: Sequence[PairLine], found: Overhead | None) -> list[Section]:
    rows = [(str(p.pair), f"{p.quiet_s:.3f} s", f"{p.reporting_s:.3f} s", f"{p.overhead:+.2%}") for p in lines]
    if found is not None:
        rows.append(("mean", "", f"{found.low:+.2%} to {found.high:+.2%}", f"{found.mean:+.2%}"))
    return [Section("Pairs of replays of S4", ("pair", "quiet", "reporting", "overhead"), rows)]


def _next_steps(run: Run, checks: Sequence[DodItem]) -> NextSteps:
    red = tuple(found.id for found in checks if found.status is ItemStatus.RED)
    if red:
        return one_step("S5", red, command("rerun", "--run", run.run_id[:8], "--changed", "S5"))
    return next_phase("POPT.5", "performance", run)


def overhead_frames(closure: Closure) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pairs (`pair`, `quiet_s`, `reporting_s`, `overhead`), and one row with `mean`, `low`, `high`, `limit`."""
    found = closure.own[Popt4Closure.ARTEFACT]["overhead"]
    pairs = [pair.model_dump() for pair in closure.own[Popt4LaneTiming.ARTEFACT]["pairs"]]
    lines = [] if found is None else [found.model_dump()]
    return pl.DataFrame(pairs, schema=list(PairLine.model_fields)), pl.DataFrame(
        lines, schema=list(Overhead.model_fields)
    )
