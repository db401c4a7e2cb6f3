"""Zones of the pinned wheel against zoneinfo, which shares no code with the parser."""

from __future__ import annotations

import struct
import zoneinfo
from datetime import UTC, datetime

import numpy as np
import pytest

from segment5b_lib.civil_time import oracle
from segment5b_lib.civil_time.posix_rule import parse_rule, transitions_of_year
from segment5b_lib.civil_time.tzif import (
    IANA_RELEASE,
    database_sha256,
    minute_steps,
    read_zone,
    year_start,
    zone_bytes,
    zone_names,
)
from segment5b_lib.civil_time.tzif_format import parse_tzif
from segment5b_lib.contract.units import BEFORE_TIME
from segment5b_lib.errors import InputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEK = 7 * 86_400


@pytest.fixture(scope="module")
def zones() -> list[str]:
    """Every zone of the wheel under one of its names; the aliases, four names in ten, have the same bytes."""
    return sorted({zone_bytes(name): name for name in zone_names()}.values())


@pytest.fixture(scope="module")
def pinned_zones(zones: list[str]) -> dict[str, zoneinfo.ZoneInfo]:
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[])
    try:
        return {name: zoneinfo.ZoneInfo.no_cache(name) for name in zones}
    finally:
        zoneinfo.reset_tzpath(to=before)


def true_offset(zone: zoneinfo.ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def test_database_is_the_pinned_release() -> None:
    assert IANA_RELEASE == "2026f"
    assert len(zone_names()) > 500
    assert list(zone_names()) == sorted(set(zone_names()))
    assert len(database_sha256()) == 64


def test_every_transition_of_every_zone_agrees_with_zoneinfo(
    pinned_zones: dict[str, zoneinfo.ZoneInfo],
) -> None:
    """At -1, 0 and +1 s of every transition 1970-2100, and weekly between them so that none is missing."""
    start, end = year_start(1970), year_start(2101)
    weekly = np.arange(start, end, WEEK)
    checked = 0
    for name, zone in pinned_zones.items():
        seconds, minutes = read_zone(name)
        own = seconds[(seconds > start) & (seconds < end)]
        around = np.concatenate([own - 1, own, own + 1])
        probe = np.unique(np.concatenate([around, weekly] if own.size or "/" in name else [weekly[::52]]))
        true = np.array([true_offset(zone, second) for second in probe.tolist()])
        ours = minutes[np.searchsorted(seconds, probe, side="right") - 1] * 60
        wrong = np.flatnonzero(np.abs(ours - true) > np.where(true % 60 == 0, 0, 30))
        assert wrong.size == 0, (name, probe[wrong[:3]], ours[wrong[:3]], true[wrong[:3]])
        checked += own.size
    assert checked > 25_000, checked


def test_oracle_finds_exactly_the_compiled_transitions(zones: list[str]) -> None:
    """Two independent ways to the same instants, every zone, 2024-2028."""
    start, end = year_start(2024), year_start(2029)
    for name in zones:
        seconds, minutes = read_zone(name)
        inside = (seconds > start) & (seconds < end)
        expected = oracle.expected_offsets(name, start, end)
        np.testing.assert_array_equal(expected.instants[1:], seconds[inside], err_msg=name)
        np.testing.assert_array_equal(expected.offset_seconds[1:], minutes[inside] * 60, err_msg=name)


def test_oracle_ignores_the_system_database_and_leaves_the_search_path_alone() -> None:
    before = zoneinfo.TZPATH
    offsets = oracle.expected_offsets("Europe/Berlin", year_start(2026), year_start(2027))
    assert before == zoneinfo.TZPATH
    assert offsets.instants.tolist()[1:] == [1_774_746_000, 1_792_890_000]
    np.testing.assert_array_equal(
        offsets.at(np.array([1_774_745_999, 1_774_746_000, 1_774_746_001])), [3600, 7200, 7200]
    )
    with pytest.raises(InputError, match="ZONE_UNKNOWN"):
        oracle.expected_offsets("Europe/Atlantis", 0, 10)


def test_read_zone_stops_at_the_year_and_refuses_unknown_names() -> None:
    seconds, minutes = read_zone("Europe/Berlin", 2025)
    assert seconds[0] == BEFORE_TIME
    assert seconds[-1] == int((datetime(2025, 10, 26, 1, tzinfo=UTC) - EPOCH).total_seconds())
    assert minutes[-1] == 60
    assert np.all(np.diff(minutes) != 0)
    for name in ("Europe/Atlantis", "../zones", "Europe/../UTC", ""):
        with pytest.raises(InputError, match="ZONE_UNKNOWN"):
            read_zone(name)


def test_minute_steps_round_and_keep_only_real_changes() -> None:
    steps = minute_steps(3208, np.array([0, 10, 20], np.int64), np.array([3180, 3600, 3600], np.int32))
    assert steps.utc_seconds.tolist() == [BEFORE_TIME, 10]
    assert steps.offset_minutes.tolist() == [53, 60]


@pytest.mark.parametrize(
    ("rule", "year", "expected"),
    [
        ("CET-1CEST,M3.5.0,M10.5.0/3", 2026, [(1_774_746_000, 7200), (1_792_890_000, 3600)]),
        ("EST5EDT,M3.2.0,M11.1.0", 2026, [(1_772_953_200, -14400), (1_793_512_800, -18000)]),
        ("IST-1GMT0,M10.5.0,M3.5.0/1", 2026, [(1_774_746_000, 3600), (1_792_890_000, 0)]),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2026, [(1_774_746_000, -3600), (1_792_890_000, -7200)]),
        ("AAA0BBB,J60,J61", 2024, [(1_709_258_400, 3600), (1_709_341_200, 0)]),
        ("AAA0BBB,59,60", 2024, [(1_709_172_000, 3600), (1_709_254_800, 0)]),
        ("<+0330>-3:30", 2026, []),
    ],
)
def test_posix_rules(rule: str, year: int, expected: list[tuple[int, int]]) -> None:
    assert transitions_of_year(parse_rule(rule, "test"), year) == expected


@pytest.mark.parametrize("text", ["", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M1.1.0", "C-1"])
def test_bad_posix_rules_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="POSIX_RULE"):
        parse_rule(text, "test")


def tzif(times: list[int], kinds: list[int], footer: bytes = b"UTC0") -> bytes:
    def header(counts: tuple[int, ...]) -> bytes:
        return struct.pack(">4sc15x6I", b"TZif", b"2", *counts)

    body = struct.pack(f">{len(times)}q", *times) + bytes(kinds) + struct.pack(">iBB", 0, 0, 0)
    return header((0,) * 6) + header((0, 0, 0, len(times), 1, 4)) + body + b"UTC\0\n" + footer + b"\n"


def test_hand_made_file_parses() -> None:
    data = parse_tzif(tzif([5, 9], [0, 0]), "test")
    assert (data.base_offset, data.seconds.tolist(), data.footer) == (0, [5, 9], "UTC0")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"NOPE" + tzif([], [])[4:], "TZIF_MAGIC"),
        (tzif([], []).replace(b"TZif2", b"TZif\0"), "TZIF_MAGIC"),
        (tzif([], [])[:20], "TZIF_TRUNCATED"),
        (tzif([5, 9], [0, 0])[:-12], "TZIF_TRUNCATED"),
        (tzif([9, 5], [0, 0]), "TZIF_NOT_INCREASING"),
        (tzif([5], [7]), "TZIF_TYPE_INDEX"),
        (tzif([5], [0], b"\xff\xfe"), "TZIF_FOOTER"),
    ],
)
def test_corrupt_files_are_refused(data: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_tzif(data, "zone Test/Zone")
    assert caught.value.code.endswith(code)
    assert caught.value.where == "zone Test/Zone"
