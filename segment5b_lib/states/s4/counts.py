"""S3's counts, their sums by series and by merchant and bucket, and the shards that follow from these sums.

A cell is one merchant in one bucket; cell m·H + b is merchant m in bucket b. A shard is a range of whole merchants, or
a range of buckets of one merchant that is larger than a shard. Shards depend on the counts alone, so the bytes of the
result depend on neither threads nor order.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segment5b_lib.arrays import I32, I64
from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.words import Lane
from segment5b_lib.errors import InputError
from segment5b_lib.kernel.arrival_tables import Counts
from segment5b_lib.states.context import Context
from segment5b_lib.states.series import SeriesDomain
from segment5b_lib.states.surface import SeriesSlice, series_slices
from segment5b_lib.store.parquet import ROW_GROUP_ROWS
from segment5b_lib.store.scan import RowRanges

SHARD_ARRIVALS: Final = 1 << 22
"""Upper bound of arrivals in a shard, unless a single cell has more. One part file per shard."""
CellCounts = I32


@dataclass(frozen=True)
class CountFiles:
    """The counts of a scenario in their files, `buckets` rows per series, and their sums.

    `of_series` int64 [series]; `cell` int32 and `first_seq` int64 [merchant, bucket] are those of `Counts`.
    """

    rows: RowRanges
    buckets: int
    of_series: I64
    cell: I32
    first_seq: I64

    def read(self, first: int, stop: int) -> Counts:
        """Counts of the series [first, stop)."""
        return Counts(_read(self.rows, first, stop, self.buckets), self.cell, self.first_seq, first)


def merchant_starts(domain: SeriesDomain) -> I64:
    """First series of each merchant, and the number of series at the end."""
    ids = domain.frame["merchant_id"].to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    return np.append(starts, len(ids)).astype(np.int64)


def load_counts(context: Context, domain: SeriesDomain) -> CountFiles:
    """Add `count_N` of all series up, rows being in series and bucket order.

    Raises
    ------
    InputError : ``5B.S4.COUNTS_INCOMPLETE`` if there is not one row per series and bucket
    """
    rows = RowRanges(context.run.files("s3_bucket_counts_5B", domain.scenario_id), dataset("s3_bucket_counts_5B"))
    expected = len(domain) * domain.buckets
    if rows.rows != expected:
        raise InputError(
            "5B.S4.COUNTS_INCOMPLETE",
            "counts do not have one row per series and bucket",
            where=f"s3_bucket_counts_5B, scenario {domain.scenario_id}",
            expected=f"{len(domain)} series of {domain.buckets} buckets, {expected} rows",
            found=rows.rows,
            next_step="segment5b rerun --changed S3",
        )
    starts, lock = merchant_starts(domain), threading.Lock()
    of_series = np.empty(len(domain), np.int64)
    cells = np.zeros((len(starts) - 1, domain.buckets), np.int64)

    def add(part: SeriesSlice) -> None:
        with context.step("read counts", Lane.INPUT_LOAD) as step:
            counts = _read(rows, part.start, part.stop, domain.buckets)
            of_series[part.start : part.stop] = counts.sum(axis=1, dtype=np.int64)
            first = int(np.searchsorted(starts, part.start, side="right")) - 1
            stop = int(np.searchsorted(starts, part.stop))
            sums = _sums(counts, np.clip(starts[first : stop + 1], part.start, part.stop) - part.start)
            with lock:  # A merchant's series may be in two slices.
                cells[first:stop] += sums
            step.rows = counts.size

    slices = series_slices(len(domain), domain.buckets)
    context.map_shards("read counts", add, slices, [len(part) * domain.buckets for part in slices])
    first_seq = np.cumsum(cells, axis=1, dtype=np.int64) - cells + 1
    return CountFiles(rows, domain.buckets, of_series, cells.astype(np.int32), first_seq)


def merchant_cells(domain: SeriesDomain, counts: NDArray[np.integer]) -> I64:
    """Arrivals per merchant and bucket, int64 [merchant, bucket], of counts [series, bucket]."""
    return _sums(counts, merchant_starts(domain))


def _read(rows: RowRanges, first: int, stop: int, buckets: int) -> I32:
    column = rows.read(["count_N"], first * buckets, stop * buckets)["count_N"]
    return np.asarray(column.to_numpy().reshape(-1, buckets))


def _sums(counts: NDArray[np.integer], bounds: I64) -> I64:
    # Slice by slice: `np.add.reduceat` over axis 0 takes twenty times as long.
    return np.stack([counts[a:b].sum(axis=0, dtype=np.int64) for a, b in pairwise(bounds)])


@dataclass(frozen=True)
class Shard:
    """The merchants [merchant_from, merchant_to) in the buckets [bucket_from, bucket_to), `buckets` being H."""

    part: int
    merchant_from: int
    merchant_to: int
    bucket_from: int
    bucket_to: int
    buckets: int
    arrivals: int

    @property
    def cell_from(self) -> int:
        return self.merchant_from * self.buckets + self.bucket_from

    @property
    def cell_to(self) -> int:
        return (self.merchant_to - 1) * self.buckets + self.bucket_to


def plan_shards(cells: CellCounts) -> list[Shard]:
    """Shards in row order that cover all cells; `cells` int32 [merchant, bucket] counts arrivals."""
    buckets = cells.shape[1]
    ranges: list[tuple[int, int, int, int]] = []
    for start, stop in ranges_below(cells.sum(axis=1, dtype=np.int64), SHARD_ARRIVALS):
        pieces = ranges_below(cells[start], SHARD_ARRIVALS) if stop == start + 1 else [(0, buckets)]
        ranges += [(start, stop, *piece) for piece in pieces]
    return [
        Shard(part, m0, m1, b0, b1, buckets, int(cells[m0:m1, b0:b1].sum(dtype=np.int64)))
        for part, (m0, m1, b0, b1) in enumerate(ranges)
    ]


def plan_row_groups(cells: CellCounts, shard: Shard) -> list[tuple[int, int]]:
    """Ranges of the shard's cells, each with at most `ROW_GROUP_ROWS` arrivals, unless a single cell has more."""
    inside = cells.reshape(-1)[shard.cell_from : shard.cell_to]
    ranges = ranges_below(inside, ROW_GROUP_ROWS)
    return [(shard.cell_from + a, shard.cell_from + b) for a, b in ranges if inside[a:b].any()]


def buffer_sizes(cells: CellCounts, shards: list[Shard]) -> tuple[int, int]:
    """Arrivals of the largest row group and of the largest cell."""
    flat = cells.reshape(-1)
    groups = (group for shard in shards for group in plan_row_groups(cells, shard))
    return max((int(flat[a:b].sum(dtype=np.int64)) for a, b in groups), default=0), int(flat.max(initial=0))


def ranges_below(sizes: NDArray[np.integer], bound: int) -> list[tuple[int, int]]:
    """Consecutive ranges [start, stop) of `sizes`, as long as their sum stays within `bound`; none is empty."""
    running = np.cumsum(sizes, dtype=np.int64)
    ranges, start, before = [], 0, 0
    while start < len(sizes):
        stop = max(int(np.searchsorted(running, before + bound, side="right")), start + 1)
        ranges.append((start, stop))
        start, before = stop, int(running[stop - 1])
    return ranges


def merchant_groups(shards: list[Shard]) -> list[list[Shard]]:
    """The shards by the merchants they cover: a group holds several only where a merchant was split."""
    return [list(group) for _, group in groupby(shards, key=lambda shard: shard.merchant_from)]
