"""The clock sample: instants and local times from every DST window of every active zone first, then from elsewhere.

What is picked depends on the rows alone: on their rank in key order, their zone and instant, and the policy's seed.
File names, the order of files, row groups and threads do not matter.

- A *window* is a zone and a transition t: the rows with ts_utc in [t - w, t + w). All of them are counted; at most
  `rows_per_dst_window` are kept, those that come first in a seeded order of ranks.
- *Elsewhere* is every row outside the windows; it is sampled at equal distances in key order from a seeded start,
  so that about `rows_elsewhere` rows are kept.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.contract.policies import CivilTimeMeasurement, SamplingPlan
from segment5b_lib.contract.words import Lane
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5_expected_clock import MICROSECOND
from segment5b_lib.states.s5_parts import Part, RowGroup, read_rows, row_groups

ELSEWHERE: Final = -1
"""Stratum of the rows that lie in no window."""
ROW: Final = np.dtype(
    [("rank", np.int64), ("stratum", np.int32), ("zone", np.int32), ("ts", np.int64), ("local", np.int64)]
)
"""A sampled row: rank in key order, number of its window or ELSEWHERE, code of tzid_primary, microseconds."""
Rows = NDArray[np.void]
I64 = NDArray[np.int64]


class Window(NamedTuple):
    """One change of a zone's offset: rows with ts_utc in [start, end), epoch seconds UTC, cut to the horizon."""

    tzid: str
    transition: int
    start: int
    end: int


@dataclass(frozen=True)
class ClockSample:
    """Sampled instants and local times of one scenario.

    Attributes
    ----------
    rows : ndarray(ROW, ndim=1) in key order; `zone` is a position in `zones`
    windows : the strata, in order of zone and transition
    window_rows : ndarray(int64, ndim=1), arrivals that each window holds in all
    population : arrivals of the scenario
    """

    rows: Rows
    zones: tuple[str, ...]
    windows: tuple[Window, ...]
    window_rows: I64
    population: int

    def weights(self) -> NDArray[np.float64]:
        """How many arrivals each sampled row stands for."""
        slots = self.rows["stratum"] % (len(self.windows) + 1)
        standing = np.append(self.window_rows, self.population - self.window_rows.sum())
        sampled = np.bincount(slots, minlength=len(standing))
        share = np.divide(standing, sampled, out=np.zeros(len(standing)), where=sampled > 0)
        return np.asarray(share[slots])


def dst_strata(tzids: Iterable[str], start: int, end: int, policy: CivilTimeMeasurement) -> tuple[Window, ...]:
    """Windows of every change of offset in [start, end), epoch seconds UTC, as the oracle sees them."""
    half = policy.dst_window_hours * 3600
    return tuple(
        Window(tzid, int(t), max(start, int(t) - half), min(end, int(t) + half))
        for tzid in sorted(set(tzids))
        for t in expected_offsets(tzid, start, end).instants[1:]
    )


def draw_clock_sample(
    context: Context, parts: Sequence[Part], windows: tuple[Window, ...], plan: SamplingPlan
) -> ClockSample:
    """Sample one scenario's parts, which come in key order."""
    draw = _Draw(context, windows, plan, sum(part.rows for part in parts))
    groups = row_groups(parts)
    context.map_shards("sample clocks", draw.look_at, groups, [group.rows for group in groups])
    return draw.sample()


class _Draw:
    """The state of one draw. Row groups may come in any order and from many threads."""

    def __init__(self, context: Context, windows: tuple[Window, ...], plan: SamplingPlan, population: int) -> None:
        self.context, self.windows, self.population = context, windows, population
        self.quota, self.seed = plan.rows_per_dst_window, np.uint64(plan.seed)
        self.stride = max(1, population // plan.rows_elsewhere)
        self.phase = int(seeded_order(np.zeros(1, np.int64), self.seed)[0] % np.uint64(self.stride))
        self.hull = _Hull(windows)
        # The last place is what ELSEWHERE points at: a window that nothing lies in.
        self.starts, self.ends = (
            np.array([getattr(window, name) for window in windows] + [0], np.int64) * MICROSECOND
            for name in ("start", "end")
        )
        self.window_rows = np.zeros(len(windows), np.int64)
        self.kept: list[Rows] = [np.empty(0, ROW) for _ in windows]
        self.elsewhere: list[Rows] = []
        self.zones: dict[str, int] = {}
        self.lock = threading.Lock()

    def look_at(self, group: RowGroup) -> None:
        """Count and pick from one row group."""
        with self.context.step("read clocks", Lane.INPUT_LOAD) as step:
            table = read_rows(group, ("ts_utc", "tzid_primary", "ts_local_primary"))
            step.rows = group.rows
        with self.context.step("pick clocks", Lane.VALIDATION):
            ts, local = (table[name].cast(pa.int64()).to_numpy() for name in ("ts_utc", "ts_local_primary"))
            column = table["tzid_primary"].unify_dictionaries().combine_chunks()
            codes, words = column.indices.to_numpy(), column.dictionary.to_pylist()
            near, stratum = self._in_windows(ts, codes, words)
            even = np.arange((self.phase - group.first_rank) % self.stride, group.rows, self.stride)
            even = np.setdiff1d(even, near, assume_unique=True)
            with self.lock:
                zone = np.array([self.zones.setdefault(word, len(self.zones)) for word in words], np.int32)
                self._keep(_rows(group.first_rank, near, stratum, zone[codes[near]], ts, local))
                elsewhere = np.full(even.size, ELSEWHERE, np.int32)
                self.elsewhere.append(_rows(group.first_rank, even, elsewhere, zone[codes[even]], ts, local))

    def _in_windows(
        self, ts: I64, codes: NDArray[np.int32], words: Sequence[str]
    ) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Rows that lie in a window, and the number of the window."""
        rows = np.flatnonzero(self.hull.near(ts))
        instant, code = ts[rows], codes[rows]
        stratum = np.full(rows.size, ELSEWHERE, np.int32)
        for layer in _layers(self.windows, words):
            number = layer[code]
            start, end = self.starts[number], self.ends[number]
            inside = (instant >= start) & (instant < end)
            stratum[inside] = number[inside]
        found = stratum != ELSEWHERE
        return rows[found], stratum[found]

    def _keep(self, rows: Rows) -> None:
        """Offer rows of windows; each window keeps those that come first in the seeded order."""
        self.window_rows += np.bincount(rows["stratum"], minlength=len(self.windows))
        for number in np.unique(rows["stratum"]):
            offered = np.concatenate([self.kept[number], rows[rows["stratum"] == number]])
            if offered.size > self.quota:
                order = seeded_order(offered["rank"], self.seed)
                offered = offered[np.argpartition(order, self.quota - 1)[: self.quota]]
            self.kept[number] = offered

    def sample(self) -> ClockSample:
        """What was picked, in key order, with zones in ascending name."""
        rows = np.concatenate([np.empty(0, ROW), *self.kept, *self.elsewhere])
        rows = rows[np.argsort(rows["rank"])]
        zones = tuple(sorted(self.zones))
        ascending = np.zeros(len(zones), np.int32)
        for position, tzid in enumerate(zones):
            ascending[self.zones[tzid]] = position
        rows["zone"] = ascending[rows["zone"]]
        return ClockSample(rows, zones, self.windows, self.window_rows, self.population)


def _rows(
    first_rank: int,
    picked: NDArray[np.intp],
    stratum: NDArray[np.int32],
    zone: NDArray[np.int32],
    ts: I64,
    local: I64,
) -> Rows:
    rows = np.empty(picked.size, ROW)
    rows["rank"] = first_rank + picked
    rows["stratum"], rows["zone"] = stratum, zone
    rows["ts"], rows["local"] = ts[picked], local[picked]
    return rows


def _layers(windows: Sequence[Window], words: Sequence[str]) -> list[NDArray[np.int32]]:
    """By word the number of its first window, of its second, and so on; ELSEWHERE where it has none."""
    code = {word: position for position, word in enumerate(words)}
    layers: list[NDArray[np.int32]] = []
    seen: Counter[str] = Counter()
    for number, window in enumerate(windows):
        if window.tzid in code:
            if seen[window.tzid] == len(layers):
                layers.append(np.full(len(words), ELSEWHERE, np.int32))
            layers[seen[window.tzid]][code[window.tzid]] = number
            seen[window.tzid] += 1
    return layers


class _Hull:
    """A coarse sieve for the union of all windows: cells of 2^32 microseconds (71.6 minutes)."""

    _BITS: Final = 32

    def __init__(self, windows: Sequence[Window]) -> None:
        self._first = min((window.start for window in windows), default=0) * MICROSECOND
        cells = [[(bound * MICROSECOND - self._first) >> self._BITS for bound in window[2:]] for window in windows]
        # One cell before the first window and one after the last take in all that is further away.
        self._cells = np.zeros(max((last for _, last in cells), default=0) + 3, np.bool_)
        for first, last in cells:
            self._cells[first + 1 : last + 2] = True

    def near(self, ts: I64) -> NDArray[np.bool_]:
        """Which instants share a cell with a window."""
        cell = ((ts - self._first) >> self._BITS) + 1
        return np.asarray(self._cells[np.clip(cell, 0, self._cells.size - 1)])


def seeded_order(ranks: I64, seed: np.uint64) -> NDArray[np.uint64]:
    """A 64-bit mix of rank and seed (SplitMix64), the same on every machine and in every version."""
    with np.errstate(over="ignore"):
        z = ranks.astype(np.uint64) + seed * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))
