"""POPT.4: is S5 strict, replayable and in budget, and is progress reporting cheap?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from segment5b_lib.contract.commands import command
from segment5b_lib.contract.words import Decision
from segment5b_lib.engine.chain import run_states
from segment5b_lib.engine.throwaway import stale_bundles, throwaway
from segment5b_lib.errors import Segment5BError
from segment5b_lib.phases import popt4_overhead, popt_timing, shared_items
from segment5b_lib.phases.engine.envelope import Body, DodItem, MeasuredValue
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, Subject, go_on, item, not_applicable
from segment5b_lib.phases.engine.repair import next_phase
from segment5b_lib.phases.popt_structure import S5_BUNDLE, bundle_faults
from segment5b_lib.phases.shared_items import chain_complete
from segment5b_lib.store.publish import write_file
from segment5b_lib.store.runs import Run
from segment5b_lib.views.timing import state_elapsed


class Popt4LaneTiming(Body, artefact="popt4_lane_timing"):
    """S5's sample with its lanes, and every pair of replays."""

    samples: list[popt_timing.TimingLine]
    pairs: list[popt4_overhead.PairLine]


class Popt4Closure(Body, artefact="popt4_closure"):
    """Overhead with its interval, replays, and what S5 said to a damaged input."""

    overhead: popt4_overhead.Overhead | None
    replays: int
    refusal: str


@dataclass(frozen=True, kw_only=True)
class Popt4Measured(Measured):
    """Replays of S4 and S5 without and with reporting, in a throw-away copy; the run itself is not touched.

    Attributes
    ----------
    pairs : seconds of S4 without and with reporting, pair by pair, until their interval decided
    overhead : the mean overhead with its interval; None where a replay failed
    refusal : the code with which S5 refused an input that had been damaged; empty: it did not notice
    lanes : seconds of the run's own attempt by state and lane, for a chart
    """

    timing: popt_timing.Timing
    samples: list[popt_timing.TimingLine]
    replays: list[popt4_overhead.TimedReplay]
    pairs: list[popt4_overhead.PairLine]
    overhead: popt4_overhead.Overhead | None
    refusal: str
    lanes: pl.DataFrame

    @property
    def run(self) -> Run:
        """The run that was replayed."""
        return self.timing.run

    @property
    def budget_lines(self) -> pl.DataFrame:
        """Budgets for a chart; empty where they do not apply."""
        return popt_timing.budget_frame(self.run)

    @property
    def overhead_pairs(self) -> pl.DataFrame:
        """`pair`, `quiet_s`, `reporting_s`, `overhead`."""
        return pl.DataFrame(self.pairs, schema=list(popt4_overhead.PairLine.model_fields))

    @property
    def interval(self) -> pl.DataFrame:
        """One row, among others `mean`, `low`, `high`, `limit`; none where a replay failed."""
        return pl.DataFrame([self.overhead] if self.overhead else [], schema=list(popt4_overhead.Overhead.model_fields))


def measure(subject: Subject[popt_timing.OnTimedRun]) -> Popt4Measured:
    """Replay S4 and S5 without and with reporting, pairs until their interval decides, then damage an input.

    What the states have written is compared with its digests by the replays; only the bundle is re-hashed before.
    """
    run, threads = subject.run, _threads(subject.run)
    most = popt4_overhead.FEW_PAIRS if popt_timing.below_scale(run) else popt4_overhead.MOST_PAIRS
    with throwaway(run) as copy:
        replays = [
            popt4_overhead.replay_states(copy, popt4_overhead.REPLAYED, threads, quiet=quiet) for quiet in (True, False)
        ]
        sound = not any(replay.error for replay in replays)
        pairs = list(popt4_overhead.paired_replays(copy, threads, most)) if sound else []
        refusal = _refusal(copy, threads) if sound else ""
    timing, lines = popt_timing.timing_in(run, subject.others), popt4_overhead.pair_lines(pairs)
    result = popt4_overhead.overhead(lines) if len(lines) > 1 else None
    medians = [popt_timing.median_value("candidate", timing.state(state)) for state in popt4_overhead.REPLAYED]
    return Popt4Measured(
        values=(*medians, *_overhead_values(result)),
        timing=timing,
        samples=[
            popt_timing.timing_line("candidate", timing.state(state), timing.lanes(state))
            for state in popt4_overhead.REPLAYED
        ],
        replays=[*replays, *(replay for pair in pairs for replay in pair)],
        pairs=lines,
        overhead=result,
        refusal=refusal,
        lanes=state_elapsed(run),
    )


def items(measured: Popt4Measured) -> list[DodItem]:
    """S5 is strict, replays, keeps its budget; reporting is cheap and loses nothing."""
    run, target = measured.run, popt_timing.state_budgets(measured.run)["S5"].target_s
    return [
        chain_complete("POPT.4.1a", [run]),
        _strict(run, measured.refusal),
        popt_timing.budget_item(
            "POPT.4.1c", "S5 takes no more than its target", run, [(measured.timing.state("S5"), target)]
        ),
        _replayed(run, measured.replays),
        _cheap(run, measured.overhead),
        _auditable(measured.replays),
        shared_items.lanes_kept("POPT.4.3b", run, popt4_overhead.REPLAYED),
        shared_items.pruned("POPT.4.3c"),
    ]


def conclude(measured: Popt4Measured, items: Sequence[DodItem]) -> Conclusion:
    """POPT.5 is next."""
    again = command("rerun", "--run", measured.run.run_id[:8], "--changed", "S5")
    next_steps = go_on(items, next_phase("POPT.5", "performance", measured.run), "S5", again)
    return Conclusion(Decision.UNLOCK_POPT5_CONTINUE, next_steps=next_steps)


def bodies(measured: Popt4Measured) -> list[Body]:
    """Times and pairs; overhead, replays, refusal."""
    return [
        Popt4LaneTiming(samples=measured.samples, pairs=measured.pairs),
        Popt4Closure(overhead=measured.overhead, replays=len(measured.replays), refusal=measured.refusal),
    ]


def sections(measured: Popt4Measured) -> list[Section]:
    """Every pair, and their mean."""
    result = measured.overhead
    rows = [(str(p.pair), f"{p.quiet_s:.3f} s", f"{p.reporting_s:.3f} s", f"{p.overhead:+.2%}") for p in measured.pairs]
    if result is not None:
        rows.append(("mean", "", f"{result.low:+.2%} to {result.high:+.2%}", f"{result.mean:+.2%}"))
    return [Section("Pairs of replays of S4", ("pair", "quiet", "reporting", "overhead"), rows)]


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
    problems = bundle_faults(run)
    problems += [] if by_status.get("pass") else ["S5 counts no passed check"]
    problems += [f"{by_status['fail']} checks failed"] if by_status.get("fail") else []
    problems += [] if refusal else ["S5 passed an input that had been damaged"]
    result = ", ".join(f"{count} {status}" for status, count in by_status.items())
    text = "S5 is strict: checks hold, the bundle is whole, a damaged input is refused"
    return item("POPT.4.1b", text, problems, f"{result}; damaged input: {refusal}")


def _replayed(run: Run, replays: Sequence[popt4_overhead.TimedReplay]) -> DodItem:
    """Every replay passes at its first attempt, publishes the same bytes and moves nothing aside; nor has the run."""
    problems = [f"replay {n}: {fault}" for n, replay in enumerate(replays) for fault in _faults(replay)]
    problems += [f"stale folder {path.name}" for path in stale_bundles(run)]
    text = "S5 replays PASS at the first attempt, with no stale folder left"
    with_s5 = sum("S5" in replay.states for replay in replays)
    return item("POPT.4.1d", text, problems, f"S5 {with_s5} times, S4 {len(replays)} times, every byte the same")


def _faults(replay: popt4_overhead.TimedReplay) -> list[str]:
    if replay.error:
        return [replay.error]
    return [
        *([f"{replay.attempts} attempts"] if replay.attempts > len(replay.states) else []),
        *([] if replay.same_outputs else ["other bytes"]),
        *([f"{replay.stale} folder(s) moved aside"] if replay.stale else []),
    ]


def _cheap(run: Run, result: popt4_overhead.Overhead | None) -> DodItem:
    """The interval lies below the limit. Below the pinned scale runs are too short for it: measured, not judged."""
    name, text = "POPT.4.2", "progress reporting costs less than 2 % of the time"
    if result is None:
        return item(name, text, ["not measured: a replay failed"], "")
    measured_as = f"{result.mean:+.2%}, 95 % interval {result.low:+.2%} to {result.high:+.2%}, {result.pairs} pairs"
    if result.verdict == "below":
        return item(name, text, [], measured_as)
    if reason := popt_timing.below_scale(run):
        return not_applicable(name, text, f"{measured_as}; {reason}")
    why = "above the limit" if result.verdict == "above" else "undecided"
    return item(name, text, [f"{measured_as}: {why}"], "")


def _auditable(replays: Sequence[popt4_overhead.TimedReplay]) -> DodItem:
    """Records, log and random number trace are complete with and without reporting."""
    problems = [f"replay {n}: record, log or trace incomplete" for n, line in enumerate(replays) if not line.audited]
    text = "records, log and random number trace stay complete"
    return item("POPT.4.3a", text, problems, f"complete in {len(replays)} replays")


def _overhead_values(result: popt4_overhead.Overhead | None) -> tuple[MeasuredValue, ...]:
    if result is None:
        return ()
    sides = {"overhead": result.mean, "overhead, low": result.low, "overhead, high": result.high}
    return tuple(
        MeasuredValue(name=name, value=value, unit="share", population=result.pairs, population_unit="pairs")
        for name, value in sides.items()
    )


PHASE: Final = Phase(
    name="POPT.4",
    question="Is S5 strict, replayable and in budget, and is progress reporting cheap?",
    notebook="popt4_validation_and_logging",
    after=("POPT.3",),
    hold=Decision.HOLD_POPT4_REOPEN,
    parameters=popt_timing.OnTimedRun,
    artefacts=(Popt4LaneTiming, Popt4Closure),
    pages=(Popt4Closure.ARTEFACT,),
    roles=lambda run, parameters: popt_timing.repetition_roles(run),
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    sections=sections,
    evidence=(S5_BUNDLE,),
)
