"""Every rule that rows about to be published must keep, checked row by row, and what the rows add up to.

Reads the row buffers as they will be written, against the counts and tables they were made from; stops at the
first row that breaks a rule. Costs a few nanoseconds per row, so it is always on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import I32, I64
from segment5b_lib.contract.units import MINUTE_US
from segment5b_lib.kernel._jit import inner_jit, lean_jit
from segment5b_lib.kernel.arrival_tables import HYBRID, NO_ZONE, VIRTUAL, ZONE_DRAWN, Counts, Rows, Tables

LEAST_OFFSET_US = -12 * 60 * MINUTE_US
GREATEST_OFFSET_US = 14 * 60 * MINUTE_US
"""Offsets from UTC that any zone has had since 1995, both inclusive."""

KEPT, KEY, IN_BUCKET, ORDER, MODE, PLACE, ZONE, SETTLEMENT, CIVIL_TIME, COUNT = range(10)
ROW_RULES = (
    "kept",
    "a row has the key columns of its series",
    "a timestamp lies in its half-open bucket",
    "rows of a merchant rise in time, and in sequence number without a gap",
    "a row is virtual or physical as its merchant's mode allows",
    "a row's site or edge exists and is its merchant's",
    "a row's primary zone is that of its site or edge, and of its series where the zone is given",
    "a virtual row has its merchant's settlement zone",
    "a local time is UTC plus whole minutes from -12:00 to +14:00",
    "a series has exactly as many rows in a bucket as its count says",
)
"""What each rule demands, by code."""


class Sums(NamedTuple):
    """Sums over checked rows. ``of_zone`` int64 [zone]: rows by primary zone; ``total`` int64 [7].

    ``total`` holds rows, virtual rows, first and last timestamp (epoch microseconds UTC), sum of sequence
    numbers, sum of primary offsets in minutes, and the wrapped 64-bit sum of site and edge ids.
    """

    of_zone: I64
    total: I64


CHECKED_ROWS, VIRTUAL_ROWS, FIRST_TS, LAST_TS, SEQ_SUM, OFFSET_SUM, PLACE_SUM = range(7)


class Finding(NamedTuple):
    """The rule that a row breaks, or KEPT; the row, and its cell."""

    rule: int
    row: int
    cell: int


def new_sums(zones: int) -> Sums:
    sums = Sums(np.zeros(zones, np.int64), np.zeros(7, np.int64))
    sums.total[FIRST_TS] = np.iinfo(np.int64).max
    sums.total[LAST_TS] = np.iinfo(np.int64).min
    return sums


@inner_jit
def _key_rule(row: np.uintp, merchant: int, bucket: int, rows: Rows, tables: Tables) -> bool:
    s, merchants, series = rows.series[row], tables.merchants, tables.series
    if not merchants.first_series[merchant] <= s < merchants.first_series[merchant + 1]:
        return False
    known = np.uintp(s)
    return bool(
        rows.merchant_id[row] == merchants.merchant_id[merchant]
        and rows.bucket[row] == bucket
        and rows.country[row] == series.country[known]
        and rows.zone[row] == series.zone[known]
        and rows.channel[row] == series.channel[known]
    )


@inner_jit
def _whole_minutes(local: int, utc: int) -> bool:
    offset = local - utc
    return LEAST_OFFSET_US <= offset <= GREATEST_OFFSET_US and offset % MINUTE_US == 0


@inner_jit
def _physical_rule(row: np.uintp, merchant: int, rows: Rows, tables: Tables) -> int:
    site, sites, series = np.uintp(rows.place[row]), tables.sites, tables.series
    if rows.virtual[row] != 0 or tables.merchants.mode[merchant] == VIRTUAL:
        return MODE
    if not (site < np.uintp(sites.site_id.size) and sites.merchant[site] == merchant):
        return PLACE
    if rows.place_id[row] != sites.site_id[site]:
        return PLACE
    if rows.primary[row] != sites.zone[site]:
        return ZONE
    pool = series.pool[rows.series[row]]
    bound = pool != ZONE_DRAWN and not tables.pools.unroutable[pool]
    if bound and (sites.zone[site] != rows.zone[row] or sites.country[site] != rows.country[row]):
        return ZONE
    return KEPT


@inner_jit
def _virtual_rule(row: np.uintp, merchant: int, rows: Rows, tables: Tables) -> int:
    edge, edges, mode = ~rows.place[row], tables.edges, tables.merchants.mode[merchant]
    if rows.virtual[row] != 1 or (mode != VIRTUAL and mode != HYBRID):
        return MODE
    if not edges.start[merchant] <= edge < edges.start[merchant] + edges.size[merchant]:
        return PLACE
    if rows.place_id[row] != edges.edge_id[edge]:
        return PLACE
    if rows.primary[row] != edges.zone[edge]:
        return ZONE
    settlement = tables.merchants.settlement_zone[merchant]
    if settlement == NO_ZONE or rows.settlement[row] != settlement:
        return SETTLEMENT
    if not _whole_minutes(rows.local_settlement[row], rows.ts[row]):
        return CIVIL_TIME
    return KEPT


@inner_jit
def _row_rule(
    row: np.uintp, merchant: int, bucket: int, seq: int, earliest: int, end: int, rows: Rows, tables: Tables
) -> int:
    """The first rule that a row breaks; its timestamp must lie in [earliest, end)."""
    if not _key_rule(row, merchant, bucket, rows, tables):
        return KEY
    if rows.ts[row] >= end or rows.ts[row] < tables.grid.start_us + bucket * tables.grid.bucket_us:
        return IN_BUCKET
    if rows.ts[row] < earliest or rows.seq[row] != seq:
        return ORDER
    if not _whole_minutes(rows.local_primary[row], rows.ts[row]):
        return CIVIL_TIME
    if rows.place[row] >= 0:
        return _physical_rule(row, merchant, rows, tables)
    return _virtual_rule(row, merchant, rows, tables)


@inner_jit
def _check_cell(
    merchant: int, bucket: int, first: int, counts: Counts, tables: Tables, rows: Rows, drawn: I32, sums: Sums
) -> tuple[int, int]:
    """Check the rows of one cell, which begin at row ``first``, and add them up: rule, and row that breaks it."""
    n, seq = counts.cell[merchant, bucket], counts.first_seq[merchant, bucket]
    first_series = tables.merchants.first_series[merchant]
    earliest = tables.grid.start_us + bucket * tables.grid.bucket_us
    end = earliest + tables.grid.bucket_us
    # Sums in local variables stay in registers; those in an array are read and written for every row.
    virtual, seqs, minutes, places = 0, 0, 0, 0
    for i in range(n):
        # Unsigned: a signed index is compared with 0 before every access, in case it counts from the end.
        row = np.uintp(first + i)
        rule = _row_rule(row, merchant, bucket, seq + i, earliest, end, rows, tables)
        if rule != KEPT:
            return rule, first + i
        drawn[rows.series[row] - first_series] += 1
        sums.of_zone[rows.primary[row]] += 1
        virtual += rows.virtual[row]
        seqs += rows.seq[row]
        minutes += (rows.local_primary[row] - rows.ts[row]) // MINUTE_US
        places += int(np.int64(rows.place_id[row]))
        earliest = rows.ts[row]
    if n > 0:
        sums.total[FIRST_TS] = min(sums.total[FIRST_TS], rows.ts[first])
        sums.total[LAST_TS] = max(sums.total[LAST_TS], earliest)
    sums.total[CHECKED_ROWS] += n
    sums.total[VIRTUAL_ROWS] += virtual
    sums.total[SEQ_SUM] += seqs
    sums.total[OFFSET_SUM] += minutes
    sums.total[PLACE_SUM] += places
    return KEPT, first + n


@lean_jit
def check_rows(
    cell_from: int, cell_to: int, counts: Counts, tables: Tables, rows: Rows, drawn: I32, sums: Sums
) -> Finding:
    """Check the rows of the cells [cell_from, cell_to), which begin at row 0, and add them to ``sums``.

    ``drawn`` int32 is scratch, as long as the largest number of series of a merchant.
    """
    buckets = counts.series.shape[1]
    row = 0
    for cell in range(cell_from, cell_to):
        merchant, bucket = cell // buckets, cell % buckets
        first, stop = tables.merchants.first_series[merchant], tables.merchants.first_series[merchant + 1]
        drawn[: stop - first] = 0
        rule, row = _check_cell(merchant, bucket, row, counts, tables, rows, drawn, sums)
        if rule != KEPT:
            return Finding(rule, row, cell)
        for s in range(first, stop):
            if drawn[s - first] != counts.series[s - counts.series_from, bucket]:
                return Finding(COUNT, row, cell)
    return Finding(KEPT, row, cell_to)
