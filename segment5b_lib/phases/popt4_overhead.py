"""The overhead of progress reporting: pairs of replays, one quiet and one with the live table, and an interval.

Each pair runs S4, the state that reports most, again in a throw-away copy of the run, once with one line per state and
once with the live table (drawn into a terminal without a screen). Which of the two comes first alternates, so that
a machine that becomes slower or faster favours neither. Pairs are added until the 95 % interval of the mean overhead
(Student's t over the logarithms of the ratios) lies on one side of the limit: at most `MOST_PAIRS`, or `FEW_PAIRS`
where budgets do not bind.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Final, Literal

import scipy
from rich.console import Console

from segment5b_lib.engine.chain import run_states
from segment5b_lib.engine.reporting import progress_listener
from segment5b_lib.engine.throwaway import stale_bundles
from segment5b_lib.errors import Segment5BError
from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.phases.popt_timing import Rounded
from segment5b_lib.store.records import StateRecord
from segment5b_lib.store.runs import Run

REPLAYED: Final = ("S4", "S5")
PAIRED: Final = ("S4",)
LIMIT: Final = 0.02
"""Design, POPT.4: progress reporting may cost less than this share of the time."""
LEAST_PAIRS: Final = 3
MOST_PAIRS: Final = 15
FEW_PAIRS: Final = 5
"""As many at most where budgets do not bind: runs are short there, and the interval shows no more than a size."""
_CONFIDENCE: Final = 0.95


class PairLine(Node):
    """Seconds of S4 without and with progress reporting; `overhead` is their ratio minus one."""

    pair: int
    quiet_s: Rounded
    reporting_s: Rounded
    overhead: Rounded


class Overhead(Node):
    """Mean overhead (a share) with its interval, and on which side of the limit that lies."""

    pairs: int
    mean: Rounded
    low: Rounded
    high: Rounded
    limit: Rounded
    verdict: Literal["below", "above", "undecided"]


@dataclass(frozen=True)
class TimedReplay:
    """One replay of some states: how long it took, what it left, how it failed (if it did)."""

    states: tuple[str, ...]
    seconds: float
    attempts: int
    stale: int
    same_outputs: bool
    audited: bool
    error: str


def replay_states(copy: Run, states: tuple[str, ...], threads: int, *, quiet: bool) -> TimedReplay:
    """Run some states of a throw-away copy again and compare what they publish with what was there."""
    before = {state: _outputs(copy, state) for state in states}
    known = len(copy.records()), len(stale_bundles(copy))
    for state in states:
        copy.marker_path(state).unlink(missing_ok=True)
    error, started = "", time.perf_counter()
    try:
        with _unseen_terminal() as console, progress_listener(console, quiet=quiet) as listener:
            run_states(copy, states, threads=threads, listener=listener)
    except Segment5BError as failure:
        error = failure.code
    seconds = time.perf_counter() - started
    records = copy.records()[known[0] :]
    return TimedReplay(
        states=states,
        seconds=seconds,
        attempts=len(records),
        stale=len(stale_bundles(copy)) - known[1],
        same_outputs=not error and all(_outputs(copy, state) == before[state] for state in states),
        audited=len(records) == len(states) and _audited(copy, records),
        error=error,
    )


@contextmanager
def _unseen_terminal() -> Iterator[Console]:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        yield Console(file=nowhere, force_terminal=True, force_jupyter=False, width=120, highlight=False)


def _outputs(run: Run, state: str) -> list[tuple[str, str]]:
    return sorted((output.path, output.sha256) for output in run.outputs(state))


def _audited(run: Run, records: Sequence[StateRecord]) -> bool:
    """Whether every attempt has a full record, log lines for each of its steps, and a trace of its random numbers."""
    log, trace = (_text(path) for path in (run.log, run.rng_log("trace")))
    passed = [record for record in records if record.passed]
    logged = all(f" {r.state} {step.lane}: {step.name}," in log for r in passed for step in r.steps)
    drawn = all(total["family"] in trace for record in passed for total in record.counters.get("rng", []))
    return len(passed) == len(records) and all(record.steps for record in passed) and logged and drawn


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def paired_replays(copy: Run, threads: int, most: int) -> Iterator[tuple[TimedReplay, TimedReplay]]:
    """Pairs (quiet, reporting), until their interval decides, a replay fails, or there have been enough."""
    pairs: list[tuple[TimedReplay, TimedReplay]] = []
    while len(pairs) < most:
        quiet_first = len(pairs) % 2 == 0
        first, second = (replay_states(copy, PAIRED, threads, quiet=quiet) for quiet in (quiet_first, not quiet_first))
        pair = (first, second) if quiet_first else (second, first)
        pairs.append(pair)
        yield pair
        if any(replay.error for replay in pair):
            return
        if len(pairs) >= LEAST_PAIRS and overhead(pair_lines(pairs)).verdict != "undecided":
            return


def pair_lines(pairs: Sequence[tuple[TimedReplay, TimedReplay]]) -> list[PairLine]:
    """Pairs as an artefact carries them."""
    return [
        PairLine(
            pair=n + 1, quiet_s=quiet.seconds, reporting_s=shown.seconds, overhead=shown.seconds / quiet.seconds - 1
        )
        for n, (quiet, shown) in enumerate(pairs)
    ]


def overhead(pairs: Sequence[PairLine], limit: float = LIMIT) -> Overhead:
    """Mean of the logarithms of the ratios with its t interval, as shares; at least two pairs."""
    logs = [math.log1p(pair.overhead) for pair in pairs]
    middle = mean(logs)
    half = float(scipy.special.stdtrit(len(logs) - 1, (1 + _CONFIDENCE) / 2)) * stdev(logs) / math.sqrt(len(logs))
    low, high = math.expm1(middle - half), math.expm1(middle + half)
    verdict: Literal["below", "above", "undecided"]
    verdict = "below" if high < limit else "above" if low > limit else "undecided"
    return Overhead(pairs=len(pairs), mean=math.expm1(middle), low=low, high=high, limit=limit, verdict=verdict)
