"""What S4 publishes: conservation, order, nulls, types, summary, counters."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segment5b_lib.contract.datasets import SERIES_KEY, arrival_schema
from tests.arrivals import (
    ANOMALIES,
    ARRIVALS,
    SUMMARY,
    anomalies,
    arrivals,
    counts,
    frame,
    merchants_of_mode,
    plant,
    policies_of,
    run_s4,
)

CELL = [*SERIES_KEY, "bucket_index"]
HOUR = 3600 * 10**6


@pytest.fixture(params=["published_run", "civil_time_run"])
def run(request):
    return request.getfixturevalue(request.param)


def test_every_cell_has_exactly_its_count(run):
    found = frame(run).group_by(CELL).len().sort(CELL)
    expected = counts(run).filter(pl.col("count_N") > 0).select(*CELL, len="count_N").sort(CELL)
    assert found.equals(expected.cast({"len": pl.UInt32}))


def test_rows_rise_by_merchant_time_and_number(run):
    rows = frame(run).select("merchant_id", "ts_utc", "arrival_seq")
    assert rows.equals(rows.unique().sort("merchant_id", "ts_utc", "arrival_seq"))
    numbers = rows.with_columns(expected=pl.int_range(1, pl.len() + 1).over("merchant_id"))
    assert (numbers["arrival_seq"] == numbers["expected"]).all()


def test_timestamps_lie_in_their_half_open_bucket(run):
    start = run.table("s1_time_grid_5B", ["bucket_start_utc"], run.scenarios[0])["bucket_start_utc"][0].value
    rows = frame(run)
    offset = rows["ts_utc"] - start - rows["bucket_index"].cast(pl.Int64) * HOUR
    assert offset.min() >= 0
    assert offset.max() < HOUR
    assert offset.n_unique() > 0.99 * len(offset)


def test_physical_and_virtual_rows_have_their_own_columns(run):
    rows = frame(run)
    virtual = rows.filter("is_virtual")
    assert virtual.height > 1000
    only_virtual = ["edge_id", "tzid_settlement", "ts_local_settlement", "tzid_operational", "ts_local_operational"]
    assert rows.filter(~pl.col("is_virtual")).select(only_virtual).null_count().sum_horizontal()[0] == 5 * (
        rows.height - virtual.height
    )
    assert virtual.select(only_virtual).null_count().sum_horizontal()[0] == 0
    assert (rows["site_id"].is_null() == rows["is_virtual"]).all()
    assert rows.drop("site_id", *only_virtual).null_count().sum_horizontal()[0] == 0
    assert (virtual["tzid_operational"] == virtual["tzid_primary"]).all()
    assert (virtual["ts_local_operational"] == virtual["ts_local_primary"]).all()
    assert rows.group_by("is_virtual").agg(pl.col("routing_universe_hash").n_unique())[
        "routing_universe_hash"
    ].to_list() == [1, 1]
    assert rows["routing_universe_hash"].n_unique() == 2


def test_columns_have_the_contracts_types(run):
    utc_marked = run.policies.placement.local_time_encoding == "utc_marked"
    for path in run.files(ARRIVALS, run.scenarios[0]):
        schema = pq.read_schema(path)
        assert schema.remove_metadata().equals(arrival_schema(utc_marked=utc_marked))
        assert {key.decode(): value.decode() for key, value in schema.metadata.items()} == {
            "parameter_hash": run.receipt.parameter_hash,
            "manifest_fingerprint": run.receipt.manifest_fingerprint,
            "seed": "42",
            "scenario_id": run.scenarios[0],
        }
        local = pq.read_metadata(path).schema.column(schema.get_field_index("ts_local_primary"))
        assert ("isAdjustedToUTC=true" in str(local.logical_type)) == utc_marked


def test_row_zone_keeps_every_physical_arrival_in_its_rows_zone(civil_time_run, published_run):
    physical = frame(civil_time_run).filter(~pl.col("is_virtual"))
    assert (physical["tzid_primary"] == physical["zone_representation"]).all()
    other = frame(published_run).filter(~pl.col("is_virtual"))
    assert (other["tzid_primary"] != other["zone_representation"]).any()


def test_modes_decide_who_is_virtual(run):
    rows = frame(run)
    only = merchants_of_mode(run.world, "VIRTUAL_ONLY")
    assert (rows["merchant_id"].is_in(only) == rows["is_virtual"]).all()


def test_summary_is_the_arrivals_added_up(run):
    found = run.frame(SUMMARY, scenario_id=run.scenarios[0])
    expected = (
        frame(run)
        .group_by(CELL)
        .agg(
            count_N=pl.len().cast(pl.Int32),
            count_physical=(~pl.col("is_virtual")).sum().cast(pl.Int32),
            count_virtual=pl.col("is_virtual").sum().cast(pl.Int32),
            first_arrival_seq=pl.col("arrival_seq").min(),
        )
        .sort(CELL)
    )
    assert found.equals(expected)


def test_anomalies_are_a_typed_file_also_when_there_are_none(civil_time_run, published_run):
    assert anomalies(civil_time_run) == []
    listed = anomalies(published_run)
    assert [row["anomaly_id"] for row in listed] == list(range(1, len(listed) + 1))
    assert {row["anomaly_code"] for row in listed} == {"HORIZON_SHORT"}
    for run in (civil_time_run, published_run):
        assert run.table(ANOMALIES, scenario_id=run.scenarios[0]).schema.field("context").type == pa.string()


def test_counters_are_those_of_the_rows(run):
    counters, rows = run.counters("S4"), frame(run)
    virtual, online = rows.filter("is_virtual"), merchants_of_mode(run.world, "VIRTUAL_ONLY")
    assert counters["total_arrivals"] == counters["total_rows_written"] == counters["rows_out"] == rows.height
    assert counters["total_virtual"] == virtual.height
    assert counters["total_bucket_rows"] == counters["rows_in"] == counts(run).height
    assert counters["missing_group_weights"] == 0
    assert counters["anomalies"] == len(anomalies(run))
    drawn = {
        "S4.arrival_time.v2": (rows, 1),
        "S4.arrival_site_pick.v2": (rows.filter(~pl.col("merchant_id").is_in(online)), 2),
        "S4.arrival_edge_pick.v2": (virtual, 1),
    }
    for total in counters["rng"]:
        some, lanes = drawn.pop(total["family"])
        domains = some.select(SERIES_KEY).unique().sort(SERIES_KEY).rows()
        assert total["events"] == total["blocks"] == some.height
        assert total["draws"] == lanes * some.height
        assert [total["first_domain"], total["last_domain"]] == ["|".join(map(str, domains[at])) for at in (0, -1)]
    assert not drawn


def test_part_statistics_are_those_of_the_part_files(run):
    statistics = run.counters("S4")["shards"][run.scenarios[0]]
    files = {path.name: path for path in run.files(ARRIVALS, run.scenarios[0])}
    assert set(files) == set(statistics)
    for name, path in files.items():
        rows = pl.DataFrame(pl.from_arrow(pq.read_table(path))).with_columns(pl.col(pl.Datetime).to_physical())
        place = [a or b for a, b in rows.select("site_id", "edge_id").rows()]
        zones = rows["tzid_primary"].cast(pl.String).value_counts()
        assert statistics[name] == {
            "rows": rows.height,
            "virtual": rows["is_virtual"].sum(),
            "first_ts_us": rows["ts_utc"].min(),
            "last_ts_us": rows["ts_utc"].max(),
            "seq_sum": rows["arrival_seq"].sum(),
            "offset_minutes_sum": (rows["ts_local_primary"] - rows["ts_utc"]).sum() // (60 * 10**6),
            "place_id_sum": sum(place) % 2**64,
            "rows_of_zone": dict(zones.rows()),
        }


def test_a_run_without_arrivals_publishes_empty_typed_files(own_run):
    for path in own_run.files("s3_bucket_counts_5B", own_run.scenarios[0]):
        table = pq.read_table(path)
        position = table.schema.get_field_index("count_N")
        none = pa.array([0] * table.num_rows, pa.int32())
        pq.write_table(table.set_column(position, table.schema.field(position), none), path)
    counters = run_s4(own_run, policies_of("published"))
    assert counters["total_arrivals"] == arrivals(own_run).num_rows == 0
    assert own_run.table(SUMMARY, scenario_id=own_run.scenarios[0]).num_rows == 0
    assert [total["first_domain"] for total in counters["rng"]] == [None] * 3


def test_a_site_without_weight_is_never_drawn(own_run):
    rows = frame(own_run).filter(pl.col("site_id").is_not_null())
    shared = (
        rows.group_by("merchant_id", "tzid_primary").agg(pl.col("site_id").n_unique()).filter(pl.col("site_id") > 1)
    )
    merchant, zone, _ = shared.sort("merchant_id", "tzid_primary").row(0)
    key = pl.col("merchant_id") == merchant
    sites = own_run.world.frame("site_timezones").filter(key & (pl.col("tzid") == zone))
    first = sites.sort("legal_country_iso", "site_order").row(0, named=True)
    chosen = key & (pl.col("legal_country_iso") == first["legal_country_iso"])
    chosen &= pl.col("site_order") == first["site_order"]
    plant(
        own_run.world,
        "s1_site_weights",
        lambda weights: weights.with_columns(p_weight=pl.when(chosen).then(0.0).otherwise("p_weight")),
    )
    before = rows.filter(key)["site_id"].n_unique()
    run_s4(own_run, policies_of("published"))
    assert frame(own_run).filter(key)["site_id"].drop_nulls().n_unique() == before - 1
