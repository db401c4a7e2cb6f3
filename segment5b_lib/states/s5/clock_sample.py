"""The clock sample: instants and local times from every DST window of every active zone first, then from elsewhere.

The sample depends on the rows alone: on their rank in key order, their zone and instant, and the policy's seed.
File names, the order of files, row groups and threads do not matter.

- A *window* is a zone and a transition t: the rows with ts_utc in [t - w, t + w). All of them are counted; at most
  `rows_per_dst_window` are kept, those that come first in a seeded order of ranks.
- *Elsewhere* is every row outside the windows; it is sampled at equal distances in key order from a seeded start,
  so that about `rows_elsewhere` rows are kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.arrays import F64, I32, I64
from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.contract.units import HOUR_S, SECOND_US
from segment5b_lib.contract.validation_policy import CivilTimeMeasurement, SamplingPlan
from segment5b_lib.contract.words import Lane
from segment5b_lib.kernel.sampling import (
    ELSEWHERE,
    WindowTable,
    pick_in_windows,
    seeded_order,
    window_table,
    windows_of,
)
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5.parts import PartFile, RowGroup, read_rows, row_groups
from segment5b_lib.store.columns import coded, numbered


class Window(NamedTuple):
    """One change of a zone's offset: rows with ts_utc in [start, end), epoch seconds UTC, cut to the horizon."""

    tzid: str
    transition: int
    start: int
    end: int


def dst_strata(tzids: Iterable[str], start: int, end: int, policy: CivilTimeMeasurement) -> tuple[Window, ...]:
    """Windows of every change of offset in [start, end), epoch seconds UTC, as the oracle sees them."""
    half = policy.dst_window_hours * HOUR_S
    return tuple(
        Window(tzid, int(t), max(start, int(t) - half), min(end, int(t) + half))
        for tzid in sorted(set(tzids))
        for t in expected_offsets(tzid, start, end).instants[1:]
    )


def kernel_windows(windows: Sequence[Window], words: Mapping[str, int]) -> WindowTable:
    """Windows for the kernel, which finds them by zone; `words` gives the codes of the zones, ascending by name."""
    codes = [words[window.tzid] for window in windows]
    assert codes == sorted(codes), "windows come in the order of their zones"
    starts, ends = (
        np.array([getattr(window, name) for window in windows], np.int64) * SECOND_US for name in ("start", "end")
    )
    return window_table(np.searchsorted(codes, np.arange(len(words) + 1)).astype(np.int64), starts, ends)


ROW: Final = np.dtype(
    [("rank", np.int64), ("stratum", np.int32), ("zone", np.int32), ("ts", np.int64), ("local", np.int64)]
)
"""A sampled row: rank in key order, number of its window or ELSEWHERE, position of tzid_primary, microseconds."""
SampledRows = NDArray[np.void]


@dataclass(frozen=True)
class ClockSample:
    """Sampled instants and local times of one scenario.

    Attributes
    ----------
    rows : ndarray(ROW, ndim=1) in key order; `zone` is a position in `zones`, −1 for an unknown zone
    windows : the strata, in order of zone and transition
    window_rows : ndarray(int64, ndim=1), arrivals that each window holds in all
    population : arrivals of the scenario
    """

    rows: SampledRows
    zones: tuple[str, ...]
    windows: tuple[Window, ...]
    window_rows: I64
    population: int

    def weights(self) -> F64:
        """Number of arrivals that each sampled row represents."""
        slots = self.rows["stratum"] % (len(self.windows) + 1)
        represented = np.append(self.window_rows, self.population - self.window_rows.sum())
        sampled = np.bincount(slots, minlength=len(represented))
        share = np.divide(represented, sampled, out=np.zeros(len(represented)), where=sampled > 0)
        return np.asarray(share[slots])


def draw_clock_sample(
    context: Context, parts: Sequence[PartFile], zones: tuple[str, ...], windows: tuple[Window, ...], plan: SamplingPlan
) -> ClockSample:
    """Sample one scenario's parts, which come in key order; `zones` are all that tzid_primary may name."""
    draw = _Draw(context, zones, windows, plan, sum(part.rows for part in parts))
    groups = row_groups(parts)
    context.map_shards("sample clocks", draw.add_row_group, groups, [group.rows for group in groups])
    return draw.sample()


class _Draw:
    """The state of one draw. Row groups may come in any order and from many threads."""

    def __init__(
        self, context: Context, zones: tuple[str, ...], windows: tuple[Window, ...], plan: SamplingPlan, population: int
    ) -> None:
        self.context, self.zones, self.windows, self.population = context, zones, windows, population
        self.quota, self.seed = plan.rows_per_dst_window, plan.seed
        self.stride = max(1, population // plan.rows_elsewhere)
        self.phase = int(seeded_order(np.zeros(1, np.int64), self.seed)[0]) % self.stride
        self.words = numbered(zones)
        self.table = kernel_windows(windows, self.words)
        self.window_rows = np.zeros(len(windows), np.int64)
        self.bound = np.full(len(windows), np.iinfo(np.uint64).max)
        self.kept: list[SampledRows] = [np.empty(0, ROW) for _ in windows]
        self.elsewhere: list[SampledRows] = []
        self.lock = threading.Lock()

    def add_row_group(self, group: RowGroup) -> None:
        with self.context.step("read clocks", Lane.INPUT_LOAD) as step:
            table = read_rows(group, ("ts_utc", "tzid_primary", "ts_local_primary"))
            step.rows = group.rows
        with self.context.step("pick clocks", Lane.VALIDATION):
            ts, local = (table[name].cast(pa.int64()).to_numpy() for name in ("ts_utc", "ts_local_primary"))
            index, zone_of = coded(table, "tzid_primary", self.words)
            # If another thread lowers a bound meanwhile, only more rows than necessary are picked.
            counts, near, stratum = pick_in_windows(
                ts, index, zone_of, self.table, group.first_rank, self.seed, self.bound
            )
            inside = _rows(group.first_rank, near, stratum, zone_of[index[near]], ts, local)
            even = np.arange((self.phase - group.first_rank) % self.stride, group.rows, self.stride)
            zone = zone_of[index[even]]
            elsewhere = windows_of(ts[even], zone, self.table)
            outside = _rows(group.first_rank, even, elsewhere, zone, ts, local)
        with self.lock:
            self.window_rows += counts
            self._keep(inside)
            self.elsewhere.append(outside[elsewhere == ELSEWHERE])

    def _keep(self, rows: SampledRows) -> None:
        """Offer rows of windows; each window keeps those that come first in the seeded order."""
        for number in np.unique(rows["stratum"]):
            offered = np.concatenate([self.kept[number], rows[rows["stratum"] == number]])
            if offered.size > self.quota:
                order = seeded_order(offered["rank"].copy(), self.seed)
                first = np.argpartition(order, self.quota - 1)[: self.quota]
                offered, self.bound[number] = offered[first], order[first].max()
            self.kept[number] = offered

    def sample(self) -> ClockSample:
        rows = np.concatenate([np.empty(0, ROW), *self.kept, *self.elsewhere])
        rows = rows[np.argsort(rows["rank"])]
        return ClockSample(rows, self.zones, self.windows, self.window_rows, self.population)


def _rows(first_rank: int, picked: NDArray[np.integer], stratum: I32, zone: I32, ts: I64, local: I64) -> SampledRows:
    rows = np.empty(picked.size, ROW)
    rows["rank"], rows["stratum"] = first_rank + picked, stratum
    rows["zone"], rows["ts"], rows["local"] = zone, ts[picked], local[picked]
    return rows
