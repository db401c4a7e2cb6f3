"""S4 against a plain-Python reading of the law: every row, every column."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.world.build import build_world
from segment5b_lib.world.world_file import load_spec
from tests.arrivals import (
    anomalies,
    frame,
    merchants_of_mode,
    move_sites_out_of_a_shared_zone,
    plant,
    policies_of,
    run_s4,
    upstream,
)
from tests.reference.s4_reference import COLUMNS, reference_arrivals

HORIZON_START = datetime(2026, 1, 1, tzinfo=UTC)


def compare(run, policies, *, frozen_at, merchants=None, scenario=None):
    """Assert equality and return the reference's routing."""
    scenario = scenario or run.scenarios[0]
    expected, routing = reference_arrivals(
        run.root,
        run.world.root,
        scenario,
        policies.model_dump(mode="json"),
        frozen_at=frozen_at,
        merchants=merchants,
    )
    found = frame(run, scenario)
    if merchants is not None:
        found = found.filter(pl.col("merchant_id").is_in(list(merchants)))
    assert found.height > 1000
    for name in COLUMNS:
        assert found[name].to_list() == expected[name], name
    return routing


def test_published_rows_are_the_references(published_run):
    """Zones from group weights, a cache that ends with 2025: wrong local times, and exactly those."""
    compare(published_run, published_run.policies, frozen_at=HORIZON_START)


def test_civil_time_rows_are_the_references(civil_time_run):
    """Each row's own zone, a cache that covers the horizon: the wall clock of the database."""
    compare(civil_time_run, civil_time_run.policies, frozen_at=None)


@pytest.mark.parametrize("binding", ["group_weights", "row_zone"])
def test_hybrid_rows_are_the_references(own_run, binding):
    virtual = merchants_of_mode(own_run.world, "VIRTUAL_ONLY")
    plant(
        own_run.world,
        "virtual_classification_3B",
        lambda rows: rows.with_columns(virtual_mode=pl.col("virtual_mode").replace("VIRTUAL_ONLY", "HYBRID")),
    )
    policies = policies_of("published", {"routing.zone_binding": binding})
    run_s4(own_run, policies)
    compare(own_run, policies, frozen_at=HORIZON_START, merchants=set(virtual))
    share = frame(own_run).filter(pl.col("merchant_id").is_in(virtual))["is_virtual"].mean()
    assert share == pytest.approx(0.35, abs=0.03)


def test_tempered_rows_are_the_references(own_run):
    busiest = frame(own_run)["tzid_primary"].value_counts(sort=True)["tzid_primary"].to_list()
    tilt = {"mode": "exponential_tilt", "eta": 1.5, "scores": {busiest[0]: 1.0, busiest[1]: 0.5}}
    policies = policies_of("published", {"routing.concentration_temper": tilt})
    before = frame(own_run).filter(pl.col("tzid_primary") == busiest[0]).height
    run_s4(own_run, policies)
    widest = upstream(own_run.world, "s4_group_weights").group_by("merchant_id").agg(pl.col("tz_group_id").n_unique())
    merchant = widest.sort("tz_group_id", "merchant_id")["merchant_id"][-1]
    compare(own_run, policies, frozen_at=HORIZON_START, merchants={merchant})
    assert frame(own_run).filter(pl.col("tzid_primary") == busiest[0]).height < before


@pytest.mark.parametrize("binding", ["group_weights", "row_zone"])
def test_redirected_rows_are_the_references(own_run, binding):
    """A zone in which the merchant has no site, under `anomaly`: drawn from the weights, or the row's own."""
    merchant, zone = move_sites_out_of_a_shared_zone(own_run)
    changes = {"routing.site_missing_in_zone": "anomaly", "routing.zone_binding": binding}
    policies = policies_of("published", changes)
    counters = run_s4(own_run, policies)
    routing = compare(own_run, policies, frozen_at=HORIZON_START, merchants={merchant})
    listed = [row for row in anomalies(own_run) if row["anomaly_code"] == "SITE_MISSING_IN_ZONE"]
    contexts = [json.loads(row["context"]) for row in listed]
    found = {(*(row[name] for name in SERIES_KEY), row["tzid_needed"]): row["arrivals"] for row in contexts}
    assert found == {(*series, tzid): count for (series, tzid), count in routing.unroutable.items()}
    assert {row["tzid_needed"] for row in contexts} == {zone}
    assert {row["tzid_used"] for row in contexts} == {routing.nearest(merchant, zone)}
    codes = counters["scenarios"][own_run.scenarios[0]]["anomaly_codes"]
    assert codes["SITE_MISSING_IN_ZONE"] == len(listed) > 0


def test_a_zone_over_several_countries_is_the_references(own_run):
    """Sites of a zone are in (country, site_order) order: here all of a merchant's sites lie in one zone."""
    sites = upstream(own_run.world, "site_timezones")
    physical = merchants_of_mode(own_run.world, "NON_VIRTUAL")
    countries = (
        sites.filter(pl.col("merchant_id").is_in(physical))
        .group_by("merchant_id")
        .agg(pl.col("legal_country_iso").n_unique(), pl.col("site_order").max(), pl.col("tzid").sort().first())
    )
    merchant, spread, orders, zone = countries.sort("site_order", "merchant_id").row(-1)
    assert spread > 1 and orders > 1
    own = pl.col("merchant_id") == merchant
    one = pl.when(own).then(pl.lit(zone)).otherwise("tzid")
    plant(own_run.world, "site_timezones", lambda rows: rows.with_columns(tzid=one))
    plant(own_run.world, "s4_group_weights", lambda rows: rows.filter(~own | (pl.col("tz_group_id") == zone)))
    policies = policies_of("published")
    run_s4(own_run, policies)
    compare(own_run, policies, frozen_at=HORIZON_START, merchants={merchant})


def test_rows_of_a_second_scenario_are_the_references(private_outputs):
    world = build_world(load_spec("tiny", {"scenarios": ["baseline_v1", "stress_peak_v1"]}), private_outputs).world
    run = create_run(world, policies_of("published"), seed=7, posture="published")
    run_states(run, ["S0", "S1", "S2", "S3", "S4"], threads=2)
    merchants = set(frame(run, "stress_peak_v1")["merchant_id"].unique().sort()[:2])
    compare(run, run.policies, frozen_at=HORIZON_START, merchants=merchants, scenario="stress_peak_v1")
    counters = run.counters("S4")
    assert set(counters["scenarios"]) == set(counters["shards"]) == set(run.scenarios)
    parts = [scenario["total_arrivals"] for scenario in counters["scenarios"].values()]
    assert counters["total_arrivals"] == sum(parts)
    offsets = [frame(run, scenario)["ts_utc"].head(1000).to_list() for scenario in run.scenarios]
    assert offsets[0] != offsets[1]
