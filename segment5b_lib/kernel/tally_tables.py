"""What the tally of arrivals reads and adds to: columns of a row group, tables, counts, memory, lists of odd rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import I32, I64, U8, U64
from segment5b_lib.kernel._check import read_only
from segment5b_lib.kernel._jit import lean_jit

UNKNOWN = -1
"""Code of a word that no table knows, and of a missing one."""
YES, NO, SILENT = 1, 0, 2
"""Values of the virtual flag; SILENT is null."""
IRREGULAR = 255
"""Digit of an error that is no quarter of an hour, or of a clock that shows or expects nothing."""
QUARTER_US = 900_000_000
MIDDLE = 104
"""Digit of no error: 26 hours in quarters. No two zones are further apart."""
WEEK_HOUR = 168
OFFSET_BINS = 3600
JOINT_BINS = 16
"""Bins of an offset within its bucket: for its own law, and for pairs of neighbouring buckets."""

TALLIED_ROWS, OUT_OF_ORDER, OUTSIDE_BUCKET, SAME_INSTANT, CELL_PAIRS, PLACED, IN_ROW_ZONE = range(7)
"""What `Tally.totals` holds: rows; rows not after the one before; timestamps outside their bucket; pairs of a
merchant's rows at one microsecond, and pairs in one bucket; physical rows at a site of their own merchant, and
those of them whose site lies in the row's zone."""


class Columns(NamedTuple):
    """One row group. Codes are UNKNOWN where a word is unknown or missing.

    ``merchant_id`` uint64; ``country``, ``zone``, ``channel``, ``primary`` int32 codes; ``bucket`` int32; ``seq``,
    ``ts``, ``local`` int64 (epoch microseconds UTC, digits of the wall clock); ``virtual`` YES, NO or SILENT;
    ``site``, ``edge`` uint64 ids; ``has_local``, ``has_site``, ``has_edge`` uint8 flags.
    """

    merchant_id: U64
    country: I32
    zone: I32
    channel: I32
    bucket: I32
    seq: I64
    ts: I64
    primary: I32
    local: I64
    has_local: U8
    virtual: U8
    site: U64
    has_site: U8
    edge: U64
    has_edge: U8


COLUMN_TYPES = {
    **dict.fromkeys(("merchant_id", "site", "edge"), np.uint64),
    **dict.fromkeys(("seq", "ts", "local"), np.int64),
    **dict.fromkeys(("virtual", "has_local", "has_site", "has_edge"), np.uint8),
}
"""Types of `Columns`; all others are int32."""


class Clock(NamedTuple):
    """Buckets [start_us + b·bucket_us, …), cut into cells of cell_us; ``offset_us`` int64 [zone, cell] is expected."""

    start_us: int
    bucket_us: int
    cell_us: int
    tolerance_us: int
    offset_us: I64


class Register(NamedTuple):
    """The series that S3 knows, by merchant (ascending); merchant m owns [first_series[m], first_series[m + 1])."""

    merchant_id: U64
    first_series: I64
    country: I32
    zone: I32
    channel: I32


class Places(NamedTuple):
    """Sites or edges: ``slot`` int32, a power of two long, is a hash table of rows (UNKNOWN: free)."""

    slot: I32
    place_id: U64
    merchant_id: U64
    zone: I32


class Tally(NamedTuple):
    """Counts to add to.

    ``census`` int32 [zone, cell, virtual]: right clocks of well-formed rows; ``delivered`` int32 [series, bucket];
    ``sites``, ``edges`` int64 by row of their table; ``offsets`` int64 [OFFSET_BINS]; ``joint`` int64 [JOINT_BINS,
    JOINT_BINS]: offsets of draw 0 in neighbouring buckets of a series with one arrival in each; ``totals`` int64 [7].
    """

    census: I32
    delivered: I32
    sites: I64
    edges: I64
    offsets: I64
    joint: I64
    totals: I64


class Memory(NamedTuple):
    """What is remembered from row to row of a part file.

    ``series_of`` int32 [country, zone, channel] of the merchant at hand; ``last`` int64: whether there was a row,
    its merchant's index, timestamp, number and bucket, rows at its microsecond, rows in its bucket, its merchant's
    id (wrapped). Per series: bucket, rows and bin of the bucket at hand, and the last bucket with one row and its bin.
    """

    series_of: I32
    last: I64
    bucket: I32
    drawn: I32
    bin: I32
    single_bucket: I32
    single_bin: I32


class Odd(NamedTuple):
    """Positions of rows for the caller: ``census`` with cell of time and digits, ``series``, ``place``, ``sampled``.

    ``digits`` is ((error · 256 + stored hour) · 3 + virtual) · 4 + 2 · has site + has edge. ``found`` int64 [4] says
    how many of each list were written; lists are as long as the row group.
    """

    census: I32
    cell: I64
    digits: I32
    series: I32
    place: I32
    sampled: I32
    found: I64


CENSUS_ROWS, SERIES_ROWS, PLACE_ROWS, SAMPLED_ROWS = range(4)
SEEN, PRIOR_MERCHANT, PRIOR_TS, PRIOR_SEQ, PRIOR_BUCKET, AT_ONCE, IN_CELL, PRIOR_MERCHANT_ID = range(8)
"""What `Odd.found` and `Memory.last` hold, in this order."""


@lean_jit
def _fill_slots(places: Places) -> None:
    mask = np.uint64(places.slot.size - 1)
    for row in range(places.place_id.size):
        at = places.place_id[row] & mask
        while places.slot[at] != UNKNOWN:
            at = (at + np.uint64(1)) & mask
        places.slot[at] = row


def place_table(place_id: U64, merchant_id: U64, zone: I32) -> Places:
    """Sites or edges for look-up by id; the three arrays run in parallel."""
    read_only(place_id, merchant_id, zone)
    size = 1 << (2 * place_id.size + 1).bit_length()
    places = Places(np.full(size, UNKNOWN, np.int32), place_id, merchant_id, zone)
    _fill_slots(places)
    return places


def new_tally(zones: int, series: int, buckets: int, cells: int, sites: int, edges: int) -> Tally:
    """Counts of no rows; ``cells`` are those of the whole horizon."""
    return Tally(
        census=np.zeros((zones, cells, 2), np.int32),
        delivered=np.zeros((series, buckets), np.int32),
        sites=np.zeros(sites, np.int64),
        edges=np.zeros(edges, np.int64),
        offsets=np.zeros(OFFSET_BINS, np.int64),
        joint=np.zeros((JOINT_BINS, JOINT_BINS), np.int64),
        totals=np.zeros(7, np.int64),
    )


def new_memory(countries: int, zones: int, channels: int, series: int) -> Memory:
    last = np.zeros(8, np.int64)
    last[PRIOR_MERCHANT] = UNKNOWN
    return Memory(
        series_of=np.full((countries, zones, channels), UNKNOWN, np.int32),
        last=last,
        bucket=np.zeros(series, np.int32),
        drawn=np.zeros(series, np.int32),
        bin=np.zeros(series, np.int32),
        single_bucket=np.full(series, -2, np.int32),
        single_bin=np.zeros(series, np.int32),
    )


def new_odd(rows: int) -> Odd:
    census, digits, series, place, sampled = (np.empty(rows, np.int32) for _ in range(5))
    return Odd(census, np.empty(rows, np.int64), digits, series, place, sampled, np.zeros(4, np.int64))
