"""Views of one zone against plain Python over every row: zoneinfo from the wheel, the cache unpacked by hand."""

from __future__ import annotations

import struct
from collections import Counter
from datetime import UTC, datetime

import polars as pl
import pytest

from segment5b_lib import views
from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.gates import t12_local_contract
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import gate
from segment5b_lib.store.runs import Run
from segment5b_lib.views.cache_what_if import cache_year
from tests.views.witness import DAY, HOUR, Seen, arrivals, changes, count, offset

SCENARIO = "baseline_v1"
QUARTER = 900
START, END = (int(datetime(2026, month, 1, tzinfo=UTC).timestamp()) for month in (1, 4))
ZONES = ("Africa/Casablanca", "America/New_York", "Europe/London", "Asia/Tokyo")


@pytest.fixture(scope="module")
def scorecard(published_run: Run) -> Scorecard:
    """With T12 alone: no other gate is asked here."""
    evidence = Evidence(published_run)
    result = gate("T12").judged(t12_local_contract.measure(evidence), evidence.policy, "T12")
    return Scorecard({}, (result,), (), evidence)


@pytest.fixture(scope="module")
def counts(scorecard: Scorecard) -> views.ClockCounts:
    return views.ClockCounts(scorecard.evidence)


@pytest.fixture(scope="module")
def rows(published_run: Run) -> list[Seen]:
    return arrivals(published_run.folder("arrival_events_5B", SCENARIO))


def cached_steps(run: Run) -> dict[str, list[tuple[int, int]]]:
    """Every zone's (second, offset in seconds) of the world's cache, from the bytes."""
    (path,) = run.world.files("tz_timetable_cache")
    data, at, found = path.read_bytes(), 10, {}
    (zones,) = struct.unpack_from("<I", data, 6)
    for _ in range(zones):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        (steps,) = struct.unpack_from("<I", data, at)
        own = [struct.unpack_from("<qi", data, at + 4 + 12 * step) for step in range(steps)]
        found[name] = [(second, 60 * minutes) for second, minutes in own]
        at += 4 + 12 * steps
    return found


def cached(steps: list[tuple[int, int]], second: int) -> int:
    return [value for begins, value in steps if begins <= second][-1]


def test_zones_are_counted_and_the_worst_comes_first(counts: views.ClockCounts, rows: list[Seen]) -> None:
    found = counts.zones()
    wrong = count([row for row in rows if row.error], lambda row: row.tzid)
    assert dict(found.select("tzid", "arrivals").rows()) == count(rows, lambda row: row.tzid)
    assert {tzid: n for tzid, n in found.select("tzid", "mismatches").rows() if n} == wrong
    assert found["mismatches"].is_sorted(descending=True)
    for tzid, first in found.select("tzid", "first_wrong").rows():
        seen = min((row.second for row in rows if row.tzid == tzid and row.error), default=None)
        assert (first is None) == (seen is None)
        assert seen is None or first <= seen < first + HOUR


@pytest.mark.parametrize("tzid", ZONES)
def test_offsets_and_hours_of_one_zone_and_day(counts: views.ClockCounts, rows: list[Seen], tzid: str) -> None:
    for day in (START, START + 66 * DAY, START + 87 * DAY):
        own = [row for row in rows if row.tzid == tzid and day <= row.second < day + DAY]
        found = counts.offset_distribution(tzid, day, day + DAY)
        assert dict(found.select("offset_seconds", "arrivals").rows()) == count(own, lambda row: row.error)
        profile = counts.hour_profile(tzid, day, day + DAY)
        for kind, virtual in (("physical", False), ("virtual", True)):
            kept = [row for row in own if row.is_virtual is virtual]
            for basis, hours in (
                ("stored", Counter(row.stored % DAY // HOUR for row in kept)),
                ("expected", Counter(row.expected % DAY // HOUR for row in kept)),
            ):
                shown = profile.filter(kind=kind, basis=basis)
                assert {h: n for h, n in shown.select("hour", "arrivals").rows() if n} == hours
                assert shown.height == (24 if kept else 0)
                assert sum(shown["share"]) == pytest.approx(1 if kept else 0)


@pytest.mark.parametrize("tzid", ["Africa/Casablanca", "America/New_York", "Europe/London"])
def test_days_since_a_change(counts: views.ClockCounts, rows: list[Seen], tzid: str) -> None:
    for transition, _ in changes(tzid, START, END):
        own = [row for row in rows if row.tzid == tzid]
        every = count(own, lambda row, at=transition: (row.second - at) // DAY)  # type: ignore[misc]
        wrong = count([row for row in own if row.error], lambda row, at=transition: (row.second - at) // DAY)  # type: ignore[misc]
        found = counts.days_since(tzid, transition)
        assert dict(found.select("day", "arrivals").rows()) == every
        assert {day: n for day, n in found.select("day", "mismatches").rows() if n} == wrong
        assert found["day"].is_sorted() and found["rate"].is_between(0, 1).all()


def test_rows_before_the_first_wrong_one(counts: views.ClockCounts, rows: list[Seen]) -> None:
    day = START + 66 * DAY
    own = [row for row in rows if row.tzid == "America/New_York" and day <= row.second < day + DAY]
    first = min(row.second for row in own if row.error)
    before = sum(row.second < first // 900 * 900 for row in own)
    assert counts.before_first_wrong("America/New_York", day, day + DAY) == before
    assert counts.before_first_wrong("Asia/Tokyo", day, day + DAY) == 0


@pytest.mark.parametrize("tzid", ZONES)
def test_the_timeline_steps_where_the_clocks_do(counts: views.ClockCounts, published_run: Run, tzid: str) -> None:
    steps = cached_steps(published_run)[tzid]
    frame = views.offset_timeline(counts.evidence, tzid)
    for clock, at in (
        ("true", lambda second: offset(tzid, second // 60)),
        ("cached", lambda second: cached(steps, second)),
    ):
        shown = frame.filter(clock=clock)
        moments = [int(datetime.fromisoformat(text).timestamp()) for text in shown["time"]]
        assert (moments[0], moments[-1]) == (START, END) and moments == sorted(moments)
        for second in range(START, END, HOUR):
            value = [hours for moment, hours in zip(moments, shown["offset_hours"], strict=True) if moment <= second][
                -1
            ]
            assert value * HOUR == at(second)


@pytest.mark.parametrize("tzid", ZONES)
def test_cache_and_writer_are_told_apart(
    counts: views.ClockCounts, scorecard: Scorecard, published_run: Run, rows: list[Seen], tzid: str
) -> None:
    steps = cached_steps(published_run)[tzid]
    own = [row for row in rows if row.tzid == tzid]
    in_cache = sum(cached(steps, row.second) != row.expected - row.second for row in own)
    by_writer = sum(row.stored != row.second + cached(steps, row.second) for row in own)
    found = {row["owner"]: row for row in views.wrong_clock_owners(counts, scorecard, tzid).to_dicts()}
    assert (found["cache"]["arrivals"], found["writer"]["arrivals"]) == (in_cache, by_writer)
    assert by_writer == 0 and (in_cache > 0) == any(row.error for row in own)
    assert (found["reader"]["share"], found["reader"]["finding"]) == (1.0, "wrong")


def test_a_writer_that_does_not_follow_the_cache_owns_it(
    scorecard: Scorecard, published_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache of the evidence is made right: what is still wrong is then the writer's."""
    evidence = Evidence(published_run)
    evidence.__dict__ |= {
        "cache": tz_cache.compile_zones(evidence.active_zones, 2028),
        "tallies": scorecard.evidence.tallies,
    }
    counts = views.ClockCounts(evidence)
    found = views.wrong_clock_owners(counts, scorecard, "Europe/London")
    wrong = counts.zones().filter(tzid="Europe/London")["mismatches"][0]
    assert dict(found.select("owner", "arrivals").rows()) == {"cache": 0, "writer": wrong, "reader": None}


def test_t1_under_another_cache_is_counted_row_by_row(
    counts: views.ClockCounts, published_run: Run, rows: list[Seen]
) -> None:
    steps = cached_steps(published_run)
    frame = views.t1_by_cache_year(counts)
    quarters = Counter((row.tzid, row.second // QUARTER * QUARTER) for row in rows)  # no clock changes within one
    assert cache_year(counts.evidence) == 2025
    assert frame.filter("own")["year"].to_list() == [2025]
    for row in frame.filter(pl.col("year").is_in([2020, 2024, 2025, 2026, 2028])).to_dicts():
        last = int(datetime(row["year"] + 1, 1, 1, tzinfo=UTC).timestamp())
        wrong = sum(
            n for (tzid, at), n in quarters.items() if offset(tzid, at // 60) != truncated(steps, tzid, at, last)
        )
        assert (row["mismatches"], row["arrivals"]) == (wrong, len(rows)), row["year"]
        assert row["t1"] == pytest.approx(wrong / len(rows))
    assert frame.filter(pl.col("year") >= 2026)["mismatches"].sum() == 0 < frame["mismatches"][0]


def truncated(steps: dict[str, list[tuple[int, int]]], tzid: str, second: int, last: int) -> int:
    """The offset that a cache shows which knows no change from `last` on."""
    if last <= START:
        return cached([step for step in steps[tzid] if step[0] < last], second)
    return offset(tzid, min(second, last - 1) // 60)


def test_what_differs_is_named_and_nothing_else(published_run: Run, civil_time_run: Run) -> None:
    found = views.policy_differences([published_run, civil_time_run])
    before, after = (run.policies.document("placement") for run in (published_run, civil_time_run))
    row = found.filter(key="placement.local_time_encoding").row(0)
    assert row == (
        "placement.local_time_encoding",
        f'"{before["local_time_encoding"]}"',
        f'"{after["local_time_encoding"]}"',
    )
    assert (found[:, 1] != found[:, 2]).all() and not found["key"].str.starts_with("rng.").any()
    assert views.policy_differences([published_run, published_run]).is_empty()
    worlds = views.world_differences([published_run, civil_time_run])
    assert worlds["about"].to_list() == ["world", "reopened segments"]
    assert worlds.row(1)[1] == "none" and "2A: last_transition_year=2028 (test)" in worlds.row(1)[2]
