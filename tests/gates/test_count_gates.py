"""T4 to T9: each against a planted defect that turns it red while its clean twin stays green."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.scorecard import Scorecard
from tests.gates.hand_made import ZONES, clean, measured, shifted


def test_t4_sees_a_lost_and_a_moved_arrival(tmp_path: Path) -> None:
    first = pl.col("arrival_seq") == 1
    lost = clean().with_arrivals(lambda rows: rows.filter(~(first & (pl.col("merchant_id") == 1))))
    result = measured(lost, tmp_path / "lost", "T4")
    assert (result.value, result.detail["total_difference"]) == (1, -1)
    assert result.verdict is Verdict.FAIL

    def other_country(rows: pl.DataFrame) -> pl.DataFrame:
        moved = first & (pl.col("merchant_id") == 1)
        country = pl.when(moved).then(pl.lit("FR")).otherwise("legal_country_iso")
        return rows.with_columns(country.alias("legal_country_iso"))

    result = measured(clean().with_arrivals(other_country), tmp_path / "moved", "T4")
    assert (result.value, result.detail["total_difference"]) == (2, 0)
    rows, logical = result.detail["levels"]
    assert (rows["keys_that_differ"], logical["keys_that_differ"]) == (2, 0)
    assert rows["only_in_s4"] == 1
    assert {example["legal_country_iso"] for example in result.detail["examples"]} == {"GB", "FR"}
    assert rows["arrivals_s3"] == clean().counts["count_N"].sum()


@pytest.mark.parametrize(
    "change",
    [
        pl.when("is_virtual").then("site_id").alias("site_id"),
        pl.lit(1, pl.UInt64).alias("edge_id"),
        pl.lit(1, pl.UInt64).alias("site_id"),
        pl.lit(None, pl.UInt64).alias("edge_id"),
    ],
)
def test_t5_sees_each_way_to_break_nullability(change: pl.Expr, tmp_path: Path) -> None:
    result = measured(clean().with_arrivals(lambda rows: rows.with_columns(change)), tmp_path, "T5")
    assert result.verdict is Verdict.FAIL
    virtual = int(clean().arrivals["is_virtual"].sum())
    assert result.value in (virtual, clean().arrivals.height - virtual)


def test_t5_counts_rows_that_do_not_say_what_they_are(tmp_path: Path) -> None:
    unknown = clean().with_arrivals(
        lambda rows: rows.with_columns(is_virtual=pl.when(pl.col("arrival_seq") != 1).then(pl.col("is_virtual")))
    )
    result = measured(unknown, tmp_path, "T5")
    assert (result.value, result.verdict) == (len(ZONES), Verdict.FAIL)
    assert result.population == clean().arrivals.height


def test_t6_is_ten_zones_and_not_a_tenth_of_them(clean_card: Scorecard, tmp_path: Path) -> None:
    sizes = clean().arrivals["tzid_primary"].value_counts(sort=True)["count"]
    result = clean_card.result("T6")
    assert result.value == pytest.approx(sizes[:10].sum() / sizes.sum(), rel=1e-11)
    assert result.detail["top_10_percent_of_zones_share"] == pytest.approx(sizes[:2].sum() / sizes.sum(), rel=1e-11)
    frames = clean().with_arrivals(lambda rows: rows.filter(pl.col("tzid_primary").is_in(ZONES[:12])))
    assert measured(frames, tmp_path, "T6").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("keep", "verdict"),
    [(1.0, Verdict.PASS_BPLUS), (0.7, Verdict.PASS_B), (0.2, Verdict.FAIL)],
)
def test_t7_needs_both_bands(keep: float, verdict: Verdict, tmp_path: Path) -> None:
    few = pl.col("arrival_seq") % 100 < 100 * keep
    frames = clean().with_arrivals(lambda rows: rows.filter(~pl.col("is_virtual") | few))
    assert measured(frames, tmp_path, "T7").verdict is verdict


def test_t7_above_b_is_red_even_inside_bplus(tmp_path: Path) -> None:
    thin = pl.col("arrival_seq") % 10 < 6
    frames = clean().with_arrivals(lambda rows: rows.filter(pl.col("is_virtual") | thin))
    result = measured(frames, tmp_path, "T7")
    assert result.value is not None
    assert 0.08 < result.value < 0.12
    assert result.verdict is Verdict.FAIL


def test_t8_is_red_when_local_dates_slip(clean_card: Scorecard, tmp_path: Path) -> None:
    moved = clean().with_arrivals(shifted("ts_local_primary", timedelta(days=1), pl.lit(True)))
    assert measured(moved, tmp_path / "moved", "T8").verdict is Verdict.FAIL
    result = clean_card.result("T8")
    weekday = clean().arrivals["ts_local_primary"].dt.weekday()
    assert result.detail["observed"] == pytest.approx((weekday >= 6).mean(), rel=1e-11)
    assert result.detail["expected"] == pytest.approx(result.detail["observed"], abs=0.015)


def test_t8_is_red_when_the_weekend_is_that_of_utc(tmp_path: Path) -> None:
    """Clocks show the right time of day on UTC's date: of twenty zones around the world, some change weekends late."""
    local = pl.col("ts_local_primary")
    dated = pl.col("ts_utc").dt.replace_time_zone(None).dt.truncate("1d") + (local - local.dt.truncate("1d"))
    strict = replace(clean(), changes={f"validation.gates.T8.{level}.max": 0.65 for level in ("b", "bplus")})
    assert measured(strict, tmp_path / "clean", "T8").verdict is Verdict.PASS_BPLUS
    by_utc = strict.with_arrivals(lambda rows: rows.with_columns(ts_local_primary=dated))
    assert measured(by_utc, tmp_path / "utc", "T8").verdict is Verdict.FAIL


def test_t8_standard_error_is_that_of_the_count_law(clean_card: Scorecard) -> None:
    """Against the spread over 400 fresh draws of every count."""
    rng = np.random.default_rng(11)
    table = clean_card.evidence.zone_buckets
    mu, weekend = table["mean"].to_numpy(), table["weekend"].to_numpy()
    kappa = np.where(mu > 0, 6.0, 1.0)
    draws = rng.negative_binomial(kappa, kappa / (kappa + mu), size=(400, mu.size))
    in_weekend = rng.binomial(draws, weekend)
    shares = in_weekend.sum(axis=1) / draws.sum(axis=1)
    stated = clean_card.result("T8").detail["standard_error_pp"] / 100
    assert stated == pytest.approx(shares.std(), rel=0.15)


def test_t8_says_when_the_scale_is_too_small(tmp_path: Path) -> None:
    frames = replace(clean(), changes={"validation.gates.T8.b.max": 0.2, "validation.gates.T8.bplus.max": 0.1})
    result = measured(frames, tmp_path, "T8")
    assert result.verdict is Verdict.INSUFFICIENT_POWER
    assert result.detail["arrivals_needed"] > clean().arrivals.height
    moved = frames.with_arrivals(shifted("ts_local_primary", timedelta(days=1), pl.lit(True)))
    assert measured(moved, tmp_path / "moved", "T8").verdict is Verdict.FAIL


def test_t9_tells_poisson_counts_from_dispersed_ones(clean_card: Scorecard, tmp_path: Path) -> None:
    result = clean_card.result("T9")
    mu = clean().counts.filter(pl.col("mu") > 0)["mu"].to_numpy()
    assert result.population == mu.size
    assert result.detail["rows_at_or_below_lambda_zero_eps"] == clean().counts.height - mu.size
    assert result.detail["model_value"] == pytest.approx(np.sqrt(1 + (mu / 6).mean()), rel=1e-9)
    assert result.value == pytest.approx(result.detail["model_value"], rel=0.03)
    drawn = np.random.default_rng(1).poisson(clean().counts["mu"].to_numpy()).astype(np.int32)
    frames = replace(clean(), counts=clean().counts.with_columns(count_N=pl.Series(drawn)))
    assert measured(frames, tmp_path, "T9").verdict is Verdict.FAIL
