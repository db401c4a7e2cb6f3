"""Expansion and its check on a hand-made scenario: two physical merchants, a hybrid and a virtual one."""

import numpy as np
import pytest

from segment5b_lib.contract.units import BEFORE_TIME
from segment5b_lib.errors import InputError
from segment5b_lib.kernel import arrival_check as check
from segment5b_lib.kernel.alias import build_alias_slices, picking
from segment5b_lib.kernel.arrival_tables import (
    HYBRID,
    LANE_BLOCKS,
    NO_ZONE,
    PHYSICAL,
    VIRTUAL,
    ZONE_DRAWN,
    Counts,
    Edges,
    Grid,
    Merchants,
    Pools,
    SeriesTable,
    Sites,
    Tables,
    ZoneDraws,
    new_rows,
    new_scratch,
    new_tallies,
)
from segment5b_lib.kernel.expand import expand
from segment5b_lib.kernel.offsets import offset_table
from segment5b_lib.kernel.routing import NO_SITE
from tests.reference.randomness import philox2x64, uniform

HOUR_US = 3600 * 10**6
START = 1_767_225_600
BUCKETS = 4


def i32(*values):
    return np.array(values, np.int32)


def i64(*values):
    return np.array(values, np.int64)


def u64(*values):
    return np.array(values, np.uint64)


def drawing(weights, starts, values):
    return picking(*build_alias_slices(weights, starts), starts, values)


def tables(width_us=HOUR_US):
    """Zones 0 to 2 at UTC, +1 h (+2 h half an hour into bucket 1) and −5 h; zone 3 has no site of merchant 1."""
    weights, starts = np.array([1.0, 3.0, 1.0, 1.0, 1.0]), i64(0, 2, 3, 4, 5)
    pool_tables = drawing(weights, starts, i32(0, 1, 2, 3, 4))
    zone_tables = drawing(np.array([1.0, 1.0]), i64(0, 2), i32(2, 4))
    edge_tables = drawing(np.array([1.0, 1.0, 2.0, 1.0]), i64(0, 2, 4), i32(0, 1, 2, 3))
    offsets = offset_table(
        i64(0, 1, 3, 4, 5),
        i64(BEFORE_TIME, BEFORE_TIME, START + 3600 + 1800, BEFORE_TIME, BEFORE_TIME),
        i32(0, 60, 120, -300, 0),
        horizon_start=START,
        bucket_seconds=3600,
        buckets=BUCKETS,
    )
    return Tables(
        grid=Grid(START * 10**6, width_us),
        merchants=Merchants(
            u64(10, 20, 30, 40),
            i64(0, 2, 3, 4, 5),
            np.array([PHYSICAL, PHYSICAL, HYBRID, VIRTUAL], np.uint8),
            i32(NO_ZONE, NO_ZONE, 2, 0),
        ),
        series=SeriesTable(
            country=i32(0, 0, 1, 1, 0),
            zone=i32(0, 1, 2, 2, 0),
            channel=i32(0, 0, 0, 0, 0),
            pool=i32(0, 1, ZONE_DRAWN, 3, ZONE_DRAWN),
            time_key=u64(1, 2, 3, 4, 5),
            pick_key=u64(11, 12, 13, 14, 15),
            edge_key=u64(21, 22, 23, 24, 25),
        ),
        sites=Sites(u64(100, 101, 102, 103, 104), i32(0, 0, 0, 1, 2), i32(0, 0, 0, 1, 1), i32(0, 0, 1, 2, 2)),
        pools=Pools(
            start=i64(0, 2, 3, 4, 3),
            size=i32(2, 1, 1, 1, 1),
            zone=i32(0, 1, 2, 2, 3),
            unroutable=np.array([False, False, False, False, True]),
            share=pool_tables[0],
            choice=pool_tables[1],
        ),
        zones=ZoneDraws(np.zeros((4, 1), np.int64), np.full((4, 1), 2, np.int32), *zone_tables),
        edges=Edges(i64(0, 0, 0, 2), i32(0, 0, 2, 2), u64(900, 901, 902, 903), i32(1, 2, 0, 1), *edge_tables),
        offsets=offsets,
        day=np.zeros(BUCKETS, np.int32),
        p_virtual=0.35,
    )


def counted(n=40):
    series = np.arange(5 * BUCKETS, dtype=np.int32).reshape(5, BUCKETS) % 3 * n
    cell = np.add.reduceat(series, [0, 2, 3, 4], axis=0, dtype=np.int32)
    return Counts(series, cell, np.cumsum(cell, axis=1, dtype=np.int64) - cell + 1)


def expanded(t=None, counts=None, cells=(0, 4 * BUCKETS)):
    t, counts = t or tables(), counts or counted()
    rows, tallies = new_rows(int(counts.cell.sum())), new_tallies(0, 5, 0, BUCKETS, 4)
    n = expand(*cells, counts, t, tallies, new_scratch(int(counts.cell.max())), rows)
    return t, counts, tallies, rows, n


def found(t, counts, rows, cells=(0, 4 * BUCKETS)):
    sums = check.new_sums(4)
    return check.Finding(*check.check_rows(*cells, counts, t, rows, np.zeros(2, np.int32), sums)), sums


@pytest.mark.parametrize("largest", [40, LANE_BLOCKS, 2 * LANE_BLOCKS + 1])
def test_offsets_are_those_of_the_blocks(largest):
    """Also where a series has more draws in a bucket than are made at a time."""
    t, counts, _, rows, n = expanded(counts=counted(largest))
    assert n == counts.cell.sum()
    for s in range(5):
        for b in range(BUCKETS):
            mine = (rows.series == s) & (rows.bucket == b)
            blocks = (philox2x64(j, b, s + 1)[0] for j in range(counts.series[s, b]))
            offsets = sorted(int(uniform(word) * HOUR_US) for word in blocks)
            assert (rows.ts[mine] - t.grid.start_us - b * HOUR_US).tolist() == offsets


def test_equal_timestamps_are_ordered_by_series_then_draw():
    """Buckets of three microseconds, so that most arrivals of a merchant share one."""
    t, counts, _, rows, _ = expanded(tables(width_us=3))
    mine = (rows.merchant_id == 10) & (rows.bucket == 1)
    order = list(zip(rows.ts[mine].tolist(), rows.series[mine].tolist(), strict=True))
    assert order == sorted(order)
    assert len(set(rows.ts[mine].tolist())) == 3 < len(set(order)) < len(order)
    drawn = [
        (t.grid.start_us + 3 + int(uniform(philox2x64(j, 1, s + 1)[0]) * 3), s, j)
        for s in (0, 1)
        for j in range(counts.series[s, 1])
    ]
    site = {}
    for s in (0, 1):
        for j in range(counts.series[s, 1]):
            u = uniform(philox2x64(j, 1, s + 11)[1])
            site[s, j] = 2 if s == 1 else (0 if u * 2 < 0.5 else 1)
    assert rows.place[mine].tolist() == [site[s, j] for _, s, j in sorted(drawn)]


def test_local_times_change_at_the_transition_within_a_bucket():
    _, _, _, rows, _ = expanded()
    for row in np.flatnonzero(rows.primary == 1):
        after = rows.ts[row] >= (START + 5400) * 10**6
        assert rows.local_primary[row] - rows.ts[row] == (2 if after else 1) * HOUR_US
    shifted = rows.primary == 1
    assert {1, 2} == set(((rows.local_primary - rows.ts)[shifted & (rows.bucket == 1)] // HOUR_US).tolist())


def test_sequence_numbers_and_tallies_are_those_of_the_rows():
    _, counts, tallies, rows, _ = expanded()
    for merchant in (10, 20, 30, 40):
        mine = rows.merchant_id == merchant
        assert rows.seq[mine].tolist() == list(range(1, mine.sum() + 1))
    for s in range(5):
        for b in range(BUCKETS):
            mine = (rows.series == s) & (rows.bucket == b)
            assert mine.sum() == counts.series[s, b]
            assert tallies.virtual[s, b] == rows.virtual[mine].sum()
            assert tallies.first_seq[s, b] == (rows.seq[mine].min() if mine.any() else 0)


def test_unroutable_arrivals_are_counted_by_series_and_zone():
    t, counts, tallies, _, _ = expanded()
    drawn = (uniform(philox2x64(j, b, 13)[0]) for b in range(BUCKETS) for j in range(counts.series[2, b]))
    assert tallies.unroutable[2, 3] == sum(u >= 0.5 for u in drawn) > 0
    assert tallies.unroutable.sum() == tallies.unroutable[2, 3]
    empty = t._replace(pools=t.pools._replace(size=i32(2, 1, 1, 1, 0)))
    assert expanded(empty)[4] == NO_SITE


def test_any_range_of_cells_gives_the_same_rows():
    t, counts, _, whole, n = expanded()
    at = 0
    for cell in range(4 * BUCKETS):
        _, _, _, rows, size = expanded(t, counts, (cell, cell + 1))
        for name in ("series", "place", "seq", "ts", "primary", "local_primary", "virtual", "place_id"):
            assert (getattr(rows, name)[:size] == getattr(whole, name)[at : at + size]).all()
        at += size
    assert at == n


@pytest.mark.parametrize("short", ["rows", "scratch", "bucket"])
def test_cells_that_do_not_fit_are_refused(short):
    t, counts = tables(width_us=1 << 41) if short == "bucket" else tables(), counted()
    rows = new_rows(int(counts.cell.sum()) - (short == "rows"))
    scratch = new_scratch(int(counts.cell.max()) - (short == "scratch"))
    with pytest.raises(InputError, match=r"5B\.KERNEL\.EXPAND_CAPACITY"):
        expand(0, 4 * BUCKETS, counts, t, new_tallies(0, 5, 0, BUCKETS, 4), scratch, rows)


def test_a_cell_too_large_to_order_is_refused():
    with pytest.raises(InputError, match=r"5B\.KERNEL\.CELL_TOO_LARGE"):
        new_scratch(1 << 24)


def test_sound_rows_keep_every_rule_and_add_up():
    t, counts, _, rows, n = expanded(good_tables())
    finding, sums = found(t, counts, rows)
    assert finding == check.Finding(check.KEPT, n, 4 * BUCKETS)
    assert sums.of_zone.tolist() == np.bincount(rows.primary, minlength=4).tolist()
    assert sums.total.tolist() == [
        n,
        rows.virtual.sum(),
        rows.ts.min(),
        rows.ts.max(),
        rows.seq.sum(),
        ((rows.local_primary - rows.ts) // (60 * 10**6)).sum(),
        rows.place_id.sum(),
    ]


def good_tables():
    """Without the pool that leads merchant 1 to a site of merchant 2."""
    t = tables()
    return t._replace(zones=t.zones._replace(choice=i32(2, 2, 2, 2)))


def physical_row(rows, _):
    return int(np.flatnonzero(rows.merchant_id == 10)[5])


def virtual_row(rows, _):
    return int(np.flatnonzero(rows.merchant_id == 40)[5])


def hybrid_edge_row(rows, _):
    return int(np.flatnonzero((rows.merchant_id == 30) & (rows.virtual == 1))[0])


BREAKS = {
    "another merchant": (check.KEY, physical_row, "merchant_id", lambda v: v + np.uint64(1)),
    "another bucket": (check.KEY, physical_row, "bucket", lambda v: v + 1),
    "another country": (check.KEY, physical_row, "country", lambda v: v + 1),
    "another zone": (check.KEY, physical_row, "zone", lambda v: v + 1),
    "another channel": (check.KEY, physical_row, "channel", lambda v: v + 1),
    "another merchant's series": (check.KEY, physical_row, "series", lambda v: 4),
    "before its bucket": (check.IN_BUCKET, physical_row, "ts", lambda v: v - HOUR_US),
    "after its bucket": (check.IN_BUCKET, physical_row, "ts", lambda v: v + HOUR_US),
    "before the row above": (check.ORDER, physical_row, "ts", lambda v: v // HOUR_US * HOUR_US),
    "a gap in the numbers": (check.ORDER, physical_row, "seq", lambda v: v + 1),
    "flagged virtual": (check.MODE, physical_row, "virtual", lambda v: 1),
    "flagged physical": (check.MODE, virtual_row, "virtual", lambda v: 0),
    "an edge of a physical merchant": (check.MODE, physical_row, "place", lambda v: ~0),
    "a site of a virtual merchant": (check.MODE, virtual_row, "place", lambda v: 0),
    "another merchant's site": (check.PLACE, physical_row, "place", lambda v: 3),
    "no site": (check.PLACE, physical_row, "place", lambda v: 99),
    "another site's id": (check.PLACE, physical_row, "place_id", lambda v: v + np.uint64(1)),
    "another merchant's edge": (check.PLACE, hybrid_edge_row, "place", lambda v: ~2),
    "another edge's id": (check.PLACE, virtual_row, "place_id", lambda v: v + np.uint64(9)),
    "another primary zone": (check.ZONE, physical_row, "primary", lambda v: 3),
    "another edge zone": (check.ZONE, virtual_row, "primary", lambda v: 3),
    "another settlement": (check.SETTLEMENT, virtual_row, "settlement", lambda v: 1),
    "a second off": (check.CIVIL_TIME, physical_row, "local_primary", lambda v: v + 10**6),
    "a day off": (check.CIVIL_TIME, physical_row, "local_primary", lambda v: v + 24 * HOUR_US),
    "settlement a second off": (check.CIVIL_TIME, virtual_row, "local_settlement", lambda v: v + 10**6),
    "the merchant's other series": (check.COUNT, physical_row, None, None),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_each_rule_finds_the_row_that_breaks_it(broken):
    rule, pick_row, column, change = BREAKS[broken]
    t, counts, _, rows, _ = expanded(good_tables())
    row = pick_row(rows, counts)
    if column is None:
        t = t._replace(series=t.series._replace(zone=i32(0, 0, 2, 2, 0), pool=i32(0, 0, ZONE_DRAWN, 3, ZONE_DRAWN)))
        t, counts, _, rows, _ = expanded(t._replace(zones=good_tables().zones))
        row = pick_row(rows, counts)
        rows.series[row] ^= 1
    else:
        getattr(rows, column)[row] = change(getattr(rows, column)[row])
    finding, _ = found(t, counts, rows)
    assert finding.rule == rule
    assert finding.row == row or rule == check.COUNT


def test_the_bound_zone_is_checked_unless_the_pool_is_unroutable():
    t, counts, _, rows, n = expanded(good_tables())
    moved = t._replace(sites=t.sites._replace(zone=i32(0, 3, 1, 2, 2)))
    rows.primary[:] = np.where(rows.place == 1, 3, rows.primary)
    assert found(moved, counts, rows)[0].rule == check.ZONE
    unroutable = moved._replace(pools=moved.pools._replace(unroutable=np.array([True, False, False, False, True])))
    assert found(unroutable, counts, rows)[0] == check.Finding(check.KEPT, n, 4 * BUCKETS)


def test_every_rule_is_broken_by_some_test():
    assert {rule for rule, *_ in BREAKS.values()} == set(range(1, len(check.ROW_RULES)))
