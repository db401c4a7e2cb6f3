"""Other databases against the oracle: planted ones are listed and explained, or told where no release explains them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from segment5b_lib.arrays import I64
from segment5b_lib.civil_time import tz_databases
from segment5b_lib.civil_time.drift import (
    FIRST_SECOND,
    PLACEHOLDER,
    Drift,
    compare_all,
    difference_lines,
    drift_line,
    machine_drift,
    sentence,
)
from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.civil_time.tz_databases import TzDatabase, folder_database
from segment5b_lib.civil_time.tz_databases import past_releases as record
from segment5b_lib.civil_time.tzif import IANA_RELEASE, read_zone, year_start, zone_bytes, zone_names
from segment5b_lib.errors import InputError, StaleError

UNTIL = year_start(2038)
YEAR = 365 * 86_400
HAVANA_LATER = [("2026-11-01T05:00:00Z", "2027-03-14T05:00:00Z", -14_400, -18_000)]
"""Cuba's decision not to go back in 2026, which 2026f was the first to know."""
Database = Callable[..., TzDatabase]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A folder of TZif files as a system has them: the pinned files but for those given, by zone."""

    def make(states: str | None, changed: dict[str, bytes | None]) -> TzDatabase:
        for tzid in zone_names():
            content = changed.get(tzid, zone_bytes(tzid))
            path = tmp_path.joinpath("zones", *tzid.split("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                path.write_bytes(content)
        if states is not None:
            (tmp_path / "zones" / "tzdata.zi").write_text(f"# version {states}\nR d 1916\n")
        return folder_database("planted", tmp_path / "zones")

    return make


def release(tag: str) -> dict[str, bytes | None]:
    """The zones in which a release on record differs, as it has them."""
    return {tzid: files[tag] for tzid, files in record().zones.items() if tag in files}


def fixed_offset(seconds: int) -> bytes:
    """A TZif file of a zone that never changes."""
    body = struct.pack(">iBB", seconds, 0, 0) + b"XXX\0"
    head = struct.pack(">4sc15x6I", b"TZif", b"2", 0, 0, 0, 0, 1, 4)
    hours = -seconds // 3600
    return head + body + head + body + f"\n<X>{hours}\n".encode().replace(b"<X>", b"XXX")


def drift_of(*databases: TzDatabase) -> Drift:
    return compare_all(databases, until=UNTIL, every=YEAR // 4)[0]


def texts(drift: Drift, tzid: str) -> list[tuple[str, str, int, int | None]]:
    return [line[2:6] for line in difference_lines(drift) if line.tzid == tzid]


def test_a_copy_of_the_pinned_database_shows_nothing(database: Database) -> None:
    drift = drift_of(database(IANA_RELEASE, {}))
    assert (drift.zones, drift.releases) == ((), (IANA_RELEASE,))


@pytest.mark.parametrize("tag", ["2024a", "2025b", "2026e"])
def test_an_older_database_is_recognised_and_every_zone_that_differs_listed(database: Database, tag: str) -> None:
    drift = drift_of(database(None, release(tag)))
    assert drift.releases == (tag,)
    assert {zone.tzid for zone in drift.zones} == set(release(tag))
    assert drift.unexplained == () and all(tag in zone.releases for zone in drift.zones)
    assert texts(drift, "America/Havana") == texts(drift, "Cuba") == HAVANA_LATER
    missing = {zone.tzid for zone in drift.zones if zone.differences[0].found_seconds is None}
    assert missing == ({"America/Coyhaique"} if tag < "2025b" else set())


def test_a_difference_that_no_release_explains_is_told(database: Database) -> None:
    """Berlin without summer time, in a database that otherwise is an old one."""
    drift = drift_of(database("2025b", release("2025b") | {"Europe/Berlin": fixed_offset(3600)}))
    assert [zone.tzid for zone in drift.unexplained] == ["Europe/Berlin"]
    assert texts(drift, "Europe/Berlin")[-1] == ("2037-03-29T01:00:00Z", "2037-10-25T01:00:00Z", 7200, 3600)
    assert drift.releases == ("2025b",)
    line = drift_line(drift, ["Europe/Berlin"], year_start(2026), year_start(2027))
    assert line.unexplained == ("Europe/Berlin",) and line.in_use == 1
    assert "explained by no release: Europe/Berlin" in sentence(line)


def test_a_release_that_stops_being_followed_is_not_explained_by_it(database: Database) -> None:
    """Half old, half new: each answer is one of some release, and the zone as a whole is of none."""
    old, switch = database(None, release("2025b")), year_start(2030) + 12_345

    def offsets(questions: tz_databases.Questions) -> tz_databases.Answers:
        before = old.offsets(questions)
        return {
            tzid: np.where(seconds < switch, before[tzid], expected(tzid, seconds))
            for tzid, seconds in questions.items()
        }

    def expected(tzid: str, seconds: I64) -> I64:
        steps = read_zone(tzid)
        return steps.offset_minutes[np.searchsorted(steps.utc_seconds, seconds, side="right") - 1] * 60

    drift = drift_of(old._replace(offsets=offsets))
    vancouver = next(zone for zone in drift.zones if zone.tzid == "America/Vancouver")
    assert vancouver.releases == () and vancouver.differences[-1].end == switch
    havana = next(zone for zone in drift.zones if zone.tzid == "America/Havana")
    assert "2025b" in havana.releases, "its differences end before the switch"


def test_a_release_that_is_not_on_record_is_taken_at_its_word_and_explains_others(database: Database) -> None:
    planted = {"Europe/Berlin": fixed_offset(3600), "Asia/Tokyo": None}
    system = database("2027a", planted)
    reader = system._replace(name="reader", states=None, folder=None)
    for drift in compare_all([system, reader], until=UNTIL, every=YEAR):
        assert drift.unexplained == () and drift.releases == ("2027a",)
        assert {zone.tzid: zone.releases for zone in drift.zones} == dict.fromkeys(planted, ("2027a",))
    alone = drift_of(reader)
    assert {zone.tzid for zone in alone.unexplained} == set(planted)


def test_a_database_that_lies_about_its_release_is_not_believed(database: Database) -> None:
    for states in ("2025b", IANA_RELEASE):
        drift = drift_of(database(states, {"Europe/Berlin": fixed_offset(3600)}))
        assert [zone.tzid for zone in drift.unexplained] == ["Europe/Berlin"]


def test_a_machine_without_zones_says_so(tmp_path: Path) -> None:
    drift = drift_of(folder_database("planted", tmp_path))
    line = drift_line(drift, ["Asia/Tokyo"], FIRST_SECOND, UNTIL)
    assert line.release == "none" and line.unexplained == ()
    assert sentence(line) == "planted: no time zones"


@pytest.mark.parametrize("content", [b"", b"no zone", zone_bytes("Europe/Berlin")[:-3]])
def test_a_damaged_file_is_an_error_and_no_endless_wait(database: Database, content: bytes) -> None:
    with pytest.raises(InputError, match="TZIF_") as caught:
        drift_of(database(None, {"Europe/Berlin": content}))
    assert caught.value.where.endswith("Berlin")


def test_what_differs_in_the_horizon_and_what_differs_later(database: Database) -> None:
    drift = drift_of(database("2025b", release("2025b")))
    line = drift_line(drift, ["Europe/Chisinau", "America/Havana"], year_start(2026), 1_775_001_600)
    assert (line.in_use, line.zones, line.first_utc) == (1, 2, "2026-03-29T00:00:00Z")
    assert (line.later, line.later_utc) == (13, "2026-09-20T01:00:00Z")
    assert (line.release, line.states) == ("2025b", "2025b")
    all_of_it = drift_line(drift, ["Europe/Chisinau", "America/Havana"], year_start(2026), UNTIL)
    assert (all_of_it.in_use, all_of_it.zones, all_of_it.later) == (2, 15, 0)


@pytest.fixture(scope="module")
def machine() -> tuple[Drift, ...]:
    return machine_drift(UNTIL)


def test_every_difference_on_this_machine_is_explained(machine: tuple[Drift, ...]) -> None:
    assert {"pyarrow", "polars", "duckdb"} <= {drift.database.name for drift in machine}
    for drift in machine:
        assert drift.unexplained == (), (drift.database.name, drift.unexplained[:3])


def test_the_libraries_of_the_lock_file_carry_these_releases(machine: tuple[Drift, ...]) -> None:
    found = {drift.database.name: drift for drift in machine}
    assert found["polars"].releases == ("2025b",)
    assert {zone.tzid for zone in found["polars"].zones} == set(release("2025b"))
    assert found["duckdb"].releases == ("2026e",)
    assert texts(found["duckdb"], "America/Havana") == texts(found["duckdb"], "Cuba") == HAVANA_LATER
    assert {zone.tzid for zone in found["duckdb"].zones} == {"America/Havana", "Cuba"}


@pytest.mark.slow
def test_every_difference_through_2100_is_explained_asked_every_week() -> None:
    for drift in compare_all(tz_databases.machine_databases(), until=year_start(2101), every=7 * 86_400):
        assert drift.unexplained == (), (drift.database.name, drift.unexplained[:3])


@pytest.mark.parametrize("name", ["pyarrow", "polars"])
def test_no_database_is_spared_more_than_its_reach(name: str) -> None:
    """Beyond it they really are wrong, where the rules go on: otherwise the reach would hide what they know."""
    database = next(entry for entry in tz_databases.machine_databases() if entry.name == name)
    summer = np.array([database.reach + 200 * 86_400])
    true = expected_offsets("Europe/Berlin", int(summer[0]), int(summer[0]) + 1).offset_seconds
    answer = database.offsets({"Europe/Berlin": summer})["Europe/Berlin"]
    assert answer is not None and (true.tolist(), answer.tolist()) == ([7200], [3600])


def test_libraries_do_not_know_a_zone_that_is_not_one() -> None:
    for database in tz_databases.machine_databases():
        assert database.offsets({"Europe/Atlantis": np.array([0])}) == {"Europe/Atlantis": None}, database.name


def test_the_record_is_of_real_files_that_differ() -> None:
    document = json.loads(resources.files("segment5b_lib.civil_time").joinpath("past_releases.json").read_text("ascii"))
    assert document["pinned"] == IANA_RELEASE
    assert PLACEHOLDER not in record().zones
    used = {digest for entry in document["releases"].values() for digest in entry["zones"].values()} - {None}
    assert used == set(document["files"])
    assert all(len(entry["wheel_sha256"]) == 64 for entry in document["releases"].values())


def test_a_record_made_against_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tz_databases, "IANA_RELEASE", "2027a")
    tz_databases.past_releases.cache_clear()
    with pytest.raises(StaleError) as caught:
        tz_databases.past_releases()
    assert caught.value.code == "5B.CIVIL_TIME.RECORD_STALE"
