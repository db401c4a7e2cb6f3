"""The TZC1 cache: bytes, corrupt bytes, the last-year knob, coverage."""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime

import numpy as np
import pytest

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.civil_time import oracle
from segment5b_lib.civil_time.horizon import shortfalls
from segment5b_lib.civil_time.tzif import read_zone, year_start
from segment5b_lib.contract.units import BEFORE_TIME
from segment5b_lib.errors import InputError

MARGIN = 35 * 86_400
START, END = 1_767_225_600, 1_775_001_600  # 2026-01-01, 2026-04-01


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def zone_entry(name: bytes, steps: list[tuple[int, int]]) -> bytes:
    entries = b"".join(struct.pack("<qi", *step) for step in steps)
    return struct.pack("<H", len(name)) + name + struct.pack("<I", len(steps)) + entries


def cache_bytes(*zones: bytes, magic: bytes = b"TZC1", version: int = 1, count: int | None = None) -> bytes:
    return magic + struct.pack("<HI", version, len(zones) if count is None else count) + b"".join(zones)


UTC_ZONE = zone_entry(b"Etc/UTC", [(BEFORE_TIME, 0)])


def test_known_answer_byte_for_byte() -> None:
    """Etc/UTC and Asia/Tokyo through 2025, written by hand from the database's published history."""
    tokyo = [(BEFORE_TIME, 559), (-2587712400, 540)]
    tokyo += [(second(a), m) for a, m in [
        ("1948-05-01T15:00:00", 600), ("1948-09-11T15:00:00", 540),
        ("1949-04-02T15:00:00", 600), ("1949-09-10T15:00:00", 540),
        ("1950-05-06T15:00:00", 600), ("1950-09-09T15:00:00", 540),
        ("1951-05-05T15:00:00", 600), ("1951-09-08T15:00:00", 540),
    ]]  # fmt: skip
    expected = cache_bytes(zone_entry(b"Asia/Tokyo", tokyo), UTC_ZONE)
    assert tz_cache.encode(tz_cache.compile_zones(["Etc/UTC", "Asia/Tokyo", "Etc/UTC"], 2025)) == expected


def test_round_trip_and_lookup_by_name() -> None:
    built = tz_cache.compile_zones(["Europe/Berlin", "America/New_York"], 2028)
    encoded = tz_cache.encode(built)
    decoded = tz_cache.decode(encoded, "memory")
    assert tz_cache.encode(decoded) == encoded
    assert decoded.names == ("America/New_York", "Europe/Berlin")
    berlin = decoded.zone("Europe/Berlin")
    assert berlin is not None
    np.testing.assert_array_equal(berlin.utc_seconds, read_zone("Europe/Berlin", 2028).utc_seconds)
    assert decoded.zone("Europe/Paris") is None


def test_last_transition_year_drops_later_transitions() -> None:
    berlin = tz_cache.compile_zones(["Europe/Berlin"], 2025)
    assert berlin.seconds[-1] == second("2025-10-26T01:00:00")
    assert tz_cache.compile_zones(["Europe/Berlin"], 2028).seconds[-1] == second("2028-10-29T01:00:00")


def test_sidecar_declares_release_digest_and_horizon() -> None:
    encoded = tz_cache.encode(tz_cache.compile_zones(["Etc/UTC"], 2025))
    fields = tz_cache.sidecar(
        encoded, manifest_fingerprint="a" * 64, created_utc="2026-01-01T00:00:00Z", last_transition_year=2025
    )
    assert fields["transitions_through_utc"] == "2026-01-01T00:00:00Z"
    assert fields["tz_index_digest"] == hashlib.sha256(encoded).hexdigest()
    assert fields["tzdb_release_tag"] == "2026f"
    assert fields["rle_cache_bytes"] == len(encoded)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "TRUNCATED"),
        (b"TZC1\x01\x00", "TRUNCATED"),
        (cache_bytes(UTC_ZONE, magic=b"TZC2"), "MAGIC"),
        (cache_bytes(UTC_ZONE, version=2), "VERSION"),
        (cache_bytes(UTC_ZONE)[:-1], "TRUNCATED"),
        (cache_bytes(UTC_ZONE, count=2), "TRUNCATED"),
        (cache_bytes(struct.pack("<H", 1) + b"A" + struct.pack("<I", 2**32 - 1)), "TRUNCATED"),
        (cache_bytes(UTC_ZONE) + b"\0", "TRAILING"),
        (cache_bytes(UTC_ZONE, zone_entry(b"Asia/Tokyo", [(BEFORE_TIME, 0)])), "NAMES"),
        (cache_bytes(UTC_ZONE, UTC_ZONE), "NAMES"),
        (cache_bytes(zone_entry(b"\xc3\xa9", [(BEFORE_TIME, 0)])), "NAMES"),
        (cache_bytes(zone_entry(b"", [(BEFORE_TIME, 0)])), "NAMES"),
        (cache_bytes(zone_entry(b"A", [])), "BASE_OFFSET"),
        (cache_bytes(zone_entry(b"A", [(0, 0)])), "BASE_OFFSET"),
        (cache_bytes(zone_entry(b"A", [(BEFORE_TIME, 0), (9, 60), (9, 0)])), "NOT_INCREASING"),
        (cache_bytes(zone_entry(b"A", [(BEFORE_TIME, 0), (9, 60), (5, 0)])), "NOT_INCREASING"),
        (cache_bytes(zone_entry(b"A", [(BEFORE_TIME, 0), (9, 0)])), "NO_CHANGE"),
    ],
)
def test_corrupt_caches_are_refused(data: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        tz_cache.decode(data, "tz_cache_v1.bin")
    assert caught.value.code == f"5B.CIVIL_TIME.CACHE_{code}"
    assert "tz_cache_v1.bin" in caught.value.where


ZONES = ["Europe/Berlin", "Asia/Tokyo", "Antarctica/Troll", "Australia/Lord_Howe", "Africa/Casablanca"]


def test_a_cache_that_ends_in_2025_lists_the_first_missing_transition() -> None:
    short = {s.tzid: s for s in shortfalls(tz_cache.compile_zones(ZONES, 2025), ZONES, START, END, margin=MARGIN)}
    assert sorted(short) == ["Africa/Casablanca", "Antarctica/Troll", "Australia/Lord_Howe", "Europe/Berlin"]
    berlin = short["Europe/Berlin"]
    assert berlin.utc_second == second("2026-03-29T01:00:00")
    assert (berlin.expected_minutes, berlin.cached_minutes) == (120, 60)
    assert short["Antarctica/Troll"].expected_minutes == 120
    assert short["Australia/Lord_Howe"].utc_second == second("2026-04-04T15:00:00")
    assert short["Australia/Lord_Howe"].utc_second >= END


def test_margin_is_what_sees_lord_howe() -> None:
    cache = tz_cache.compile_zones(ZONES, 2025)
    assert "Australia/Lord_Howe" not in {s.tzid for s in shortfalls(cache, ZONES, START, END, margin=0)}
    assert "Australia/Lord_Howe" in {s.tzid for s in shortfalls(cache, ZONES, START, END, margin=MARGIN)}


def test_coverage_sees_missing_zones_and_wrong_offsets() -> None:
    built = tz_cache.compile_zones(["Europe/Berlin", "Asia/Tokyo"], 2028)
    assert shortfalls(built, built.names, START, END, margin=MARGIN) == []
    missing = shortfalls(built, ["Asia/Seoul"], START, END, margin=MARGIN)
    assert [(s.tzid, s.utc_second, s.cached_minutes) for s in missing] == [("Asia/Seoul", START, None)]
    shifted = tz_cache.TzCache(built.names, built.starts, built.seconds, built.offset_minutes + 30)
    assert {s.utc_second for s in shortfalls(shifted, built.names, START, END, margin=MARGIN)} == {START}


def test_coverage_against_the_oracle_equals_coverage_against_the_database() -> None:
    def true_offsets(tzid: str) -> tuple[np.ndarray, np.ndarray]:
        expected = oracle.expected_offsets(tzid, START, END + MARGIN)
        return expected.instants, (expected.offset_seconds // 60).astype(np.int32)

    cache = tz_cache.compile_zones(ZONES, 2025)
    assert shortfalls(cache, ZONES, START, END, margin=MARGIN, database=true_offsets) == shortfalls(
        cache, ZONES, START, END, margin=MARGIN
    )


def test_year_start() -> None:
    assert year_start(2026) == START
