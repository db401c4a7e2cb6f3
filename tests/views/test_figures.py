"""The published figures' statistics against plain Python over every row of the tiny run, and by hand."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from segment5b_lib import views
from segment5b_lib.charts import MAX_ROWS
from segment5b_lib.gates.evidence.intensity_pass import FACTOR_STEP, LatentFactor
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.store.runs import Run
from segment5b_lib.views.inequality import arrivals_by, gini, share_of_top

SCENARIO = "baseline_v1"
BUCKETS = 2160
KEY = ("merchant_id", "legal_country_iso", "zone_representation", "channel_group")


def rows_of(folder: Path, columns: list[str]) -> list[dict[str, Any]]:
    tables = [pq.read_table(path, columns=columns, partitioning=None) for path in sorted(folder.glob("*.parquet"))]
    return [row for table in tables for row in table.to_pylist()]


@pytest.fixture(scope="module")
def evidence(published_run: Run) -> Evidence:
    return Evidence(published_run)


@pytest.fixture(scope="module")
def arrivals(published_run: Run) -> list[dict[str, Any]]:
    columns = ["merchant_id", "site_id", "edge_id", "tzid_primary", "zone_representation", "is_virtual"]
    return rows_of(published_run.folder("arrival_events_5B", SCENARIO), columns)


@pytest.fixture(scope="module")
def counts(published_run: Run) -> list[dict[str, Any]]:
    return rows_of(published_run.folder("s3_bucket_counts_5B", SCENARIO), ["merchant_id", "mu", "count_N"])


@pytest.fixture(scope="module")
def factors(published_run: Run) -> dict[tuple[Any, ...], list[float]]:
    """Latent factors by series, in order of buckets."""
    rows = rows_of(
        published_run.folder("s2_realised_intensity_5B", SCENARIO), [*KEY, "bucket_index", "lambda_random_component"]
    )
    series: dict[tuple[Any, ...], dict[int, float]] = {}
    for row in rows:
        key = tuple(row[name] for name in KEY)
        series.setdefault(key, {})[row["bucket_index"]] = row["lambda_random_component"]
    return {key: [own[bucket] for bucket in range(BUCKETS)] for key, own in series.items()}


def gini_of_pairs(amounts: list[float]) -> float:
    """Mean absolute difference of all pairs over twice the mean: the definition, without sorting."""
    n, total = len(amounts), sum(amounts)
    return sum(abs(a - b) for a in amounts for b in amounts) / (2 * n * total)


def quantile(values: list[float], q: float) -> float:
    """Linear interpolation between order statistics."""
    ordered = sorted(values)
    position = q * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [([5, 5, 5, 5], 0.0), ([0, 0, 0, 7], 0.75), ([1, 3], 0.25), ([1, 2, 3, 4], 0.25), ([9], 0.0)],
)
def test_gini_by_hand(amounts: list[int], expected: float) -> None:
    assert gini(pl.Series(amounts)) == pytest.approx(expected)
    assert gini_of_pairs([float(a) for a in amounts]) == pytest.approx(expected)


@pytest.mark.parametrize("amounts", [[], [0, 0]])
def test_where_nothing_is_shared_nobody_is_unequal(amounts: list[int]) -> None:
    shared = pl.Series(amounts, dtype=pl.Int64)
    assert gini(shared) is None
    assert share_of_top(shared, 0.01) is None


def test_the_top_part_is_rounded_up() -> None:
    amounts = pl.Series(list(range(1, 102)))
    assert share_of_top(amounts, 0.01) == pytest.approx((101 + 100) / 5151)
    assert share_of_top(amounts, 1.0) == 1.0


def test_lorenz_is_gini_of_every_pair_of_places(evidence: Evidence, arrivals: list[dict[str, Any]]) -> None:
    frame = views.lorenz(evidence)
    for kind, column in (("sites", "site_id"), ("edges", "edge_id")):
        seen = Counter(row[column] for row in arrivals if row[column] is not None)
        own = frame.filter(pl.col("kind") == kind)
        assert own["gini"].unique().to_list() == pytest.approx([gini_of_pairs([float(n) for n in seen.values()])])
        assert own.row(0)[1:3] == (0.0, 0.0) and own.row(-1)[1:3] == pytest.approx((1.0, 1.0))
        assert own["arrivals_share"].is_sorted() and (own["arrivals_share"] <= own["places_share"] + 1e-12).all()
        smallest = sorted(seen.values())
        for places, share in own.select("places_share", "arrivals_share").iter_rows():
            k = round(places * len(smallest))
            assert share == pytest.approx(sum(smallest[:k]) / len_of(seen))


def len_of(seen: Counter[Any]) -> int:
    return sum(seen.values())


def test_top_k_curves(evidence: Evidence, arrivals: list[dict[str, Any]]) -> None:
    frame = views.top_k_curves(evidence)
    columns = {"sites": "site_id", "edges": "edge_id", "merchants": "merchant_id", "zones": "tzid_primary"}
    assert frame["kind"].unique(maintain_order=True).to_list() == list(columns)
    for kind, column in columns.items():
        seen = Counter(row[column] for row in arrivals if row[column] is not None)
        largest = sorted(seen.values(), reverse=True)
        assert arrivals_by(evidence, kind).to_list() == largest
        own = frame.filter(pl.col("kind") == kind)
        assert (own["k"][0], own["k"][-1]) == (1, len(largest))
        for k, part, share in own.select("k", "k_share", "share").iter_rows():
            assert part == pytest.approx(k / len(largest))
            assert share == pytest.approx(sum(largest[:k]) / len_of(seen))
    assert frame.height + views.lorenz(evidence).height <= MAX_ROWS


def test_merchant_tail(evidence: Evidence, arrivals: list[dict[str, Any]]) -> None:
    seen = [float(n) for n in Counter(row["merchant_id"] for row in arrivals).values()]
    found = dict(views.merchant_tail(evidence).select("statistic", "value").iter_rows())
    expected = {name: quantile(seen, q) for name, q in (("median", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))}
    largest = max(seen) / sum(seen)
    assert found == pytest.approx({**expected, "top 1 %": largest, "top 5 %": largest})


def test_merchant_intensity(evidence: Evidence, arrivals: list[dict[str, Any]], counts: list[dict[str, Any]]) -> None:
    frame = views.merchant_intensity(evidence)
    expected: dict[int, float] = {}
    for row in counts:
        expected[row["merchant_id"]] = expected.get(row["merchant_id"], 0.0) + row["mu"]
    got = Counter(row["merchant_id"] for row in arrivals)
    online = {row["merchant_id"] for row in arrivals if row["is_virtual"]}
    for row in frame.iter_rows(named=True):
        merchant = int(row["merchant_id"])
        assert row["expected"] == pytest.approx(expected[merchant])
        assert row["arrivals"] == got[merchant]
        assert row["kind"] == ("virtual" if merchant in online else "physical")
    assert frame.height == len(expected) and frame["expected"].is_sorted(descending=True)


def test_a_merchant_of_both_kinds_and_one_without_arrivals(published_run: Run) -> None:
    evidence = Evidence(published_run)
    evidence.__dict__["places"] = pl.DataFrame(
        {"merchant_id": [1, 1, 2], "site_id": [10, None, 20], "edge_id": [None, 11, None], "arrivals": [3, 4, 5]},
        schema_overrides={"merchant_id": pl.UInt64, "arrivals": pl.Int64},
    )
    evidence.__dict__["merchant_counts"] = pl.DataFrame(
        {"merchant_id": [1, 2, 3], "expected": [7.5, 4.5, 9.0]}, schema_overrides={"merchant_id": pl.UInt64}
    )
    found = views.merchant_intensity(evidence).rows()
    assert found == [("3", "none", 9.0, 0), ("1", "both", 7.5, 7), ("2", "physical", 4.5, 5)]


def test_zero_rate_and_residuals(evidence: Evidence, counts: list[dict[str, Any]]) -> None:
    assert views.zero_rate(evidence) == pytest.approx(sum(row["count_N"] == 0 for row in counts) / len(counts))
    found = views.residuals(evidence)
    scattered = [(row["count_N"] - row["mu"]) / math.sqrt(row["mu"]) for row in counts if row["mu"] > 1e-9]
    assert found["rows"].sum() == len(scattered)
    assert found["low"].to_list() == pytest.approx([high - 0.05 for high in found["high"]])
    for low, high, rows, cumulative in found.select("low", "high", "rows", "cumulative").iter_rows():
        if -19 < low < 19:
            inside = sum(low <= residual < high for residual in scattered)
            assert abs(inside - rows) <= 2, "a residual on the edge of a bin may fall on either side"
            below = sum(residual < high for residual in scattered) / len(scattered)
            assert cumulative == pytest.approx(below, abs=3 / len(scattered))
    assert found["share"].sum() == pytest.approx(1)


def test_latent_factor(evidence: Evidence, factors: dict[tuple[Any, ...], list[float]]) -> None:
    every = [factor for own in factors.values() for factor in own]
    frame = views.latent_factor(evidence)
    found = dict(frame.select("statistic", "value").iter_rows())
    assert found["mean"] == pytest.approx(sum(every) / len(every), rel=1e-9)
    for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        assert found[name] == pytest.approx(sorted(every)[math.ceil(q * len(every)) - 1], abs=FACTOR_STEP)
    first = [factor for own in factors.values() for factor in own[:-1]]
    second = [factor for own in factors.values() for factor in own[1:]]
    assert found["lag-1 autocorrelation"] == pytest.approx(correlation(first, second), abs=1e-9)
    assert frame["population"].to_list() == [len(every)] * 4 + [len(first)]


def correlation(x: list[float], y: list[float]) -> float:
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    together = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    spread = sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y)
    return together / math.sqrt(spread)


def test_a_factor_that_never_varies_has_no_autocorrelation() -> None:
    histogram = pl.DataFrame({"bin": [10_000], "rows": [5], "total": [5.0]})
    field = LatentFactor(histogram, None, 4)
    assert field.mean == 1.0 and field.quantile(0.5) == pytest.approx(1.0, abs=FACTOR_STEP)
    empty = LatentFactor(histogram.clear(), None, 0)
    assert empty.mean is None and empty.quantile(0.5) is None


def test_component_multiplicity(evidence: Evidence, factors: dict[tuple[Any, ...], list[float]]) -> None:
    keys = Counter((merchant, zone, channel) for merchant, _, zone, channel in factors)
    expected = Counter(keys.values())
    frame = views.component_multiplicity(evidence)
    assert dict(frame.select("components", "series_keys").iter_rows()) == expected
    assert frame["row_keys"].to_list() == [n * BUCKETS for n in frame["series_keys"]]
    assert (frame["components"] * frame["series_keys"]).sum() == len(factors)
    assert len(expected) > 1, "the tiny world has keys of several components"


def test_row_zones_are_the_zones_of_the_rows_and_of_the_edges(
    evidence: Evidence, arrivals: list[dict[str, Any]]
) -> None:
    expected = Counter(row["tzid_primary"] if row["is_virtual"] else row["zone_representation"] for row in arrivals)
    frame = views.row_zone_shares(evidence)
    assert dict(frame.select("tzid", "arrivals").iter_rows()) == expected
    assert frame["arrivals"].is_sorted(descending=True) and frame["cumulative"][-1] == pytest.approx(1)
    assert frame["rank"].to_list() == list(range(1, len(expected) + 1))


def test_day_shares_add_up_the_hour_profile(evidence: Evidence) -> None:
    profile = views.hour_profile(evidence)
    for row in views.day_shares(evidence).iter_rows(named=True):
        own = profile.filter((pl.col("kind") == row["kind"]) & (pl.col("basis") == row["basis"]))
        hours: dict[int, int] = dict(own.select("hour", "arrivals").iter_rows())
        total = sum(hours.values())
        assert row["arrivals"] == total
        assert hours[row["peak_hour"]] == max(hours.values())
        for first, last in ((9, 17), (18, 23), (0, 5)):
            part = sum(hours.get(hour, 0) for hour in range(first, last + 1))
            assert row[f"hours_{first:02}-{last:02}"] == pytest.approx(part / total)
