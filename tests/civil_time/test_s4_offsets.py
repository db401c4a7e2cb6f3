"""The offsets that S4 uses (cache, then table) against zoneinfo: every zone, around every change, 1970 to 2100."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pytest
from numba import njit

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.civil_time.oracle import offsets_of, pinned_zone
from segment5b_lib.civil_time.tzif import year_start, zone_names
from segment5b_lib.kernel.arrival_tables import Grid
from segment5b_lib.kernel.offsets import FIRST_RUN, OffsetTable, offset_at
from segment5b_lib.states.s4.civil_time import zone_offsets

START, END = year_start(1970), year_start(2101)
HOUR, US = 3600, 1_000_000
WITH_SECONDS = {"Africa/Monrovia": -(44 * 60 + 30)}
"""Zones whose offset is no whole minute somewhere in 1970-2100: Liberia until 7 January 1972."""
Ints = npt.NDArray[np.int64]


@njit
def look_up(table: OffsetTable, zone: int, start_us: int, bucket_us: int, instants: Ints, out: Ints) -> None:
    for i in range(instants.size):
        out[i] = offset_at(table, zone, (instants[i] - start_us) // bucket_us, instants[i])


def looked_up(zones: Sequence[str], seconds: Sequence[Ints], bucket_seconds: int) -> list[Ints]:
    """Offsets in minutes as S4 takes them: a cache through 2100, encoded and decoded, its zones as one table."""
    cache = tz_cache.decode(tz_cache.encode(tz_cache.compile_zones(zones, 2100)), "memory")
    grid, buckets = Grid(START * US, bucket_seconds * US), -((START - END) // bucket_seconds)
    table = zone_offsets(cache, tuple(zones), tuple(zones), grid, buckets)
    found = []
    for code, instants in enumerate(seconds):
        out = np.empty(instants.size, np.int64)
        look_up(table, code, grid.start_us, grid.bucket_us, instants * US, out)
        found.append(out)
    return found


def around_changes(tzid: str) -> Ints:
    """-1, 0 and +1 s of every change in 1970-2100, and both ends."""
    changes = tz_cache.compile_zones([tzid], 2100).seconds[1:]
    near = np.concatenate([changes - 1, changes, changes + 1, [START, END - 1]])
    return np.unique(near[(near >= START) & (near < END)])


def check(zones: Sequence[str], bucket_seconds: int) -> dict[str, int]:
    """Compare; the zones with an offset that is no whole minute, with that offset."""
    seconds = [around_changes(tzid) for tzid in zones]
    rounded: dict[str, int] = {}
    for tzid, instants, ours in zip(zones, seconds, looked_up(zones, seconds, bucket_seconds), strict=True):
        true = offsets_of(pinned_zone(tzid), instants)
        np.testing.assert_array_equal(ours, np.rint(true / 60), err_msg=tzid)
        if (uneven := true[true % 60 != 0]).size:
            rounded[tzid] = int(uneven[0])
    return rounded


def test_every_zone_around_every_change_in_weeks() -> None:
    """Wide buckets, so that most changes lie inside one and two may share one."""
    assert check(zone_names(), 7 * 24 * HOUR) == WITH_SECONDS


@pytest.mark.slow
def test_every_zone_around_every_change_in_hours() -> None:
    """S4's own grid, a few zones at a time: 1.1 million buckets each."""
    rounded: dict[str, int] = {}
    for first in range(0, len(zone_names()), 20):
        rounded |= check(zone_names()[first : first + 20], HOUR)
    assert rounded == WITH_SECONDS


def test_the_comparison_can_fail() -> None:
    """A cache that ends early, as the published one does, is found."""
    zones, seconds = ["Europe/Berlin"], [around_changes("Europe/Berlin")]
    true = offsets_of(pinned_zone("Europe/Berlin"), seconds[0])
    short = tz_cache.compile_zones(zones, 2025)
    table = zone_offsets(short, ("Europe/Berlin",), ("Europe/Berlin",), Grid(START * US, 7 * 24 * HOUR * US), 6836)
    out = np.empty(seconds[0].size, np.int64)
    look_up(table, 0, START * US, 7 * 24 * HOUR * US, seconds[0] * US, out)
    wrong = seconds[0][out * 60 != true]
    assert wrong.min() == datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()


def sunday(year: int, month: int, which: int) -> date:
    """The first (1) or last (-1) Sunday of a month, by the calendar."""
    days = [week[calendar.SUNDAY] for week in calendar.monthcalendar(year, month) if week[calendar.SUNDAY]]
    return date(year, month, days[0 if which == 1 else -1])


def at(day: date, hour: int, minute: int = 0, *, days: int = 0) -> int:
    instant = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC) + timedelta(days=days)
    return int(instant.timestamp())


def lord_howe(year: int) -> list[tuple[int, int]]:
    """Back by half an hour on April's first Sunday at 02:00 (+11), on by it on October's at 02:00 (+10:30)."""
    back, on = sunday(year, 4, 1), sunday(year, 10, 1)
    return [(at(back, 15, days=-1), 630), (at(on, 15, 30, days=-1), 660)]


def troll(year: int) -> list[tuple[int, int]]:
    """On by two hours on March's last Sunday at 01:00 UTC, back on October's."""
    return [(at(sunday(year, 3, -1), 1), 120), (at(sunday(year, 10, -1), 1), 0)]


@pytest.mark.parametrize("bucket_seconds", [HOUR, 24 * HOUR])
@pytest.mark.parametrize(("tzid", "law"), [("Australia/Lord_Howe", lord_howe), ("Antarctica/Troll", troll)])
def test_half_an_hour_and_two_hours_by_the_calendar_through_2100(tzid: str, law, bucket_seconds: int) -> None:
    changes = [change for year in range(2009, 2101) for change in law(year)]
    seconds = np.array([second for second, _ in changes])
    minutes = np.array([offset for _, offset in changes])
    at_change, before = (
        looked_up([tzid], [seconds], bucket_seconds)[0],
        looked_up([tzid], [seconds - 1], bucket_seconds)[0],
    )
    np.testing.assert_array_equal(at_change, minutes)
    np.testing.assert_array_equal(before[1:], minutes[:-1])
    assert set(np.abs(at_change - before)[1:].tolist()) == {30 if tzid == "Australia/Lord_Howe" else 120}
    np.testing.assert_array_equal(offsets_of(pinned_zone(tzid), seconds), minutes * 60)


def test_in_hours_half_an_hour_can_fall_inside_a_bucket() -> None:
    """15:30 UTC is inside an hourly bucket: the case that a table of one offset per bucket gets wrong."""
    table = zone_offsets(
        tz_cache.compile_zones(["Australia/Lord_Howe"], 2100), ("Australia/Lord_Howe",), ("Australia/Lord_Howe",),
        Grid(START * US, HOUR * US), (END - START) // HOUR,
    )  # fmt: skip
    (second, _) = lord_howe(2090)[1]
    assert table.at_start[0, (second - START) // HOUR] >= FIRST_RUN
