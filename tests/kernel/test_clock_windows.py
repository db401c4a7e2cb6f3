import numpy as np
import pytest

from segment5b_lib.errors import InputError
from segment5b_lib.kernel.sampling import ELSEWHERE, pick_in_windows, seeded_order, window_table, windows_of

HOUR = 3_600 * 10**6
START = 1_767_225_600 * 10**6
FIRST = np.array([0, 2, 2, 3, 5])
STARTS = START + np.array([10, 500, 40, 700, 710]) * HOUR
ENDS = START + np.array([58, 548, 88, 740, 720]) * HOUR
TABLE = window_table(FIRST, STARTS, ENDS)
NO_BOUND = np.full(5, np.iinfo(np.uint64).max)


def witness(ts, zone):
    """The last window of the row's zone that holds it, by comparing every row with every window."""
    owner = np.repeat(np.arange(4), np.diff(FIRST))
    inside = (owner == zone[:, None]) & (ts[:, None] >= STARTS) & (ts[:, None] < ENDS)
    return np.where(inside.any(axis=1), 4 - inside[:, ::-1].argmax(axis=1), ELSEWHERE)


@pytest.fixture
def rows():
    rng = np.random.default_rng(2)
    edges = np.concatenate([STARTS - 1, STARTS, STARTS + 1, ENDS - 1, ENDS, [0, START - 10**15, START + 10**15]])
    ts = np.concatenate([np.repeat(edges, 5), rng.integers(START, START + 800 * HOUR, 20_000)])
    zone = np.concatenate([np.tile(np.arange(-1, 4), edges.size), rng.integers(-1, 4, 20_000)]).astype(np.int32)
    return ts, zone


def test_windows_are_found_by_zone_and_half_open(rows):
    expected = witness(*rows)
    np.testing.assert_array_equal(windows_of(*rows, TABLE), expected)
    assert set(expected) == {ELSEWHERE, 0, 1, 2, 3, 4}


def test_every_row_of_a_window_is_counted_and_picked_where_nothing_bounds_it(rows):
    ts, zone = rows
    names = np.array([2, 0, -1, 3, 1], np.int32)
    index = np.argsort(names)[zone + 1].astype(np.int32)
    held, picked, windows = pick_in_windows(ts, index, names, TABLE, 7, 5, NO_BOUND)
    expected = witness(ts, zone)
    np.testing.assert_array_equal(picked, np.flatnonzero(expected != ELSEWHERE))
    np.testing.assert_array_equal(windows, expected[expected != ELSEWHERE])
    np.testing.assert_array_equal(held, np.bincount(windows, minlength=5))


def test_a_bound_keeps_what_comes_early_in_the_seeded_order(rows):
    ts, zone = rows
    order, expected = seeded_order(1_000 + np.arange(ts.size), 5), witness(ts, zone)
    bound = np.array([0, 1 << 62, 1 << 63, order[expected == 3].min(), np.iinfo(np.uint64).max], np.uint64)
    names = np.array([0, 1, 2, 3, -1], np.int32)
    held, picked, _ = pick_in_windows(ts, np.where(zone < 0, 4, zone).astype(np.int32), names, TABLE, 1_000, 5, bound)
    early = (expected != ELSEWHERE) & (order <= bound[expected])
    np.testing.assert_array_equal(picked, np.flatnonzero(early))
    assert np.bincount(expected[picked], minlength=5)[[0, 3]].tolist() == [0, 1]
    assert held.sum() == (expected != ELSEWHERE).sum() > picked.size


def test_without_windows_everything_is_elsewhere():
    none = np.empty(0, np.int64)
    table = window_table(np.zeros(3, np.int64), none, none)
    ts, zone = np.array([0, START, -START]), np.zeros(3, np.int32)
    assert windows_of(ts, zone, table).tolist() == [ELSEWHERE] * 3
    held, picked, _ = pick_in_windows(ts, zone, np.array([1], np.int32), table, 0, 5, np.empty(0, np.uint64))
    assert held.size == picked.size == 0


def test_arrays_of_another_type_are_refused(rows):
    ts, zone = rows
    for arguments in ((ts.astype(np.float64), zone), (ts, zone.astype(np.int64)), (ts[::2], zone[::2])):
        with pytest.raises(InputError):
            windows_of(*arguments, TABLE)
