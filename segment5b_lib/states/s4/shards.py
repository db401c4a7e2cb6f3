"""Shards of S4: ranges of cells with a bounded number of arrivals, and their row groups.

A cell is one merchant in one bucket; cell m·H + b is merchant m in bucket b. A shard is a range of whole
merchants, or a range of buckets of one merchant that is larger than a shard. Shards depend on the counts
alone, so the bytes of the result depend on neither threads nor order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segment5b_lib.store.parquet import ROW_GROUP_ROWS

SHARD_ARRIVALS: Final = 1 << 22
"""Upper bound of arrivals in a shard, unless a single cell has more. One part file per shard."""

Cells = NDArray[np.int32]


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
        """First cell."""
        return self.merchant_from * self.buckets + self.bucket_from

    @property
    def cell_to(self) -> int:
        """One past the last cell."""
        return (self.merchant_to - 1) * self.buckets + self.bucket_to


def plan_shards(cells: Cells) -> list[Shard]:
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


def row_groups(cells: Cells, shard: Shard) -> list[tuple[int, int]]:
    """Ranges of the shard's cells, each with at most `ROW_GROUP_ROWS` arrivals, unless a single cell has more."""
    inside = cells.reshape(-1)[shard.cell_from : shard.cell_to]
    found = ranges_below(inside, ROW_GROUP_ROWS)
    return [(shard.cell_from + a, shard.cell_from + b) for a, b in found if inside[a:b].any()]


def buffer_sizes(cells: Cells, shards: list[Shard]) -> tuple[int, int]:
    """Arrivals of the largest row group and of the largest cell."""
    flat = cells.reshape(-1)
    groups = (group for shard in shards for group in row_groups(cells, shard))
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
