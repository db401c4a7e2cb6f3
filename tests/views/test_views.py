"""Views against a second witness that looks at every row of the tiny run in plain Python."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest

from segment5b_lib import views
from segment5b_lib.charts import MAX_ROWS
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.store.runs import Run
from segment5b_lib.views import civil_time
from tests.views.witness import DAY, HOUR, Seen, arrivals, changes, count, date_of

SCENARIO = "baseline_v1"


@pytest.fixture(scope="module")
def evidence(published_run: Run) -> Evidence:
    return Evidence(published_run)


@pytest.fixture(scope="module")
def rows(published_run: Run) -> list[Seen]:
    assert published_run.scenarios == (SCENARIO,)
    return arrivals(published_run.folder("arrival_events_5B", SCENARIO))


@pytest.fixture(scope="module")
def scorecards(published_run: Run, civil_time_run: Run) -> list[Scorecard]:
    return [score(published_run), score(civil_time_run)]


def test_offset_distribution(evidence: Evidence, rows: list[Seen]) -> None:
    frame = views.offset_distribution(evidence)
    assert dict(frame.select("offset_seconds", "arrivals").iter_rows()) == count(rows, lambda row: row.error)
    assert frame["share"].sum() == pytest.approx(1)
    assert frame["offset_seconds"].is_sorted()


def mismatches(rows: list[Seen]) -> tuple[Counter[object], Counter[object]]:
    def key(row: Seen) -> object:
        return row.tzid, date_of(row.second)

    return count(rows, key), count([row for row in rows if row.error], key)


def test_mismatch_by_date_and_zone(evidence: Evidence, rows: list[Seen]) -> None:
    frame = views.mismatch_by_date_and_zone(evidence)
    every, wrong = mismatches(rows)
    found = {(row["tzid"], row["date"]): row for row in frame.iter_rows(named=True)}
    assert {key: row["arrivals"] for key, row in found.items()} == every
    assert {key: row["mismatches"] for key, row in found.items() if row["mismatches"]} == wrong
    assert frame.height <= MAX_ROWS


def test_zones_are_ordered_by_their_first_wrong_date(evidence: Evidence, rows: list[Seen]) -> None:
    order = views.mismatch_by_date_and_zone(evidence)["tzid"].unique(maintain_order=True).to_list()
    first = {tzid: min(date_of(r.second) for r in rows if r.tzid == tzid and r.error) for tzid in order[:3]}
    assert order[0] == "Africa/Casablanca" and order[1] == "America/New_York"
    assert list(first.values()) == sorted(first.values())


def test_other_zones_are_added_up_and_come_last(
    evidence: Evidence, rows: list[Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(civil_time, "_ZONES_SHOWN", 2)
    frame = views.mismatch_by_date_and_zone(evidence)
    zones = len({row.tzid for row in rows})
    assert frame["tzid"].unique(maintain_order=True).to_list()[-1] == f"{zones - 2} other zones"
    assert frame["tzid"].n_unique() == 3
    assert frame["arrivals"].sum() == len(rows)
    assert frame["mismatches"].sum() == sum(row.error != 0 for row in rows)
    assert frame.select("tzid", "date").is_unique().all()


def test_days_since_transition(evidence: Evidence, rows: list[Seen]) -> None:
    (horizon,) = evidence.horizons
    steps = {tzid: changes(tzid, horizon.start, horizon.end) for tzid in {row.tzid for row in rows}}

    def key(row: Seen) -> tuple[int, str]:
        own = steps[row.tzid]
        latest = max((i for i, (second, _) in enumerate(own) if second <= row.second), default=0)
        returned = sum(step for _, step in own[: latest + 1]) == 0
        way = "returned" if returned else "forward" if own[latest][1] > 0 else "back"
        return (row.second - own[latest][0]) // DAY, way

    exposed = [row for row in rows if steps[row.tzid]]
    frame = views.days_since_transition(evidence)
    found = {(row["day"], row["change"]): row for row in frame.iter_rows(named=True)}
    assert {name: row["arrivals"] for name, row in found.items()} == count(exposed, key)
    wrong = count([row for row in exposed if row.error], key)
    assert {name: row["mismatches"] for name, row in found.items() if row["mismatches"]} == wrong


def test_the_defect_lasts_until_the_horizon_ends(evidence: Evidence) -> None:
    after = views.days_since_transition(evidence).filter(pl.col("change") != "returned", pl.col("day") >= 0)
    assert (after["rate"] == 1).all()
    assert after.filter(pl.col("change") == "forward")["day"].max() == 23  # 8 March to 31 March


def test_hours(evidence: Evidence, rows: list[Seen]) -> None:
    def hour(second: int) -> int:
        return second % DAY // HOUR

    matrix = views.hour_matrix(evidence).select("expected_hour", "stored_hour", "arrivals")
    pairs = count(rows, lambda row: (hour(row.expected), hour(row.stored)))
    assert {(e, s): n for e, s, n in matrix.iter_rows()} == pairs
    profile = views.hour_profile(evidence)
    for basis in ("stored", "expected"):
        own = profile.filter(pl.col("basis") == basis).select("kind", "hour", "arrivals")
        seen = count(
            rows, lambda row, basis=basis: ("virtual" if row.is_virtual else "physical", hour(getattr(row, basis)))
        )
        assert {(kind, h): n for kind, h, n in own.iter_rows()} == seen
    assert profile.group_by("kind", "basis").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1] * 4)


def test_weekend_share(evidence: Evidence, rows: list[Seen]) -> None:
    frame = views.weekend_share(evidence)
    weekend = sum((row.stored // DAY + 3) % 7 >= 5 for row in rows)  # 1970-01-01 was a Thursday
    observed, expected = (frame.filter(pl.col("basis") == b).row(0, named=True) for b in ("observed", "expected"))
    assert observed["share"] == pytest.approx(weekend / len(rows))
    assert expected["low"] < expected["share"] < expected["high"]
    assert expected["high"] - expected["share"] == pytest.approx(expected["share"] - expected["low"])


def test_conservation(evidence: Evidence, rows: list[Seen]) -> None:
    frame = views.conservation(evidence)
    assert frame["level"].unique(maintain_order=True).to_list() == ["before: series × bucket", "after: logical key"]
    assert frame["source"].to_list() == ["S3 counts", "S4 arrivals"] * 2
    assert frame["arrivals"].to_list() == [len(rows)] * 4
    assert frame["keys_that_differ"].sum() == 0


def test_cache_shortfalls(scorecards: list[Scorecard], rows: list[Seen]) -> None:
    published, corrected = (views.cache_shortfalls(scorecard) for scorecard in scorecards)
    assert corrected.is_empty()
    wrong = count([row for row in rows if row.error], lambda row: row.tzid)
    assert dict(published.filter(pl.col("mismatches") > 0).select("tzid", "mismatches").iter_rows()) == wrong
    assert published["mismatches"].is_sorted(descending=True)
    new_york = published.filter(pl.col("tzid") == "America/New_York").row(0, named=True)
    assert new_york["first_utc"] == "2026-03-08T07:00:00Z"
    assert (new_york["expected_minutes"], new_york["cached_minutes"]) == (-240, -300)


def test_gate_matrix(scorecards: list[Scorecard]) -> None:
    frame = views.gate_matrix(scorecards)
    assert frame["run"].n_unique() == 2 and frame.height == 2 * len(scorecards[0].results)
    t1 = frame.filter(pl.col("gate").str.starts_with("T1 "))
    assert t1["verdict"].to_list() == ["fail", "pass_bplus"]
    assert t1["threshold"].to_list() == ["≤ 0.5 %"] * 2
    assert "outside B" in t1["distance"][0] and "inside B" in t1["distance"][1]


def test_state_elapsed(published_run: Run) -> None:
    frame = views.state_elapsed(published_run)
    for state, record in published_run.last_records().items():
        seconds = frame.filter(pl.col("state") == state)["seconds"].sum()
        assert seconds == pytest.approx(sum(step.wall_ms for step in record.steps) / 1e3)


def test_group_sizes_add_up_to_what_s1_counted(published_run: Run, own_run: Run) -> None:
    frame, counters = views.group_sizes(published_run), published_run.counters("S1")
    (scenario,) = counters["scenarios"].values()
    assert frame["groups"].sum() == counters["total_unique_group_ids"]
    assert frame["series"].sum() == counters["total_grouping_rows"]
    assert frame["members"].is_sorted() and frame["share"][-1] == 1.0
    assert frame["members"][-1] / frame["series"].sum() == pytest.approx(scenario["max_group_share"])
    every = frame["members"].repeat_by(frame["groups"]).explode(empty_as_null=False)
    assert every.median() == scenario["median_members_per_group"]
    own_run.marker_path("S1").unlink()
    assert views.group_sizes(own_run).is_empty()


def test_listing_escapes_and_says_what_it_hides() -> None:
    frame = pl.DataFrame({"a_name": ["<b>", None, "c"], "n": [1_000_000, 2, 3]})
    shown = views.listing(frame, rows=2)._repr_html_()
    assert "&lt;b&gt;" in shown and "<b>" not in shown
    assert "1,000,000" in shown and "–" in shown and "a name" in shown
    assert "and 1 more" in shown
    assert views.listing(frame.clear())._repr_html_() == "<p>none</p>"
