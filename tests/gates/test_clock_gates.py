"""T1, T2, T3, T11, T12: each against a planted defect that turns it red while its clean twin stays green."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from tests.gates.hand_made import LOCALS, SCENARIO, clean, measured, shifted, taken, write_run

HOUR = timedelta(hours=1)
NEW_YORK_CHANGE = datetime(2026, 3, 8, 7, tzinfo=UTC)
BERLIN_CHANGE = datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_missed_transition_turns_t1_t2_t11_red_and_2a_owns_it(tmp_path: Path) -> None:
    """Exactly the published defect: New York's clock stays on winter time after 8 March."""
    late = (pl.col("tzid_primary") == "America/New_York") & (pl.col("ts_utc") >= NEW_YORK_CHANGE)
    frames = replace(clean().with_arrivals(shifted("ts_local_primary", -HOUR, late)), last_transition_year=2025)
    card = score(write_run(frames, tmp_path))
    hit = clean().arrivals.filter(late).height
    result = card.result("T1")
    assert result.verdict is Verdict.FAIL
    assert result.value == pytest.approx(hit / clean().arrivals.height, rel=1e-11)
    assert result.detail["worst_zones"][0]["tzid"] == "America/New_York"
    assert result.detail["errors_seconds"] == [{"error_seconds": -3600, "arrivals": hit}]
    assert card.result("T2").verdict is Verdict.FAIL
    assert card.result("T2").detail == {"one_hour_late": 0, "one_hour_early": hit}
    assert card.result("T1.operational").value == 0
    owners = {entry.gate_id: (entry.owner, entry.rerun[0]) for entry in card.attributions}
    assert owners["T1"] == owners["T2"] == owners["T11"] == ("2A", "S0")
    window = next(w for w in card.result("T3").detail["by_window"] if w["tzid"] == "America/New_York")
    assert window["transition"] == "2026-03-08T07:00:00Z"
    assert 0 < window["mae_pp"] < window["post_mae_pp"]


@pytest.mark.parametrize("role", ["settlement", "operational"])
def test_each_virtual_clock_has_its_own_t1(role: str, tmp_path: Path) -> None:
    wrong = pl.col("arrival_seq") % 50 == 0
    frames = clean().with_arrivals(shifted(f"ts_local_{role}", HOUR, wrong))
    run = write_run(frames, tmp_path)
    evidence = Evidence(run)
    values = {name: taken(name, evidence).value for name in ("T1", "T1.settlement", "T1.operational")}
    hit = clean().arrivals.filter(wrong & pl.col("is_virtual")).height
    assert values.pop(f"T1.{role}") == hit / clean().arrivals["is_virtual"].sum() > 0.005
    assert set(values.values()) == {0.0}


def test_a_run_without_virtual_arrivals_has_no_settlement_clock(tmp_path: Path) -> None:
    frames = clean().with_arrivals(lambda rows: rows.filter(~pl.col("is_virtual")))
    assert measured(frames, tmp_path, "T1.settlement").verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(("error", "counts"), [(500_000, False), (-500_000, False), (500_001, True), (-500_001, True)])
def test_tolerance_is_half_a_second_inclusive(error: int, counts: bool, tmp_path: Path) -> None:
    frames = clean().with_arrivals(shifted("ts_local_primary", timedelta(microseconds=error), pl.lit(True)))
    assert measured(frames, tmp_path, "T1").value == float(counts)


def test_t1_counts_missing_and_irregular_clocks_and_unknown_zones(tmp_path: Path) -> None:
    def change(rows: pl.DataFrame) -> pl.DataFrame:
        sequence = pl.col("arrival_seq")
        return rows.with_columns(
            pl.when(sequence % 4 == 0).then(pl.col("ts_local_primary") + timedelta(minutes=7)).otherwise(
                pl.when(sequence % 4 != 1).then("ts_local_primary")
            ).alias("ts_local_primary"),
            tzid_primary=pl.when(sequence % 4 == 2).then(pl.lit("Mars/Olympus")).otherwise("tzid_primary"),
        )  # fmt: skip

    result = measured(clean().with_arrivals(change), tmp_path, "T1")
    wrong = clean().arrivals.filter(pl.col("arrival_seq") % 4 != 3).height
    assert result.detail["mismatches"] == wrong
    assert result.detail["nothing_expected"] == clean().arrivals.filter(pl.col("arrival_seq") % 4 == 2).height
    assert result.detail["errors_seconds"] == [{"error_seconds": None, "arrivals": wrong}]


def test_t2_sees_both_ways_and_nothing_but_an_hour(tmp_path: Path) -> None:
    errors = {1: HOUR, 2: -HOUR, 3: timedelta(hours=2), 4: timedelta(minutes=30), 5: timedelta(seconds=3599)}
    frames = clean()
    for remainder, error in errors.items():
        frames = frames.with_arrivals(shifted("ts_local_primary", error, pl.col("arrival_seq") % 1000 == remainder))
    result = measured(frames, tmp_path, "T2")
    late, early = (clean().arrivals.filter(pl.col("arrival_seq") % 1000 == r).height for r in (1, 2))
    assert result.detail == {"one_hour_late": late, "one_hour_early": early}
    assert result.verdict is Verdict.FAIL


def test_t3_is_red_when_hours_pile_up_in_the_windows(tmp_path: Path) -> None:
    near = (pl.col("ts_utc") >= BERLIN_CHANGE) & (pl.col("ts_utc") < BERLIN_CHANGE + timedelta(days=1))
    frames = clean().with_arrivals(
        lambda rows: rows.with_columns(
            pl.when(near).then(pl.col("ts_local_primary").dt.truncate("1d")).otherwise("ts_local_primary")
        )
    )
    result = measured(frames, tmp_path, "T3")
    assert result.verdict is Verdict.FAIL
    assert result.detail["worst_window_pp"] > 3


def test_t3_windows_match_a_direct_computation(clean_card: Scorecard, tmp_path: Path) -> None:
    """One window by hand: stored against expected hours of London's 48 hours, with a planted shift."""
    late = (pl.col("tzid_primary") == "Europe/London") & (pl.col("ts_utc") >= BERLIN_CHANGE)
    frames = clean().with_arrivals(shifted("ts_local_primary", -HOUR, late))
    day = timedelta(days=1)
    inside = pl.col("ts_utc").is_between(BERLIN_CHANGE - day, BERLIN_CHANGE + day, closed="left")
    mine = (pl.col("tzid_primary") == "Europe/London") & inside

    def profile(rows: pl.DataFrame) -> np.ndarray:
        hours = rows.filter(mine)["ts_local_primary"].dt.hour().to_numpy()
        return np.bincount(hours, minlength=24) / hours.size

    expected = profile(clean().arrivals)
    mae = 100 * np.abs(profile(frames.arrivals) - expected).mean()
    power = 100 * np.abs(expected - np.roll(expected, 1)).mean()
    result = measured(frames, tmp_path, "T3")
    window = next(w for w in result.detail["by_window"] if w["tzid"] == "Europe/London")
    assert window["support"] == clean().arrivals.filter(mine).height
    assert math.isclose(window["mae_pp"], mae, rel_tol=1e-11)
    assert math.isclose(window["power_pp"], power, rel_tol=1e-11)
    assert window["cannot_fail"] == (power < 3.0)
    zones = {w["tzid"] for w in clean_card.result("T3").detail["by_window"]}
    assert "Africa/Casablanca" in zones
    assert "Asia/Tokyo" not in zones


def test_t3_without_support_has_insufficient_power(tmp_path: Path) -> None:
    frames = clean().with_arrivals(lambda rows: rows.filter(pl.col("arrival_seq") % 20 == 0))
    result = measured(frames, tmp_path, "T3")
    assert result.verdict is Verdict.INSUFFICIENT_POWER
    assert not result.passed
    assert "500 rows" in result.reason


def test_t3_does_not_apply_without_transitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evidence, "active_zones", ("Asia/Tokyo",))
    frames = clean().with_arrivals(lambda rows: rows.filter(pl.col("tzid_primary") == "Asia/Tokyo"))
    result = measured(frames, tmp_path, "T3")
    assert result.verdict is Verdict.NOT_APPLICABLE
    assert result.detail == {"active_zones": 1}


def test_t11_lists_first_missing_transitions(tmp_path: Path) -> None:
    result = measured(replace(clean(), last_transition_year=2025), tmp_path, "T11")
    assert result.verdict is Verdict.FAIL
    short = {row["tzid"]: row for row in result.detail["shortfalls"]}
    assert short["Europe/Berlin"]["first_utc"] == "2026-03-29T01:00:00Z"
    assert short["Australia/Lord_Howe"]["first_utc"] == "2026-04-04T15:00:00Z"
    assert result.value == pytest.approx(1 - 11 / 21)


def test_t11_measures_a_silent_cache_and_believes_a_declared_end(
    tmp_path: Path,
) -> None:
    silent = replace(clean(), sidecar={"transitions_through_utc": None})
    assert measured(silent, tmp_path / "silent", "T11").verdict is Verdict.PASS_BPLUS
    short = replace(clean(), sidecar={"transitions_through_utc": "2026-03-31T00:00:00Z"})
    result = measured(short, tmp_path / "short", "T11")
    assert (result.value, result.verdict) == (1.0, Verdict.FAIL)
    assert "2026-03-31" in result.reason


@pytest.mark.parametrize("marked", [LOCALS, LOCALS[2:]])
def test_t12_fails_every_row_of_a_marked_column(marked: tuple[str, ...], tmp_path: Path) -> None:
    card = score(write_run(replace(clean(), utc_marked=marked), tmp_path))
    result = card.result("T12")
    assert (result.value, result.verdict) == (0.0, Verdict.FAIL)
    types = {row["column"]: row["reader_type"] for row in result.detail["columns"]}
    assert {name for name, kind in types.items() if kind != "TIMESTAMP"} == set(marked)
    assert card.result("T1").value == 0, "the digits are the wall clock's, whatever they are called"
    owner = card.owner("T12")
    assert owner is not None
    assert (owner.owner, owner.rerun) == ("S4", ("S4", "S5"))


def test_t12_counts_rows_file_by_file(tmp_path: Path) -> None:
    run = write_run(replace(clean(), utc_marked=LOCALS), tmp_path / "marked")
    other = write_run(clean(), tmp_path / "clean")
    first = run.files("arrival_events_5B", SCENARIO)[0]
    first.write_bytes(other.files("arrival_events_5B", SCENARIO)[0].read_bytes())
    value = taken("T12", Evidence(run)).value
    assert value == pytest.approx(0.5, abs=1e-4)
    assert taken("T1", Evidence(run)).value == 0
