"""The one pass against an independent witness: DuckDB counts the same rows, zoneinfo says what they should show."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime

import duckdb
import numpy as np
import polars as pl
import pytest

from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.store import scan
from segment5b_lib.store.runs import Run

CENSUS = """
    SELECT tzid_primary AS tzid, epoch_us(ts_utc) // 900000000 * 900 AS second, is_virtual,
           site_id IS NOT NULL AS has_site, edge_id IS NOT NULL AS has_edge,
           (epoch_us(ts_local_primary) - epoch_us(ts_utc)) // 1000000 AS shown, count(*) AS arrivals
    FROM read_parquet(?) GROUP BY ALL
"""
KEYS = """
    SELECT count(*) FILTER (WHERE s3 <> s4), count(*) FROM (
        SELECT merchant_id, legal_country_iso, zone_representation, channel_group, bucket_index,
               sum(s3) AS s3, sum(s4) AS s4
        FROM (SELECT *, count_N AS s3, 0 AS s4 FROM read_parquet($counts)
              UNION ALL BY NAME SELECT *, 0 AS s3, 1 AS s4 FROM read_parquet($arrivals))
        GROUP BY ALL HAVING sum(s3) <> 0 OR sum(s4) <> 0)
"""
PLACES = "SELECT merchant_id, site_id, edge_id, count(*) AS arrivals FROM read_parquet(?) GROUP BY ALL ORDER BY ALL"


def paths(run: Run, dataset_id: str) -> list[str]:
    return [str(path) for path in run.files(dataset_id, run.scenarios[0])]


def query(text: str, parameters: object) -> pl.DataFrame:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return pl.DataFrame(pl.from_arrow(connection.sql(text, params=parameters).to_arrow_table()))


def true_offset(tzid: str, second: int) -> int:
    offset = datetime.fromtimestamp(second, UTC).astimezone(zoneinfo.ZoneInfo(tzid)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


@pytest.fixture(scope="module", params=["published_run", "civil_time_run"])
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def evidence(run: Run) -> Evidence:
    return Evidence(run)


def test_census_is_what_duckdb_counts(run: Run, evidence: Evidence) -> None:
    witness = query(CENSUS, [paths(run, "arrival_events_5B")]).with_columns(pl.col("arrivals").cast(pl.Int64))
    seconds = witness.select("tzid", "second").unique()
    offsets = [true_offset(tzid, second) for tzid, second in seconds.iter_rows()]
    known = seconds.with_columns(offset=pl.Series(offsets))
    expected = (
        witness.join(known, on=["tzid", "second"])
        .select("tzid", "second", (pl.col("shown") - pl.col("offset")).cast(pl.Int32).alias("error_seconds"),
                "is_virtual", "has_site", "has_edge", "arrivals",
                expected_hour=((pl.col("second") + pl.col("offset")) // 3600 + 72) % 168,
                stored_hour=((pl.col("second") + pl.col("shown")) // 3600 + 72) % 168)
    )  # fmt: skip
    mine = evidence.census.select(expected.columns)
    order = [name for name in expected.columns if name != "arrivals"]
    assert mine.cast(dict(expected.schema)).sort(order).equals(expected.sort(order))


def test_conservation_is_what_duckdb_counts(run: Run, evidence: Evidence) -> None:
    names = {"counts": "s3_bucket_counts_5B", "arrivals": "arrival_events_5B"}
    differing, keys = query(KEYS, {name: paths(run, dataset_id) for name, dataset_id in names.items()}).row(0)
    rows = evidence.conservation[0].to_dicts()[0]
    assert (rows["keys_that_differ"], rows["keys_compared"]) == (differing, keys)


def test_places_are_what_duckdb_counts(run: Run, evidence: Evidence) -> None:
    witness = query(PLACES, [paths(run, "arrival_events_5B")]).cast({"arrivals": pl.Int64})
    key = ["merchant_id", "site_id", "edge_id"]
    assert evidence.places.sort(key).equals(witness.sort(key))


def test_intensities_and_counts_by_zone_are_what_polars_sums(run: Run, evidence: Evidence) -> None:
    key = ["zone_representation", "bucket_index"]
    s2 = pl.scan_parquet(paths(run, "s2_realised_intensity_5B"), hive_partitioning=False)
    s3 = pl.scan_parquet(paths(run, "s3_bucket_counts_5B"), hive_partitioning=False)
    variance = pl.col("mu") + pl.col("mu") ** 2 / pl.col("kappa")
    expected = (
        s2.group_by(key).agg(intensity=pl.col("lambda_realised").sum())
        .join(s3.group_by(key).agg(mean=pl.col("mu").sum(), variance=variance.sum()), on=key)
        .rename({"zone_representation": "tzid"}).with_columns(pl.col("tzid").cast(pl.String))
        .sort("tzid", "bucket_index").collect()
    )  # fmt: skip
    mine = evidence.zone_buckets.sort("tzid", "bucket_index")
    assert mine["tzid"].equals(expected["tzid"])
    for name in ("intensity", "mean", "variance"):
        assert np.allclose(mine[name], expected[name], rtol=1e-10, atol=1e-12), name


def test_nothing_depends_on_the_number_of_threads(civil_time_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for count in (1, 3):
        monkeypatch.setattr(scan, "threads", lambda count=count: count)
        evidence = Evidence(civil_time_run)
        found.append((evidence.census.sort(pl.all()), evidence.arrival_totals.tolist(), evidence.zone_buckets))
    assert found[0][1] == found[1][1]
    assert found[0][0].equals(found[1][0])
    assert found[0][2].equals(found[1][2])
