"""The machine's other tz databases: shown by P0, judged by `segment5b doctor`, without weight in P0's decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from segment5b_lib import views
from segment5b_lib.civil_time import drift
from segment5b_lib.civil_time.tz_databases import folder_database, past_releases
from segment5b_lib.civil_time.tzif import zone_bytes, zone_names
from segment5b_lib.cli.doctor import tz_drift
from segment5b_lib.contract.words import Decision
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.phases import p0
from segment5b_lib.store.runs import Run
from segment5b_lib.views.tz_databases import drift_lines
from tests.phases.execute import decided

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
        monkeypatch.setattr(drift, "machine_databases", lambda: (folder_database("planted", tmp_path),))
        drift.machine_drift.cache_clear()

    yield make
    drift.machine_drift.cache_clear()


def test_the_databases_of_this_machine_are_shown_and_explained(scorecard: Scorecard) -> None:
    rows = views.tz_databases(scorecard.evidence).to_dicts()
    assert {row["database"].split()[0] for row in rows} >= {"pyarrow", "polars", "duckdb"}
    assert not any(line.unexplained for line in drift_lines(scorecard.evidence))


def test_an_older_database_is_shown_with_instant_and_release(scorecard: Scorecard, plant: Plant) -> None:
    old = {tzid: files["2025b"] for tzid, files in past_releases().zones.items() if files.get("2025b")}
    plant(old)
    (found,) = drift_lines(scorecard.evidence)
    assert (found.release, found.zones, found.first_utc) == ("2025b", 2, "2026-03-29T00:00:00Z")
    assert found.unexplained == () and found.later_utc == "2026-09-20T01:00:00Z"
    (row,) = views.tz_databases(scorecard.evidence).to_dicts()
    assert (row["release"], row["all that differ"], row["from"]) == ("2025b", "2", "2026-03-29T00:00:00Z")


def test_what_no_release_explains_is_the_doctor_s_to_find_and_not_p0_s(
    published_run: Run, scorecard: Scorecard, plant: Plant
) -> None:
    before = p0.PHASE.bodies(p0.measured_on(published_run, scorecard))
    plant({"Europe/Berlin": zone_bytes("Africa/Lagos")})
    (found,) = drift_lines(scorecard.evidence)
    assert (found.in_use, found.zones, found.unexplained) == (1, 1, ("Europe/Berlin",))
    status, sentences, detail = tz_drift("tiny")
    assert status == "fail" and "planted" in sentences and "Europe/Berlin" in sentences
    (difference,) = (line for line in detail["differences"] if line["from_utc"] == "2026-03-29T01:00:00Z")
    assert difference["tzid"] == "Europe/Berlin" and difference["releases"] == ()
    assert (difference["expected_seconds"], difference["found_seconds"]) == (7200, 3600)
    measured = p0.measured_on(published_run, scorecard)
    assert decided(p0.PHASE, measured)[0] is Decision.UNLOCK_P1
    assert p0.PHASE.bodies(measured) == before, "nothing of the reader's machine is in the artefacts"
