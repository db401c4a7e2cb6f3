"""The forecast against a second computation from the sealed tables, by joins and zoneinfo."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from segment5b_lib.civil_time import cache as tz_cache

START = datetime(2026, 1, 1, tzinfo=UTC)


def wrong_hours(world, zones):
    """Buckets in which the sealed cache's offset is not zoneinfo's, as (tzid, bucket)."""
    cache = tz_cache.decode(world.files("tz_timetable_cache")[0].read_bytes(), "test")
    rows = []
    for name in zones:
        seconds, minutes = (column.tolist() for column in cache.zone(name))
        zone = ZoneInfo(name)
        for bucket in range(2160):
            instant = START + timedelta(hours=bucket)
            cached = minutes[bisect_right(seconds, instant.timestamp()) - 1]
            if timedelta(minutes=cached) != instant.astimezone(zone).utcoffset():
                rows.append((name, bucket))
    return pl.DataFrame(rows, schema={"tzid": pl.String, "bucket": pl.Int32}, orient="row")


@pytest.fixture(scope="module")
def routed(tiny_world):
    """Expected arrivals by zone and bucket under `group_weights`, edges for online merchants."""
    surface = (
        tiny_world.frame("merchant_zone_scenario_local_5A", scenario_id="baseline_v1")
        .group_by("merchant_id", pl.col("local_horizon_bucket_index").alias("bucket"))
        .agg(pl.col("lambda_local_scenario").cast(pl.Float64).sum().alias("mu"))
        .with_columns((pl.lit(START) + pl.duration(hours="bucket")).dt.strftime("%Y-%m-%d").alias("day"))
    )
    online = tiny_world.frame("virtual_classification_3B").filter("is_virtual")["merchant_id"]
    groups = tiny_world.frame("s4_group_weights")
    physical = (
        surface.filter(~pl.col("merchant_id").is_in(online.implode()))
        .join(groups, left_on=["merchant_id", "day"], right_on=["merchant_id", "utc_day"])
        .select("bucket", pl.col("tz_group_id").alias("tzid"), (pl.col("mu") * pl.col("p_group")).alias("mu"))
    )
    edges = tiny_world.frame("edge_catalogue_3B")
    virtual = (
        surface.filter(pl.col("merchant_id").is_in(online.implode()))
        .join(edges, on="merchant_id")
        .select("bucket", pl.col("tzid_operational").alias("tzid"), (pl.col("mu") * pl.col("edge_weight")).alias("mu"))
    )
    return physical, virtual


def test_the_forecast_is_what_the_sealed_tables_give(tiny_world, routed):
    physical, virtual = routed
    both = pl.concat([physical, virtual])
    total = both["mu"].sum()
    forecast = tiny_world.document["forecast"]
    wrong = both.join(wrong_hours(tiny_world, sorted(set(both["tzid"]))), on=["tzid", "bucket"], how="semi")
    assert forecast["t1_share"] == pytest.approx(wrong["mu"].sum() / total, rel=1e-4)
    assert forecast["t7_share"] == pytest.approx(virtual["mu"].sum() / total, rel=1e-4)
    zones = both.group_by("tzid").agg(pl.col("mu").sum()).sort("mu", descending=True)
    assert forecast["t6_share"] == pytest.approx(zones["mu"][:10].sum() / total, rel=1e-4)
    largest = {row["tzid"]: row["mu"] / total for row in zones[:10].to_dicts()}
    assert forecast["largest_zones"] == pytest.approx(largest, rel=1e-4)
    assert forecast["arrivals"] == pytest.approx(total, rel=1e-4)


def test_published_and_reopened_forecasts_tell_the_story(tiny_world, reopened_world):
    published, reopened = (w.document["forecast"] for w in (tiny_world, reopened_world))
    assert 0.02 < published["t1_share"] < 0.04
    assert reopened["t1_share"] == 0.0
    assert {k: v for k, v in published.items() if k != "t1_share"} == {
        k: v for k, v in reopened.items() if k != "t1_share"
    }
