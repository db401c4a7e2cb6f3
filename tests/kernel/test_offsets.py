import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from segment5b_lib.civil_time.cache import compile_zones
from segment5b_lib.errors import InputError
from segment5b_lib.kernel.offsets import FIRST_RUN, offset_at, offset_table

START, HOUR = 1_767_225_600, 3600  # 2026-01-01T00:00:00Z
BUCKETS = 24
MIN = np.iinfo(np.int64).min
SECOND_US = 1_000_000


def searched(seconds, minutes, utc_us):
    """The law: last entry ≤ floor(second)."""
    return minutes[np.searchsorted(seconds, np.floor_divide(utc_us, SECOND_US), side="right") - 1]


@njit
def looked_up(table, zone, start, bucket_us, instants, out):
    for i in range(instants.size):
        out[i] = offset_at(table, zone, (instants[i] - start * 1_000_000) // bucket_us, instants[i])


def around(seconds, begin, end):
    """Instants just before, at and just after each second, inside [begin, end)."""
    near = np.concatenate([np.asarray(seconds) * SECOND_US + us for us in (-SECOND_US, -1, 0, 1, SECOND_US)])
    return near[(near >= begin * SECOND_US) & (near < end * SECOND_US)]


def check(starts, seconds, minutes, begin, width, buckets):
    table = offset_table(starts, seconds, minutes, horizon_start=begin, bucket_seconds=width, buckets=buckets)
    end = begin + width * buckets
    for zone in range(starts.size - 1):
        rows = slice(starts[zone], starts[zone + 1])
        marks = np.concatenate([seconds[rows][1:], begin + width * np.arange(buckets + 1)])
        instants = around(marks, begin, end)
        out = np.empty(instants.size, np.int64)
        looked_up(table, zone, begin, width * SECOND_US, instants, out)
        assert (out == searched(seconds[rows], minutes[rows], instants)).all()
    return table


def flat(zones):
    """Flat arrays of zones given as lists of (second, minutes)."""
    entries = [entry for zone in zones for entry in zone]
    starts = np.cumsum([0, *map(len, zones)])
    return (
        starts,
        np.array([second for second, _ in entries], dtype=np.int64),
        np.array([m for _, m in entries], dtype=np.int32),
    )


MINUTES = st.integers(-1440, 1440)
INSTANT = st.one_of(
    st.integers(START - HOUR, START + (BUCKETS + 1) * HOUR),
    st.integers(-1, BUCKETS + 1).map(lambda b: START + b * HOUR),
)
ZONE = st.tuples(MINUTES, st.dictionaries(INSTANT, MINUTES, max_size=8)).map(
    lambda z: [(MIN, z[0]), *sorted(z[1].items())]
)


@given(st.lists(ZONE, min_size=1, max_size=4))
def test_equals_the_search_around_every_transition_and_bucket_edge(zones):
    check(*flat(zones), START, HOUR, BUCKETS)


@given(ZONE, st.integers(1, 5), st.integers(-(10**10) // 2, 10**10 // 2))
def test_any_bucket_width_and_horizon(zone, width, shift):
    shifted = [(second + shift if second > MIN else MIN, m) for second, m in zone]
    check(*flat([shifted]), START + shift, width * 1800, BUCKETS)


@pytest.mark.parametrize("last_year", [2025, 2028])
def test_real_zones_through_a_year(last_year):
    names = [
        "Europe/London",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Kolkata",
        "Etc/UTC",
    ]
    cache = compile_zones(names, last_year)
    check(cache.starts, cache.seconds, cache.offset_minutes, START, HOUR, 365 * 24)
    table = check(cache.starts, cache.seconds, cache.offset_minutes, START, 7 * HOUR, 1250)
    assert (table.at_start >= FIRST_RUN).any() == (last_year == 2028)


def test_transition_on_a_bucket_edge_needs_no_run():
    arrays = flat([[(MIN, 0), (START + 2 * HOUR, 60)]])
    table = offset_table(*arrays, horizon_start=START, bucket_seconds=HOUR, buckets=4)
    assert table.at_start.tolist() == [[0, 0, 60, 60]]
    assert table.run_from_us.size == table.run_minutes.size == 0


def test_two_transitions_in_one_bucket():
    arrays = flat([[(MIN, 0)], [(MIN, -30), (START + 10, 30), (START + 20, 90)]])
    table = offset_table(*arrays, horizon_start=START, bucket_seconds=HOUR, buckets=2)
    assert table.at_start.tolist() == [[0, 0], [FIRST_RUN, 90]]
    assert table.run_minutes.tolist()[:3] == [-30, 30, 90]
    found = [offset_at(table, 1, 0, (START + s) * SECOND_US) for s in (0, 9, 10, 19, 20, 3599)]
    assert found == [-30, -30, 30, 30, 90, 90]


GOOD_ARRAYS = flat([[(MIN, 0), (5, 60)], [(MIN, 120)]])
GOOD = dict(zip(("starts", "seconds", "offset_minutes"), GOOD_ARRAYS, strict=True)) | {
    "horizon_start": START,
    "bucket_seconds": HOUR,
    "buckets": 2,
}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("starts", np.array([0, 2, 3], np.int32), "5B.KERNEL.ARRAY"),
        ("starts", np.array([0, 2, 2, 3]), "5B.KERNEL.TRANSITIONS"),
        ("starts", np.array([0, 2]), "5B.KERNEL.TRANSITIONS"),
        ("starts", np.array([1, 3]), "5B.KERNEL.TRANSITIONS"),
        ("starts", np.array([0, 3]), "5B.KERNEL.TRANSITIONS"),
        ("starts", np.empty(0, np.int64), "5B.KERNEL.TRANSITIONS"),
        ("seconds", np.array([MIN, 5, 6]), "5B.KERNEL.TRANSITIONS"),
        ("seconds", np.array([0, 5, MIN]), "5B.KERNEL.TRANSITIONS"),
        ("seconds", np.array([MIN, MIN, MIN]), "5B.KERNEL.TRANSITIONS"),
        ("seconds", np.array([MIN, 5.0, MIN]), "5B.KERNEL.ARRAY"),
        ("offset_minutes", np.zeros(2, np.int32), "5B.KERNEL.ARRAY"),
        ("offset_minutes", np.array([0, 1441, 0], np.int32), "5B.KERNEL.RANGE"),
        ("horizon_start", 1 << 40, "5B.KERNEL.RANGE"),
        ("bucket_seconds", 0, "5B.KERNEL.RANGE"),
        ("buckets", 0, "5B.KERNEL.RANGE"),
    ],
)
def test_bad_input(name, value, code):
    with pytest.raises(InputError) as caught:
        offset_table(**{**GOOD, name: value})
    assert caught.value.code == code
