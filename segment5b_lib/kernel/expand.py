"""Arrival expansion: counts per series and bucket to single arrivals in order, with place and civil time.

A *cell* is one merchant in one bucket; cell m·H + b is merchant m in bucket b. Within a cell: draw the
offsets of all its series (block (j, b) of S4.arrival_time, lane 0: ⌊u·D⌋ µs) and their places, sort the
offsets, look the local times up, write the rows. A cell depends on nothing but its own counts, its first
sequence number and the tables, so any range of cells can be expanded anywhere.

An arrival to be sorted is one integer, (offset << ORDINAL_BITS) | ordinal, where the ordinal counts a merchant's
arrivals of the bucket in (series, draw) order: sorting the integers sorts by (offset, series, draw).
Because offsets are uniform over the bucket, dealing n of them into n equal bins almost sorts them, and a final
insertion pass, which is right whatever the bins did, has about one step per element: O(n) expected.
"""

from __future__ import annotations

import numpy as np

from segment5b_lib.arrays import I32, U64
from segment5b_lib.contract.units import MINUTE_US
from segment5b_lib.errors import InputError
from segment5b_lib.kernel._jit import inner_jit, lean_jit
from segment5b_lib.kernel.arrival_tables import OFFSET_BITS, ORDINAL_BITS, Counts, Rows, Scratch, Tables, Tallies
from segment5b_lib.kernel.offsets import offset_at
from segment5b_lib.kernel.philox import philox_lanes, u01
from segment5b_lib.kernel.routing import NO_SITE, place_series

ORDINAL_MASK = np.uint64((1 << ORDINAL_BITS) - 1)
_DEAL_FROM = 24
"""Below this many elements insertion alone is faster."""


@lean_jit
def sort_bucket(words: U64, bins: I32, n: int, ends: I32, out: U64) -> None:
    """Sort ``words[:n]`` into ``out[:n]``.

    ``bins[i]`` in [0, n) rises with the offset of ``words[i]``; ``ends`` is scratch of at least n + 1 elements.
    """
    if n < _DEAL_FROM:
        for i in range(n):
            out[i] = words[i]
    else:
        _deal(words, bins, n, ends, out)
    for i in range(1, n):
        word = out[i]
        k = i
        while k > 0 and out[k - 1] > word:
            out[k] = out[k - 1]
            k -= 1
        out[k] = word


@inner_jit
def _deal(words: U64, bins: I32, n: int, ends: I32, out: U64) -> None:
    for i in range(n + 1):
        ends[i] = 0
    for i in range(n):
        ends[bins[i] + 1] += 1
    for i in range(n):
        ends[i + 1] += ends[i]
    for i in range(n):
        bin_ = bins[i]
        out[ends[bin_]] = words[i]
        ends[bin_] += 1


@inner_jit
def _draw_offsets(count: int, bucket: int, key: np.uint64, width: int, bins: int, at: int, to: Scratch) -> None:
    """Pack offset and ordinal of ``count`` arrivals of one series, the first with ordinal ``at``."""
    for first in range(0, count, to.lane0.size):
        blocks = min(to.lane0.size, count - first)
        philox_lanes(first, blocks, bucket, key, to.lane0, to.lane1)
        begin = at + first
        words, bin_of = to.words[begin : begin + blocks], to.bins[begin : begin + blocks]
        for i in range(blocks):
            u = u01(to.lane0[i])
            offset = min(int(u * width), width - 1)
            words[i] = np.uint64((offset << ORDINAL_BITS) | (begin + i))
            bin_of[i] = min(int(u * bins), bins - 1)


@inner_jit
def _draw_cell(
    merchant: int, bucket: int, total: int, counts: Counts, tables: Tables, tallies: Tallies, to: Scratch
) -> bool:
    """Draw offset and place of every arrival of one cell, series by series; false if one has no place."""
    series, merchants = tables.series, tables.merchants
    at = 0
    for s in range(merchants.first_series[merchant], merchants.first_series[merchant + 1]):
        count = counts.series[s - counts.series_from, bucket]
        if count == 0:
            continue
        _draw_offsets(count, bucket, series.time_key[s], tables.grid.bucket_us, total, at, to)
        to.owner[at : at + count] = s
        virtual = place_series(
            count,
            bucket,
            tables.day[bucket],
            merchant,
            merchants.mode[merchant],
            tables.p_virtual,
            series.pool[s],
            series.pick_key[s],
            series.edge_key[s],
            tables.zones,
            tables.pools,
            tables.edges,
            to.lane0,
            to.lane1,
            to.places[at:],
            tallies.unroutable[s - tallies.series_from],
        )
        if virtual == NO_SITE:
            return False
        tallies.virtual[s - tallies.series_from, bucket - tallies.bucket_from] = virtual
        at += count
    return True


@inner_jit
def _write_cell(
    merchant: int,
    bucket: int,
    total: int,
    seq: int,
    tables: Tables,
    tallies: Tallies,
    drawn: Scratch,
    rows: Rows,
    at: int,
) -> None:
    """Write the rows [at, at + total) of one cell whose words are in order; ``seq`` is its first number.

    Indices are unsigned: a signed one is compared with 0 before every access, in case it counts from the end.
    """
    series, sites, edges = tables.series, tables.sites, tables.edges
    settlement = tables.merchants.settlement_zone[merchant]
    first_seq = tallies.first_seq[:, bucket - tallies.bucket_from]
    begin = tables.grid.start_us + bucket * tables.grid.bucket_us
    rows.merchant_id[at : at + total] = tables.merchants.merchant_id[merchant]
    rows.bucket[at : at + total] = bucket
    for i in range(total):
        word = drawn.ordered[i]
        ordinal = word & ORDINAL_MASK
        s, place = np.uintp(drawn.owner[ordinal]), drawn.places[ordinal]
        row = np.uintp(at + i)
        ts = begin + int(word >> np.uint64(ORDINAL_BITS))
        rows.series[row], rows.place[row] = s, place
        rows.country[row], rows.zone[row], rows.channel[row] = series.country[s], series.zone[s], series.channel[s]
        rows.seq[row], rows.ts[row] = seq + i, ts
        tallied = s - np.uintp(tallies.series_from)
        if first_seq[tallied] == 0:
            first_seq[tallied] = seq + i
        if place >= 0:
            site = np.uintp(place)
            zone = sites.zone[site]
            rows.virtual[row], rows.place_id[row] = 0, sites.site_id[site]
        else:
            edge = np.uintp(~place)
            zone = edges.zone[edge]
            rows.virtual[row], rows.place_id[row] = 1, edges.edge_id[edge]
            rows.settlement[row] = settlement
            rows.local_settlement[row] = ts + MINUTE_US * offset_at(tables.offsets, settlement, bucket, ts)
        rows.primary[row] = zone
        rows.local_primary[row] = ts + MINUTE_US * offset_at(tables.offsets, zone, bucket, ts)


@lean_jit
def _expand(
    cell_from: int, cell_to: int, counts: Counts, tables: Tables, tallies: Tallies, scratch: Scratch, rows: Rows
) -> int:
    buckets = counts.series.shape[1]
    at = 0
    for cell in range(cell_from, cell_to):
        merchant, bucket = cell // buckets, cell % buckets
        total = counts.cell[merchant, bucket]
        if total == 0:
            continue
        if not _draw_cell(merchant, bucket, total, counts, tables, tallies, scratch):
            return NO_SITE
        sort_bucket(scratch.words, scratch.bins, total, scratch.ends, scratch.ordered)
        seq = counts.first_seq[merchant, bucket]
        _write_cell(merchant, bucket, total, seq, tables, tallies, scratch, rows, at)
        at += total
    return at


def expand(
    cell_from: int, cell_to: int, counts: Counts, tables: Tables, tallies: Tallies, scratch: Scratch, rows: Rows
) -> int:
    """Expand the cells [cell_from, cell_to) into the first rows of ``rows``; return how many rows.

    Adds to ``tallies``, which must cover the cells' series and buckets. Returns NO_SITE, with
    ``tallies.unroutable`` saying which series and zone, where an arrival has no site to go to. Releases the
    interpreter lock.
    """
    inside = counts.cell.reshape(-1)[cell_from:cell_to]
    needed, largest = int(inside.sum(dtype=np.int64)), int(inside.max(initial=0))
    capacity = (rows.ts.size, scratch.words.size, 1 << OFFSET_BITS)
    if any(have < want for have, want in zip(capacity, (needed, largest, tables.grid.bucket_us), strict=True)):
        raise InputError(
            "5B.KERNEL.EXPAND_CAPACITY",
            "cells do not fit the buffers they are expanded into",
            where=f"cells {cell_from} to {cell_to}",
            expected=f"at most {capacity} arrivals, arrivals of a cell, microseconds of a bucket",
            found=(needed, largest, tables.grid.bucket_us),
        )
    return _expand(cell_from, cell_to, counts, tables, tallies, scratch, rows)
