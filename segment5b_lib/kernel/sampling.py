"""Samples in a seeded order of ranks, and which instants lie in a window of their zone, row by row.

The order is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), the same on every machine. The mix is a bijection of 64-bit
words, so that no two ranks share a place in the order.

Windows are found by a sieve first: time is cut into cells of 2^32 µs (71.6 minutes; a shift is cheaper than a
division), and most instants lie in a cell that no window touches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import I32, I64, U64, Flags
from segment5b_lib.kernel._check import check_array
from segment5b_lib.kernel._jit import inner_jit, jit, lean_jit
from segment5b_lib.kernel.philox import WEYL

FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)


@jit
def order_of(rank: int, seed: np.uint64) -> np.uint64:
    """Place of a rank in the order of a seed, uint64."""
    z = np.uint64(rank) + seed * WEYL
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return z ^ (z >> np.uint64(31))


@jit
def _orders(ranks: I64, seed: np.uint64, out: U64) -> None:
    for i in range(ranks.size):
        out[i] = order_of(ranks[i], seed)


def seeded_order(ranks: I64, seed: int) -> U64:
    """Places ndarray(uint64, ndim=1) of ``ranks``, ndarray(int64, ndim=1)."""
    check_array("ranks", ranks, np.int64, (None,))
    out = np.empty(ranks.size, np.uint64)
    _orders(ranks, np.uint64(seed), out)
    return out


ELSEWHERE = -1
"""Number of the rows that lie in no window."""
CELL_BITS = 32


class WindowTable(NamedTuple):
    """Windows [start_us[w], end_us[w]), epoch microseconds UTC, zone z's being [first[z], first[z + 1]).

    ``first`` int64 [zone + 1]. ``sieve`` marks the cells that windows touch; cell 0 begins at ``origin_us`` and
    stands for all instants before as well, the last cell for all after.
    """

    first: I64
    start_us: I64
    end_us: I64
    sieve: Flags
    origin_us: int


def window_table(first: I64, start_us: I64, end_us: I64) -> WindowTable:
    """Windows in order of zone, with their sieve."""
    check_array("first", first, np.int64, (None,))
    check_array("start_us", start_us, np.int64, (None,))
    check_array("end_us", end_us, np.int64, start_us.shape)
    earliest = int(start_us.min()) if start_us.size else 0
    origin = earliest - (1 << CELL_BITS)
    sieve = np.zeros(((int(end_us.max(initial=earliest)) - origin) >> CELL_BITS) + 2, np.bool_)
    for start, end in zip(start_us - origin, end_us - origin, strict=True):
        sieve[start >> CELL_BITS : (end >> CELL_BITS) + 1] = True
    return WindowTable(first, start_us, end_us, sieve, origin)


@inner_jit
def _window_of(ts: int, zone: int, table: WindowTable) -> int:
    """The last window of a zone that an instant lies in; ELSEWHERE for a zone that is not there (−1)."""
    window = ELSEWHERE
    if zone >= 0:
        for number in range(table.first[zone], table.first[zone + 1]):
            if table.start_us[number] <= ts < table.end_us[number]:
                window = number
    return window


@lean_jit
def _windows_of(ts: I64, zone: I32, table: WindowTable, out: I32) -> None:
    for i in range(ts.size):
        out[i] = _window_of(ts[i], zone[i], table)


@lean_jit
def _pick(
    ts: I64,
    index: I32,
    zone_of: I32,
    table: WindowTable,
    first_rank: int,
    seed: np.uint64,
    bound: U64,
    held: I64,
    rows: I32,
    windows: I32,
) -> int:
    """Fill ``rows`` and ``windows`` with what is picked, add all to ``held``; return how many are picked."""
    last, picked = table.sieve.size - 1, 0
    for i in range(ts.size):
        cell = min(max((ts[i] - table.origin_us) >> CELL_BITS, 0), last)
        if not table.sieve[cell]:
            continue
        number = _window_of(ts[i], zone_of[index[i]], table)
        if number == ELSEWHERE:
            continue
        held[number] += 1
        if order_of(first_rank + i, seed) <= bound[number]:
            rows[picked], windows[picked] = i, number
            picked += 1
    return picked


def windows_of(ts: I64, zone: I32, table: WindowTable) -> I32:
    """Number int32 of the window of each instant, or ELSEWHERE; ``zone`` int32 is a zone, or −1."""
    check_array("ts", ts, np.int64, (None,))
    check_array("zone", zone, np.int32, ts.shape)
    out = np.empty(ts.size, np.int32)
    _windows_of(ts, zone, table, out)
    return out


def pick_in_windows(
    ts: I64, index: I32, zone_of: I32, table: WindowTable, first_rank: int, seed: int, bound: U64
) -> tuple[I64, I32, I32]:
    """What windows hold of some rows, and which of these rows come early enough in the seeded order.

    Row i lies in the zone ``zone_of[index[i]]`` (−1: none) and has the rank ``first_rank`` + i. ``bound`` uint64
    [window] is the greatest place in the order that is still picked. Returns the number of rows in each window
    (int64 [window], picked or not), and row and window of those picked (int32, rows ascending).
    """
    check_array("ts", ts, np.int64, (None,))
    check_array("index", index, np.int32, ts.shape)
    check_array("zone_of", zone_of, np.int32, (None,))
    check_array("bound", bound, np.uint64, table.start_us.shape)
    held = np.zeros(bound.size, np.int64)
    rows, windows = np.empty(ts.size, np.int32), np.empty(ts.size, np.int32)
    picked = _pick(ts, index, zone_of, table, first_rank, np.uint64(seed), bound, held, rows, windows)
    return held, rows[:picked], windows[:picked]
