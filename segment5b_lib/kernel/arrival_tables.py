"""What the arrival expansion reads and writes: flat tables, row buffers, tallies, working memory.

Codes of countries, zones and channels are positions in the dictionaries of the output columns. A *pool* is
the set of sites that one answer to "which zone" leads to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import F64, I32, I64, U8, U64, Flags
from segment5b_lib.errors import InputError
from segment5b_lib.kernel.offsets import OffsetTable

PHYSICAL, HYBRID, VIRTUAL = 0, 1, 2
"""Merchant modes."""
ZONE_DRAWN = -1
"""Pool of a series whose zone is drawn instead of given (`routing.zone_binding: group_weights`)."""
NO_ZONE = -1
"""Settlement zone of a merchant that has none."""
LANE_BLOCKS = 512
"""Blocks of random words that are drawn at a time: they stay in the first cache."""
ORDINAL_BITS = 24
"""Enough for 16.7 million arrivals of one merchant in one bucket."""
OFFSET_BITS = 40
"""Enough for a bucket of 12 days in microseconds."""


class Grid(NamedTuple):
    """Buckets [start_us + b·bucket_us, start_us + (b + 1)·bucket_us), epoch microseconds UTC."""

    start_us: int
    bucket_us: int


class Merchants(NamedTuple):
    """Merchants in ascending id; merchant m owns the series [first_series[m], first_series[m + 1]).

    ``mode`` is PHYSICAL, HYBRID or VIRTUAL; ``settlement_zone`` a zone code or NO_ZONE.
    """

    merchant_id: U64
    first_series: I64
    mode: U8
    settlement_zone: I32


class SeriesTable(NamedTuple):
    """Series in domain order: codes of country, zone and channel; pool or ZONE_DRAWN; keys of the three streams."""

    country: I32
    zone: I32
    channel: I32
    pool: I32
    time_key: U64
    pick_key: U64
    edge_key: U64


class Sites(NamedTuple):
    """Sites by row: id, index of the merchant, codes of country and zone."""

    site_id: U64
    merchant: I32
    country: I32
    zone: I32


class Pools(NamedTuple):
    """Site pools. Pool p owns the rows [start[p], start[p] + size[p]) of the alias tables in ``share`` and ``choice``.

    What they draw is a row of the site table. ``zone`` is the code of the zone that leads to the pool; ``unroutable``
    marks pools whose zone has no site of the merchant: they hold the sites of another zone, or none.
    """

    start: I64
    size: I32
    zone: I32
    unroutable: Flags
    share: F64
    choice: I32


class ZoneDraws(NamedTuple):
    """Zone tables: [merchant, day] owns ``size`` rows from row ``start`` on of the alias tables, which draw a pool."""

    start: I64
    size: I32
    share: F64
    choice: I32


class Edges(NamedTuple):
    """Edges by row. Merchant m owns the rows [start[m], start[m] + size[m]), an alias table that draws a row."""

    start: I64
    size: I32
    edge_id: U64
    zone: I32
    share: F64
    choice: I32


class Tables(NamedTuple):
    """All tables of one scenario. ``day`` int32 [bucket] is the day whose zone tables hold for a bucket."""

    grid: Grid
    merchants: Merchants
    series: SeriesTable
    sites: Sites
    pools: Pools
    zones: ZoneDraws
    edges: Edges
    offsets: OffsetTable
    day: I32
    p_virtual: float


class Counts(NamedTuple):
    """How many arrivals: ``series`` int32 [series, bucket] of the series from ``series_from`` on, ``cell`` int32
    [merchant, bucket] of all merchants, the sum over their series.

    ``first_seq`` int64 [merchant, bucket] is the sequence number of the first arrival of a cell.
    """

    series: I32
    cell: I32
    first_seq: I64
    series_from: int = 0


class Rows(NamedTuple):
    """Arrivals, one element per row in every array.

    ``place`` is a row of the site table, or ~row of the edge table; ``place_id`` the id of that site or
    edge. ``settlement`` and ``local_settlement`` are written for virtual rows only. Times are epoch
    microseconds UTC, local ones the digits of the wall clock read as if they were UTC.
    """

    series: I32
    place: I32
    merchant_id: U64
    country: I32
    zone: I32
    channel: I32
    bucket: I32
    seq: I64
    ts: I64
    primary: I32
    local_primary: I64
    settlement: I32
    local_settlement: I64
    virtual: U8
    place_id: U64


class Tallies(NamedTuple):
    """What cells add up to, for the series [series_from, …) and the buckets [bucket_from, …).

    ``virtual`` int32 and ``first_seq`` int64 [series, bucket], 0 where there is no arrival; ``unroutable``
    int32 [series, zone] counts arrivals whose zone has no site of the merchant; it may have no columns
    where no pool is unroutable.
    """

    series_from: int
    bucket_from: int
    virtual: I32
    first_seq: I64
    unroutable: I32


class Scratch(NamedTuple):
    """Working memory for the largest cell; the lanes hold the random words of LANE_BLOCKS draws."""

    lane0: U64
    lane1: U64
    words: U64
    bins: I32
    ends: I32
    ordered: U64
    owner: I32
    places: I32


_WIDE = {
    "merchant_id": np.uint64,
    "seq": np.int64,
    "ts": np.int64,
    "local_primary": np.int64,
    "local_settlement": np.int64,
    "virtual": np.uint8,
    "place_id": np.uint64,
}


def new_rows(capacity: int) -> Rows:
    """Zeroed buffers for ``capacity`` rows."""
    return Rows(*(np.zeros(capacity, _WIDE.get(name, np.int32)) for name in Rows._fields))


def new_tallies(series_from: int, series: int, bucket_from: int, buckets: int, zones: int) -> Tallies:
    """Zeroed tallies of ``series`` × ``buckets``, and of ``zones`` where arrivals may be unroutable."""
    shape = (series, buckets)
    unroutable = np.zeros((series, zones), np.int32)
    return Tallies(series_from, bucket_from, np.zeros(shape, np.int32), np.zeros(shape, np.int64), unroutable)


def new_scratch(largest_cell: int) -> Scratch:
    if largest_cell >= 1 << ORDINAL_BITS:
        raise InputError(
            "5B.KERNEL.CELL_TOO_LARGE",
            "a merchant has more arrivals in one bucket than can be put in order",
            expected=f"fewer than {1 << ORDINAL_BITS}",
            found=largest_cell,
            next_step="use shorter buckets",
        )
    return Scratch(
        lane0=np.empty(LANE_BLOCKS, np.uint64),
        lane1=np.empty(LANE_BLOCKS, np.uint64),
        words=np.empty(largest_cell, np.uint64),
        bins=np.empty(largest_cell, np.int32),
        ends=np.empty(largest_cell + 1, np.int32),
        ordered=np.empty(largest_cell, np.uint64),
        owner=np.empty(largest_cell, np.int32),
        places=np.empty(largest_cell, np.int32),
    )
