"""Counting the rows of `arrival_events_5B`, each looked at once: the census, S3's keys, order, offsets and places.

Rows come row group by row group as flat columns; everything that is counted is an integer, so that the sum over
row groups does not depend on their order. Rows outside every dense table (a wrong clock, a foreign zone,
series or place) are listed by position for the caller to count.

The clock to compare with is an argument: a table of offsets by zone and cell of time. Nothing of the arrival
expansion is imported here.
"""

from __future__ import annotations

import numpy as np

from segment5b_lib.arrays import I32, I64, U8, U64
from segment5b_lib.kernel import tally_tables as tables
from segment5b_lib.kernel._check import check_array, read_only
from segment5b_lib.kernel._jit import inner_jit, lean_jit
from segment5b_lib.kernel.tally_tables import MIDDLE, UNKNOWN, Clock, Columns, Memory, Odd, Places, Register, Tally


@inner_jit
def error_digit(error_us: int, tolerance_us: int) -> int:
    """MIDDLE + quarters of an hour nearest to an error in microseconds; IRREGULAR beyond the tolerance, or 26 hours."""
    quarters = (error_us + tables.QUARTER_US // 2) // tables.QUARTER_US
    if abs(quarters) > MIDDLE or abs(error_us - quarters * tables.QUARTER_US) > tolerance_us:
        return tables.IRREGULAR
    return int(quarters + MIDDLE)


@inner_jit
def week_hour(local_us: int) -> int:
    """Hour of the week of a wall clock: 0 is Monday 00 h. The epoch was a Thursday, 72 hours into its week."""
    return int((local_us // 3_600_000_000 + 72) % tables.WEEK_HOUR)


@inner_jit
def find_place(place_id: np.uint64, merchant_id: np.uint64, places: Places) -> int:
    """Row of a merchant's place, or UNKNOWN."""
    mask = np.uint64(places.slot.size - 1)
    at = place_id & mask
    while places.slot[at] != UNKNOWN:
        row = places.slot[at]
        if places.place_id[row] == place_id and places.merchant_id[row] == merchant_id:
            return int(row)
        at = (at + np.uint64(1)) & mask
    return UNKNOWN


@inner_jit
def find_merchant(merchant_id: np.uint64, ascending: U64) -> int:
    """Index of a merchant, or UNKNOWN."""
    low, high = 0, ascending.size
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < merchant_id:
            low = middle + 1
        else:
            high = middle
    return low if low < ascending.size and ascending[low] == merchant_id else UNKNOWN


@inner_jit
def _enter(merchant_id: np.uint64, register: Register, memory: Memory) -> None:
    """Make the series of a merchant those that codes are looked up among."""
    m = memory.last[tables.PRIOR_MERCHANT]
    if m != UNKNOWN:
        for s in range(register.first_series[m], register.first_series[m + 1]):
            memory.series_of[register.country[s], register.zone[s], register.channel[s]] = UNKNOWN
    m = find_merchant(merchant_id, register.merchant_id)
    memory.last[tables.PRIOR_MERCHANT] = m
    if m != UNKNOWN:
        for s in range(register.first_series[m], register.first_series[m + 1]):
            memory.series_of[register.country[s], register.zone[s], register.channel[s]] = s


@inner_jit
def _follow(row: int, rows: Columns, memory: Memory, totals: I64) -> bool:
    """Compare a row with the one before it; whether it begins another merchant."""
    last, ts = memory.last, rows.ts[row]
    new = last[tables.SEEN] == 0 or np.uint64(last[tables.PRIOR_MERCHANT_ID]) != rows.merchant_id[row]
    if new:
        if last[tables.SEEN] != 0 and rows.merchant_id[row] < np.uint64(last[tables.PRIOR_MERCHANT_ID]):
            totals[tables.OUT_OF_ORDER] += 1
        last[tables.AT_ONCE] = last[tables.IN_CELL] = 0
    else:
        if ts < last[tables.PRIOR_TS] or (ts == last[tables.PRIOR_TS] and rows.seq[row] <= last[tables.PRIOR_SEQ]):
            totals[tables.OUT_OF_ORDER] += 1
        last[tables.AT_ONCE] = last[tables.AT_ONCE] + 1 if ts == last[tables.PRIOR_TS] else 0
        last[tables.IN_CELL] = last[tables.IN_CELL] + 1 if rows.bucket[row] == last[tables.PRIOR_BUCKET] else 0
        totals[tables.SAME_INSTANT] += last[tables.AT_ONCE]
        totals[tables.CELL_PAIRS] += last[tables.IN_CELL]
    last[tables.SEEN], last[tables.PRIOR_TS] = 1, ts
    last[tables.PRIOR_SEQ], last[tables.PRIOR_BUCKET] = rows.seq[row], rows.bucket[row]
    return bool(new)


@inner_jit
def _close(s: int, memory: Memory, joint: I64) -> None:
    """A series' bucket is complete: pair it with the one before if both hold a single arrival."""
    if memory.drawn[s] == 1:
        if memory.single_bucket[s] == memory.bucket[s] - 1:
            joint[memory.single_bin[s], memory.bin[s]] += 1
        memory.single_bucket[s], memory.single_bin[s] = memory.bucket[s], memory.bin[s]
    memory.drawn[s] = 0


@inner_jit
def _count_offset(s: int, bucket: int, offset: int, bucket_us: int, memory: Memory, tally: Tally) -> None:
    """An offset inside its bucket, of a known series or not."""
    share = offset / bucket_us
    tally.offsets[int(share * tables.OFFSET_BINS)] += 1
    if s == UNKNOWN:
        return
    if memory.bucket[s] != bucket:
        _close(s, memory, tally.joint)
        memory.bucket[s] = bucket
    memory.drawn[s] += 1
    memory.bin[s] = int(share * tables.JOINT_BINS)


@inner_jit
def _count_census(row: int, rows: Columns, clock: Clock, tally: Tally, odd: Odd) -> None:
    """A right clock of a well-formed row goes to the dense table, any other row to the list."""
    ts, zone, virtual = rows.ts[row], rows.primary[row], rows.virtual[row]
    cell = int((ts - clock.start_us) / clock.cell_us) if ts >= clock.start_us else UNKNOWN
    expected = zone != UNKNOWN and 0 <= cell < clock.offset_us.shape[1]
    digit = tables.IRREGULAR
    if expected and rows.has_local[row]:
        digit = error_digit(rows.local[row] - ts - clock.offset_us[zone, cell], clock.tolerance_us)
    formed = virtual != tables.SILENT and rows.has_edge[row] == virtual and rows.has_site[row] != virtual
    if digit == MIDDLE and formed:
        tally.census[zone, cell, virtual] += 1
        return
    stored = tables.IRREGULAR
    if rows.has_local[row] and digit != MIDDLE:
        stored = week_hour(rows.local[row])
    at = odd.found[tables.CENSUS_ROWS]
    odd.census[at], odd.cell[at] = row, ts // clock.cell_us
    odd.digits[at] = ((digit * 256 + stored) * 3 + virtual) * 4 + 2 * rows.has_site[row] + rows.has_edge[row]
    odd.found[tables.CENSUS_ROWS] += 1


@inner_jit
def _count_place(row: int, rows: Columns, sites: Places, edges: Places, tally: Tally, odd: Odd) -> None:
    """A physical row at its merchant's site, or a virtual one at its merchant's edge; any other is listed."""
    place = UNKNOWN
    if rows.virtual[row] == tables.NO and rows.has_site[row] and not rows.has_edge[row]:
        place = find_place(rows.site[row], rows.merchant_id[row], sites)
        if place != UNKNOWN:
            tally.sites[place] += 1
            tally.totals[tables.PLACED] += 1
            tally.totals[tables.IN_ROW_ZONE] += sites.zone[place] == rows.zone[row]
    elif rows.virtual[row] == tables.YES and rows.has_edge[row] and not rows.has_site[row]:
        place = find_place(rows.edge[row], rows.merchant_id[row], edges)
        if place != UNKNOWN:
            tally.edges[place] += 1
    if place == UNKNOWN:
        odd.place[odd.found[tables.PLACE_ROWS]] = row
        odd.found[tables.PLACE_ROWS] += 1


@inner_jit
def _series(row: int, rows: Columns, memory: Memory) -> int:
    country, zone, channel = rows.country[row], rows.zone[row], rows.channel[row]
    if country == UNKNOWN or zone == UNKNOWN or channel == UNKNOWN:
        return UNKNOWN
    return int(memory.series_of[country, zone, channel])


@lean_jit
def _tally_rows(
    rows: Columns,
    clock: Clock,
    register: Register,
    sites: Places,
    edges: Places,
    sample: U8,
    tally: Tally,
    memory: Memory,
    odd: Odd,
) -> None:
    buckets = tally.delivered.shape[1]
    for row in range(rows.ts.size):
        if _follow(row, rows, memory, tally.totals):
            _enter(rows.merchant_id[row], register, memory)
            memory.last[tables.PRIOR_MERCHANT_ID] = np.int64(rows.merchant_id[row])
        bucket, s = rows.bucket[row], _series(row, rows, memory)
        if s == UNKNOWN or bucket < 0 or bucket >= buckets:
            odd.series[odd.found[tables.SERIES_ROWS]] = row
            odd.found[tables.SERIES_ROWS] += 1
        else:
            tally.delivered[s, bucket] += 1
            if sample[s]:
                odd.sampled[odd.found[tables.SAMPLED_ROWS]] = row
                odd.found[tables.SAMPLED_ROWS] += 1
        offset = rows.ts[row] - (clock.start_us + bucket * clock.bucket_us)
        if 0 <= offset < clock.bucket_us:
            _count_offset(s, bucket, offset, clock.bucket_us, memory, tally)
        else:
            tally.totals[tables.OUTSIDE_BUCKET] += 1
        _count_census(row, rows, clock, tally, odd)
        _count_place(row, rows, sites, edges, tally, odd)
    tally.totals[tables.TALLIED_ROWS] += rows.ts.size


@lean_jit
def _close_all(memory: Memory, joint: I64) -> None:
    for s in range(memory.drawn.size):
        _close(s, memory, joint)


@lean_jit
def _clock_errors(ts: I64, zone: I32, slot: I32, local: I64, has_local: U8, clock: Clock, counts: I64) -> None:
    for row in range(ts.size):
        cell = int((ts[row] - clock.start_us) / clock.cell_us) if ts[row] >= clock.start_us else UNKNOWN
        digit = tables.IRREGULAR
        if zone[row] != UNKNOWN and 0 <= cell < clock.offset_us.shape[1] and has_local[row]:
            digit = error_digit(local[row] - ts[row] - clock.offset_us[zone[row], cell], clock.tolerance_us)
        counts[slot[row], digit] += 1


def tally_rows(
    rows: Columns,
    clock: Clock,
    register: Register,
    sites: Places,
    edges: Places,
    sample: U8,
    tally: Tally,
    memory: Memory,
    odd: Odd,
) -> None:
    """Count one row group into ``tally`` and list odd rows, from the start of every list.

    ``sample`` uint8 [series] marks series whose rows are listed too. Row groups of a part file come in order and
    share ``memory``; releases the interpreter lock. Raises InputError for a column of another type or length.
    """
    for name in Columns._fields:
        check_array(name, getattr(rows, name), tables.COLUMN_TYPES.get(name, np.int32), rows.ts.shape)
    check_array("sample", sample, np.uint8, (tally.delivered.shape[0],))
    read_only(*rows, clock.offset_us, *register, *sites, *edges, sample)
    odd.found[:] = 0
    _tally_rows(rows, clock, register, sites, edges, sample, tally, memory, odd)


def finish_part(memory: Memory, tally: Tally) -> None:
    """Close the buckets that a part file leaves open."""
    _close_all(memory, tally.joint)


def clock_errors(ts: I64, zone: I32, slot: I32, local: I64, has_local: U8, clock: Clock, slots: int) -> I64:
    """Errors of a clock, int64 [slots, 256] by slot (whatever the caller groups by) and error digit."""
    read_only(ts, zone, slot, local, has_local, clock.offset_us)
    counts = np.zeros((slots, 256), np.int64)
    _clock_errors(ts, zone, slot, local, has_local, clock, counts)
    return counts
