"""P0 and the machine's other tz databases: told with their release, red where no release explains what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from segment5b_lib.civil_time import tz_drift
from segment5b_lib.civil_time.past_releases import past_releases
from segment5b_lib.civil_time.tzif import zone_bytes, zone_names
from segment5b_lib.civil_time.witnesses import folder_witness
from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.gates.score import score
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases import p0
from segment5b_lib.phases.engine.phase import decide
from segment5b_lib.phases.p0_clocks import explained, tz_databases
from segment5b_lib.store.runs import Run

Plant = Callable[[dict[str, bytes]], None]


@pytest.fixture(scope="module")
def scorecard(published_run: Run) -> Scorecard:
    return score(published_run)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """The only other database of the machine: the pinned one, but for the files given."""

    def make(changed: dict[str, bytes]) -> None:
        for tzid in zone_names():
            path = tmp_path.joinpath(*tzid.split("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(changed.get(tzid, zone_bytes(tzid)))
        monkeypatch.setattr(tz_drift, "witnesses", lambda: (folder_witness("planted", tmp_path),))
        tz_drift.machine_drift.cache_clear()

    yield make
    tz_drift.machine_drift.cache_clear()


def test_the_databases_of_this_machine_are_told_and_explained(published_run: Run, scorecard: Scorecard) -> None:
    rows = p0.tz_drift(scorecard).to_dicts()
    assert {row["database"].split()[0] for row in rows} >= {"pyarrow", "polars", "duckdb"}
    assert explained(scorecard).status is ItemStatus.GREEN
    assert p0.examine(published_run, scorecard).sections[-1].rows == [tuple(row.values()) for row in rows]


def test_an_older_database_is_told_with_zone_instant_and_release(scorecard: Scorecard, plant: Plant) -> None:
    old = {tzid: files["2025b"] for tzid, files in past_releases().zones.items() if files.get("2025b")}
    plant(old)
    (found,) = tz_databases(scorecard)
    assert (found.release, found.zones, found.first_utc) == ("2025b", 2, "2026-03-29T00:00:00Z")
    assert found.unexplained == [] and found.later_utc == "2026-09-20T01:00:00Z"
    assert explained(scorecard).status is ItemStatus.GREEN


def test_what_no_release_explains_holds_p0(published_run: Run, scorecard: Scorecard, plant: Plant) -> None:
    plant({"Europe/Berlin": zone_bytes("Africa/Lagos")})
    (found,) = tz_databases(scorecard)
    assert (found.in_use, found.zones, found.unexplained) == (1, 1, ["Europe/Berlin"])
    (difference,) = found.differences
    assert (difference.tzid, difference.from_utc) == ("Europe/Berlin", "2026-03-29T01:00:00Z")
    assert (difference.expected_seconds, difference.found_seconds, difference.releases) == (7200, 3600, [])
    finding = p0.examine(published_run, scorecard)
    assert {item.id for item in finding.items if item.status is ItemStatus.RED} == {"P0.8"}
    decision, reasons = decide(p0.PHASE, finding)
    assert decision is Decision.HOLD_P0_REOPEN and "planted: Europe/Berlin" in reasons[0]
