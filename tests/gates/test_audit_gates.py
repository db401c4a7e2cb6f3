"""A1 to A5: what each measures, against a second way to measure it, and what it says without data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.a02_phase import profile_distances
from segment5b_lib.gates.a03_count_law import ks_distance, probability_up_to
from segment5b_lib.gates.a04_routing_law import pooled_cells
from segment5b_lib.gates.evidence.trace import draws_that_differ, sampled_series
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.identity import site_id
from tests.gates.hand_made import KAPPA, SITE_WEIGHTS, START, ZONES, Frames, clean, measured

HOUR_US = 3_600_000_000


def bucket_start() -> pl.Expr:
    epoch = pl.lit(START * 10**6) + pl.col("bucket_index").cast(pl.Int64) * HOUR_US
    return epoch.cast(pl.Datetime("us", "UTC"))


def moved_to(offset_us: pl.Expr) -> Frames:
    """Every arrival at another offset of its bucket; rows are sorted again."""
    return clean().with_arrivals(
        lambda rows: rows.with_columns(ts_utc=bucket_start() + pl.duration(microseconds=offset_us)).sort(
            "merchant_id", "ts_utc", "arrival_seq"
        )
    )


def test_a1_traces_every_draw_of_its_sample(clean_card: Scorecard) -> None:
    result = clean_card.result("A1")
    counts, tables = clean_card.evidence.counts["baseline_v1"], clean_card.evidence.tallies["baseline_v1"].tables
    sampled = counts.counts[tables.sample == 1].sum()
    assert 0 < result.detail["draws_traced"] == sampled <= clean_card.evidence.policy.audit.traced_draws
    assert result.detail["keys"] == 5 * len(ZONES)
    assert sampled_series(counts, 0, 5).sum() == 0
    assert not np.array_equal(sampled_series(counts, 20_000, 6), tables.sample), "another seed, another sample"


def test_a1_sees_draws_that_are_not_their_streams(tmp_path: Path) -> None:
    later = clean().with_arrivals(lambda rows: rows.with_columns(pl.col("ts_utc") + timedelta(microseconds=1)))
    result = measured(later, tmp_path, "A1")
    assert (result.value, result.verdict) == (0.0, Verdict.FAIL)
    assert result.detail["draws_that_are_not_defined"] == 2 * result.detail["draws_traced"]


def test_a1_needs_a_series_that_is_small_enough(tmp_path: Path) -> None:
    frames = replace(clean(), changes={"validation.audit.traced_draws": 1})
    result = measured(frames, tmp_path, "A1")
    assert result.verdict is Verdict.INSUFFICIENT_POWER
    assert "1 arrivals" in result.reason


def test_differing_draws_are_counted_on_both_sides() -> None:
    key = {"merchant_id": [1, 1], "legal_country_iso": ["GB"] * 2, "zone_representation": ["Etc/UTC"] * 2}
    rows = pl.DataFrame({**key, "channel_group": ["mixed"] * 2, "bucket_index": [0, 0], "offset": [5, 5]})
    assert draws_that_differ(rows, rows).is_empty()
    assert draws_that_differ(rows, rows[:1])["differing"].to_list() == [1]
    assert draws_that_differ(rows, rows.with_columns(offset=pl.lit(6, pl.Int64)))["differing"].to_list() == [4]


def test_a1_duplicates_count_pairs_like_a_self_join(clean_card: Scorecard, tmp_path: Path) -> None:
    coarse = moved_to(pl.col("ts_utc").dt.epoch("us") % HOUR_US // 10_000_000 * 10_000_000)
    result = measured(coarse, tmp_path, "A1.duplicates")
    same = coarse.arrivals.group_by("merchant_id", "ts_utc").len()["len"]
    cells = clean().arrivals.group_by("merchant_id", "bucket_index").len()["len"]
    assert result.detail["pairs_at_one_microsecond"] == (same * (same - 1) // 2).sum()
    assert result.population == (cells * (cells - 1) // 2).sum() == clean_card.result("A1.duplicates").population
    assert result.detail["expected"] == pytest.approx(result.population / HOUR_US)
    assert result.verdict is Verdict.FAIL
    assert clean_card.result("A1.duplicates").value == pytest.approx(1.0, abs=1e-3)


def test_a1_offsets_pair_the_buckets_with_one_arrival(clean_card: Scorecard, tmp_path: Path) -> None:
    alone = clean().arrivals.filter(pl.len().over("merchant_id", "bucket_index") == 1)
    offset = (pl.col("ts_utc") - bucket_start()).dt.total_microseconds() * 16 // HOUR_US
    singles = alone.select("merchant_id", "bucket_index", bin=offset)
    after = singles.with_columns(pl.col("bucket_index") - 1).rename({"bin": "next"})
    pairs = singles.join(after, on=["merchant_id", "bucket_index"])
    table = np.zeros((16, 16))
    np.add.at(table, (pairs["bin"].to_numpy(), pairs["next"].to_numpy()), 1)
    result = clean_card.result("A1.offsets")
    assert result.population == pairs.height
    assert result.value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)
    repeated = moved_to(pl.col("merchant_id").cast(pl.Int64) * 170_000_000)
    assert measured(repeated, tmp_path / "repeated", "A1.offsets").verdict is Verdict.FAIL
    strict = replace(clean(), changes={"validation.audit.min_expected": 5})
    blind = measured(strict, tmp_path / "blind", "A1.offsets")
    assert blind.verdict is Verdict.INSUFFICIENT_POWER
    assert "1280 pairs" in blind.reason


def test_a2_counts_rows_whose_site_is_elsewhere(tmp_path: Path) -> None:
    """Every tenth row of Berlin says that it was made by New York's intensity."""
    some = (pl.col("zone_representation") == "Europe/Berlin") & (pl.col("arrival_seq") % 10 == 0)
    foreign = clean().with_arrivals(
        lambda rows: rows.with_columns(
            zone_representation=pl.when(some).then(pl.lit("America/New_York")).otherwise("zone_representation")
        )
    )
    result = measured(foreign, tmp_path, "A2")
    physical = clean().arrivals.filter(~pl.col("is_virtual"))
    assert result.population == physical.height
    assert result.value == pytest.approx(1 - physical.filter(some).height / physical.height, rel=1e-11)


def test_a2_profile_is_that_of_the_local_hours(clean_card: Scorecard) -> None:
    """Tokyo by hand: the hours of its physical arrivals against its own intensity, whole hours from UTC."""
    mine = clean().arrivals.filter((pl.col("tzid_primary") == "Asia/Tokyo") & ~pl.col("is_virtual"))
    observed = np.bincount(mine["ts_local_primary"].dt.hour().to_numpy(), minlength=24) / mine.height
    rows = clean().intensity.filter(pl.col("zone_representation") == "Asia/Tokyo")
    hours = (rows["bucket_index"].to_numpy() + 9) % 24
    share = np.bincount(hours, rows["lambda_realised"].to_numpy(), 24) / rows["lambda_realised"].sum()
    line = profile_distances(clean_card.evidence).filter(pl.col("tzid") == "Asia/Tokyo").to_dicts()[0]
    assert line["arrivals"] == mine.height
    assert line["mae_pp"] == pytest.approx(100 * np.abs(observed - share).mean(), rel=1e-9)


def test_a2_profile_law_is_the_mean_distance_over_fresh_draws(clean_card: Scorecard) -> None:
    rng = np.random.default_rng(3)
    rows = clean().counts.filter(pl.col("zone_representation") == "Asia/Tokyo")
    mu, hours = rows["mu"].to_numpy(), (rows["bucket_index"].to_numpy() + 9) % 24
    share = np.bincount(hours, mu, 24) / mu.sum()
    distances = []
    for _ in range(200):
        n = rng.binomial(rng.negative_binomial(KAPPA, KAPPA / (KAPPA + np.maximum(mu, 1e-12))), 0.94)
        observed = np.bincount(hours, n, 24)
        distances.append(100 * np.abs(observed / observed.sum() - share).mean())
    line = profile_distances(clean_card.evidence).filter(pl.col("tzid") == "Asia/Tokyo").to_dicts()[0]
    assert line["law_pp"] == pytest.approx(np.mean(distances), rel=0.1)


def test_a2_profile_is_red_when_a_zone_lives_by_another_clock(tmp_path: Path) -> None:
    """Six hours later everywhere: no clock is wrong, but rhythm and zone have parted."""
    late = clean().with_arrivals(lambda rows: rows.with_columns(pl.col("ts_utc") + timedelta(hours=6)))
    result = measured(late, tmp_path / "late", "A2.profile")
    assert result.verdict is Verdict.FAIL
    needy = replace(clean(), changes={"validation.audit.phase_min_arrivals": 1_000_000})
    assert measured(needy, tmp_path / "needy", "A2.profile").verdict is Verdict.INSUFFICIENT_POWER


def test_a3_is_a_test_of_the_law_and_not_of_its_moments(clean_card: Scorecard, tmp_path: Path) -> None:
    """A Poisson-lognormal count of the same mean and variance is not NB2."""
    assert clean_card.result("A3").population == (clean().counts["mu"] > 0).sum()
    rng, mu = np.random.default_rng(8), clean().counts["mu"].to_numpy()
    sigma = np.sqrt(np.log1p(1 / KAPPA))
    drawn = rng.poisson(mu * rng.lognormal(-(sigma**2) / 2, sigma, mu.size)).astype(np.int32)
    frames = replace(clean(), counts=clean().counts.with_columns(count_N=pl.Series(drawn)))
    assert abs((drawn - mu)[mu > 0].var() / (clean().counts["count_N"].to_numpy() - mu)[mu > 0].var() - 1) < 0.05
    lognormal = measured(frames, tmp_path / "lognormal", "A3")
    assert lognormal.value is not None and clean_card.result("A3").value is not None
    assert lognormal.value < 0.05 < clean_card.result("A3").value
    poisson = clean().counts.with_columns(count_N=pl.Series(rng.poisson(mu).astype(np.int32)))
    assert measured(replace(clean(), counts=poisson), tmp_path / "poisson", "A3").verdict is Verdict.FAIL
    honest = replace(clean(), counts=poisson, changes={"count.law": "poisson"})
    assert measured(honest, tmp_path / "honest", "A3").verdict is Verdict.PASS_BPLUS


def test_the_count_laws_are_scipys_to_the_last_bit() -> None:
    rng = np.random.default_rng(5)
    mu, kappa = 10 ** rng.uniform(-4, 3, 20_000), 10 ** rng.uniform(-1, 3, 20_000)
    k = rng.poisson(mu) - 1
    assert (k == -1).any()
    assert (probability_up_to(k, mu, kappa, "poisson") == stats.poisson.cdf(k, mu)).all()
    assert (probability_up_to(k, mu, kappa, "nb2") == stats.nbinom.cdf(k, kappa, kappa / (kappa + mu))).all()


def test_ks_distance_is_scipys() -> None:
    u = np.sort(np.random.default_rng(1).random(500) ** 1.1)
    assert ks_distance(u) == pytest.approx(stats.kstest(u, "uniform").statistic, rel=1e-12)


@pytest.mark.parametrize(
    ("weights", "cells"),
    [
        ([0.5, 0.3, 0.2], [50.0, 30.0, 20.0]),
        ([0.9, 0.04, 0.03, 0.03], [90.0, 10.0]),
        ([0.9, 0.06, 0.02, 0.02], [90.0, 10.0]),
        ([0.97, 0.03, 0.0], [100.0]),
        ([1.0], [100.0]),
    ],
)
def test_small_cells_are_pooled_within_their_group(weights: list[float], cells: list[float]) -> None:
    arrivals = [100, *[0] * (len(weights) - 1)]
    one = pl.DataFrame({"group": "a", "weight": weights, "arrivals": arrivals})
    other = pl.DataFrame({"group": "b", "weight": [1.0, 1.0], "arrivals": [0, 0]})
    found = pooled_cells(pl.concat([other, one]), 5)
    assert sorted(found["expected"], reverse=True) == pytest.approx(cells)
    assert found["arrivals"].sum() == 100
    assert set(found["group"]) == {"a"}


def test_a4_is_the_chi_square_of_the_sites(clean_card: Scorecard) -> None:
    physical = clean().arrivals.filter(~pl.col("is_virtual"))
    statistic = 0.0
    for merchant in range(1, len(ZONES) + 1):
        sites = [site_id(merchant, "GB", order) for order in (1, 2, 3)]
        mine = physical.filter(pl.col("merchant_id") == merchant)["site_id"]
        found = [(mine == site).sum() for site in sites]
        statistic += stats.chisquare(found, np.array(SITE_WEIGHTS) * len(mine)).statistic
    detail = clean_card.result("A4").detail
    assert detail["degrees_of_freedom"] == len(ZONES) * 3
    assert detail["cells"] == {"sites": 3 * len(ZONES), "edges": 2 * len(ZONES)}
    assert 0 < detail["chi_square"] - statistic < 60, "the rest is that of the edges, 20 degrees of freedom"


@pytest.mark.parametrize("planted", [12345, site_id(2, "GB", 1)])
def test_a4_fails_where_a_place_is_not_the_merchants(planted: int, tmp_path: Path) -> None:
    one = (pl.col("merchant_id") == 1) & (pl.col("arrival_seq") == 7) & ~pl.col("is_virtual")
    stray = clean().with_arrivals(
        lambda rows: rows.with_columns(
            site_id=pl.when(one).then(pl.lit(planted, pl.UInt64)).otherwise("site_id"),
        )
    )
    result = measured(stray, tmp_path, "A4")
    assert (result.verdict, result.detail["arrivals_at_foreign_places"]) == (Verdict.FAIL, 1)


def test_a5_distance_is_that_of_all_offsets(clean_card: Scorecard, tmp_path: Path) -> None:
    offset = clean().arrivals.select((pl.col("ts_utc") - bucket_start()).dt.total_microseconds() / HOUR_US)
    exact = stats.kstest(offset.to_series().to_numpy(), "uniform")
    result = clean_card.result("A5")
    assert exact.statistic - 1 / 3600 <= result.detail["distance"] <= exact.statistic
    squared = moved_to(((pl.col("ts_utc").dt.epoch("us") % HOUR_US / HOUR_US) ** 1.1 * HOUR_US).cast(pl.Int64))
    assert measured(squared, tmp_path, "A5").verdict is Verdict.FAIL


def test_a5_counts_rows_outside_their_bucket_and_out_of_order(tmp_path: Path) -> None:
    def outside(rows: pl.DataFrame) -> pl.DataFrame:
        last = pl.col("arrival_seq") == pl.col("arrival_seq").max().over("merchant_id")
        return rows.with_columns(ts_utc=pl.when(last).then(pl.col("ts_utc") + timedelta(hours=1)).otherwise("ts_utc"))

    result = measured(clean().with_arrivals(outside), tmp_path / "outside", "A5.window")
    assert (result.value, result.verdict) == (len(ZONES), Verdict.FAIL)
    backwards = clean().with_arrivals(lambda rows: rows.reverse())
    result = measured(backwards, tmp_path / "backwards", "A5.order")
    assert result.value == clean().arrivals.height - 1
    twice: dict[str, Any] = {"arrival_seq": pl.lit(1, pl.Int64), "ts_utc": bucket_start()}
    tied = measured(clean().with_arrivals(lambda rows: rows.with_columns(**twice)), tmp_path / "tied", "A5.order")
    cells = clean().arrivals.group_by("merchant_id", "bucket_index").len()["len"]
    assert tied.value == (cells - 1).sum(), "strictly: equal is out of order"
