"""Every rule that S4 enforces has a planted defect here that it refuses, leaving the old output untouched."""

import json

import polars as pl
import pytest

from segment5b_lib.civil_time import cache
from segment5b_lib.contract.policies import FailClosedRules
from segment5b_lib.errors import InputError, PolicyError, StateError
from segment5b_lib.states.s4 import expansion as s4_expansion
from segment5b_lib.store.digest import sha256_file
from tests.arrivals import (
    anomalies,
    arrivals,
    counts,
    frame,
    merchants_of_mode,
    move_sites_out_of_a_shared_zone,
    part_digests,
    plant,
    policies_of,
    run_s4,
    upstream,
)

ROW_ZONE = {"routing.zone_binding": "row_zone"}


def virtual_merchant(run):
    return merchants_of_mode(run.world, "VIRTUAL_ONLY")[0]


def without(merchant):
    return lambda rows: rows.filter(pl.col("merchant_id") != merchant)


def rewrite(run, dataset_id, change):
    (path,) = run.world.files(dataset_id)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def forget_components(document):
    del document["components"]["edge_catalogue_3B"]


def no_group_weights_on_one_day(run):
    day = upstream(run.world, "s4_group_weights")["utc_day"].unique().sort()[30]
    merchants = merchants_of_mode(run.world, "NON_VIRTUAL")
    merchant = counts(run).filter(pl.col("merchant_id").is_in(merchants) & (pl.col("count_N") > 0))["merchant_id"][0]
    gone = (pl.col("merchant_id") == merchant) & (pl.col("utc_day") == day)
    plant(run.world, "s4_group_weights", lambda rows: rows.filter(~gone))


def group_weights_of_zero(run):
    merchant = merchants_of_mode(run.world, "NON_VIRTUAL")[0]
    zero = pl.when(pl.col("merchant_id") == merchant).then(0.0).otherwise("p_group")
    plant(run.world, "s4_group_weights", lambda rows: rows.with_columns(p_group=zero))


def blob_with_another_byte(run):
    (path,) = run.world.files("edge_alias_blob_3B")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    rewrite_component(run, "edge_alias_blob_3B")


def slice_with_another_checksum(run):
    wrong = pl.col("merchant_alias_checksum").str.replace("^.", "x")
    plant(run.world, "edge_alias_index_3B", lambda rows: rows.with_columns(merchant_alias_checksum=wrong))
    rewrite_component(run, "edge_alias_index_3B")


def no_slice_for_a_merchant(run):
    gone = pl.col("merchant_id").is_null() | (pl.col("merchant_id") != virtual_merchant(run))
    plant(run.world, "edge_alias_index_3B", lambda rows: rows.filter(gone))
    rewrite_component(run, "edge_alias_index_3B")


def an_edge_less_than_the_slice(run):
    plant(run.world, "edge_catalogue_3B", lambda rows: rows.slice(1))
    rewrite_component(run, "edge_catalogue_3B")


def no_edge_at_all(run):
    merchant = virtual_merchant(run)
    plant(run.world, "edge_catalogue_3B", without(merchant))
    rewrite_component(run, "edge_catalogue_3B")


def rewrite_component(run, dataset_id):
    """Seal the change in the universe hash, so that only the alias tables can notice it."""
    (path,) = run.world.files(dataset_id)
    rewrite(run, "edge_universe_hash_3B", lambda d: d["components"].update({dataset_id: sha256_file(path)}))


def no_settlement(run):
    plant(run.world, "virtual_settlement_3B", without(virtual_merchant(run)))


def a_cache_without_a_zone(run):
    (path,) = run.world.files("tz_timetable_cache")
    names = cache.decode(path.read_bytes(), "").names
    kept = [name for name in names if name != "Europe/London"]
    path.write_bytes(cache.encode(cache.compile_zones(kept, 2025)))


def another_edge_universe(run):
    rewrite(run, "virtual_routing_policy_3B", lambda document: document.update(edge_universe_hash="0" * 64))


def a_universe_that_does_not_name_the_catalogue(run):
    rewrite(run, "edge_universe_hash_3B", forget_components)


def an_edge_catalogue_of_another_universe(run):
    plant(run.world, "edge_catalogue_3B", lambda rows: rows.with_columns(lat_deg=pl.col("lat_deg") + 1))


def two_routing_universes(run):
    other = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("f" * 64)).otherwise("routing_universe_hash")
    plant(run.world, "zone_alloc", lambda rows: rows.with_columns(routing_universe_hash=other))


def no_site_in_a_zone(run):
    move_sites_out_of_a_shared_zone(run)


def a_site_without_weight_row(run):
    plant(run.world, "s1_site_weights", lambda rows: rows.slice(1))


def a_weight_without_site(run):
    plant(run.world, "site_timezones", lambda rows: rows.slice(1))


def a_merchant_without_mode(run):
    plant(run.world, "virtual_classification_3B", without(virtual_merchant(run)))


RULE_DEFECTS = {
    "site_missing_in_zone": [(no_site_in_a_zone, "ROUTING_ROW_MISSING")],
    "group_weights_missing": [
        (no_group_weights_on_one_day, "GROUP_WEIGHTS_MISSING"),
        (group_weights_of_zero, "GROUP_WEIGHTS_MISSING"),
    ],
    "edge_alias_mismatch": [
        (blob_with_another_byte, "EDGE_ALIAS_MISMATCH"),
        (slice_with_another_checksum, "EDGE_ALIAS_MISMATCH"),
        (no_slice_for_a_merchant, "EDGE_ALIAS_MISMATCH"),
        (an_edge_less_than_the_slice, "EDGE_ALIAS_MISMATCH"),
        (no_edge_at_all, "EDGE_ALIAS_MISMATCH"),
    ],
    "settlement_missing": [(no_settlement, "SETTLEMENT_MISSING")],
    "zone_missing_in_cache": [(a_cache_without_a_zone, "ZONE_MISSING_IN_CACHE")],
    "routing_universe_mismatch": [
        (another_edge_universe, "ROUTING_UNIVERSE_MISMATCH"),
        (a_universe_that_does_not_name_the_catalogue, "ROUTING_UNIVERSE_MISMATCH"),
        (an_edge_catalogue_of_another_universe, "ROUTING_UNIVERSE_MISMATCH"),
        (two_routing_universes, "ROUTING_UNIVERSE_MISMATCH"),
    ],
}
OTHER_DEFECTS = [
    (a_site_without_weight_row, "ROUTING_ROW_MISSING"),
    (a_weight_without_site, "ROUTING_ROW_MISSING"),
    (a_merchant_without_mode, "ROUTING_ROW_MISSING"),
]
DEFECTS = [*(pair for pairs in RULE_DEFECTS.values() for pair in pairs), *OTHER_DEFECTS]


def test_every_rule_of_the_policy_has_a_planted_defect():
    assert set(RULE_DEFECTS) == set(FailClosedRules.model_fields)


@pytest.mark.parametrize(("defect", "code"), DEFECTS, ids=[defect.__name__ for defect, _ in DEFECTS])
def test_a_planted_defect_is_refused_and_nothing_is_published(own_run, defect, code):
    before, marker = part_digests(own_run), own_run.marker("S4")
    defect(own_run)
    with pytest.raises((InputError, StateError)) as caught:
        run_s4(own_run)
    error = caught.value
    assert error.code == f"5B.S4.{code}"
    assert error.where and error.expected and error.found and error.next_step
    assert part_digests(own_run) == before
    assert own_run.marker("S4") == marker
    assert not list(own_run.root.rglob(".staging-*"))


def test_a_row_whose_zone_has_no_site_is_refused_under_row_zone(own_run):
    merchant, zone = move_sites_out_of_a_shared_zone(own_run)
    with pytest.raises(StateError) as caught:
        run_s4(own_run, policies_of("published", ROW_ZONE))
    assert caught.value.code == "5B.S4.ROUTING_ROW_MISSING"
    assert str(merchant) in caught.value.where and caught.value.where.endswith(f"zone {zone}")


def test_no_distance_no_redirect(own_run):
    """A zone in which nobody has a site is nowhere, so nothing is nearest to it, whatever the policy says."""
    merchant = merchants_of_mode(own_run.world, "NON_VIRTUAL")[0]
    lonely = pl.when(pl.col("merchant_id") == merchant).then(pl.lit("Pacific/Apia")).otherwise("tz_group_id")
    plant(
        own_run.world,
        "s4_group_weights",
        lambda rows: rows.with_columns(tz_group_id=lonely).unique(["merchant_id", "utc_day", "tz_group_id"]),
    )
    with pytest.raises(StateError) as caught:
        run_s4(own_run, policies_of("published", {"routing.site_missing_in_zone": "anomaly"}))
    assert caught.value.code == "5B.S4.ROUTING_ROW_MISSING"
    assert "Pacific/Apia" in caught.value.where


def test_anomalies_count_unroutable_arrivals(own_run):
    merchant, zone = move_sites_out_of_a_shared_zone(own_run)
    changes = {**ROW_ZONE, "routing.site_missing_in_zone": "anomaly"}
    counters = run_s4(own_run, policies_of("published", changes))
    listed = [row for row in anomalies(own_run) if row["anomaly_code"] == "SITE_MISSING_IN_ZONE"]
    contexts = [json.loads(row["context"]) for row in listed]
    expected = counts(own_run).filter((pl.col("merchant_id") == merchant) & (pl.col("zone_representation") == zone))
    assert sum(context["arrivals"] for context in contexts) == expected["count_N"].sum() > 0
    assert counters["total_arrivals"] == counts(own_run)["count_N"].sum()
    (used,) = {context["tzid_used"] for context in contexts}
    redirected = frame(own_run).filter((pl.col("merchant_id") == merchant) & (pl.col("zone_representation") == zone))
    assert set(redirected["tzid_primary"]) == {used}


def test_a_short_cache_is_refused_where_the_guard_says_fail(own_run):
    with pytest.raises(StateError) as caught:
        run_s4(own_run, policies_of("published", {"routing.horizon_guard": "fail"}))
    assert caught.value.code == "5B.S4.HORIZON_SHORT"
    assert "Europe/" in caught.value.found or "Africa/" in caught.value.found


def test_a_short_cache_is_listed_where_the_guard_says_warn(published_run):
    contexts = {json.loads(row["context"])["tzid"]: json.loads(row["context"]) for row in anomalies(published_run)}
    assert contexts["Europe/London"]["first_wrong_utc"] == "2026-03-29T01:00:00Z"
    assert contexts["America/New_York"]["first_wrong_utc"] == "2026-03-08T07:00:00Z"
    assert "Asia/Tokyo" not in contexts
    counters = published_run.counters("S4")
    assert counters["anomalies"] == len(contexts)


def test_a_cache_that_covers_the_horizon_passes_the_guard(civil_time_run):
    assert civil_time_run.policies.routing.horizon_guard == "fail"
    assert anomalies(civil_time_run) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"routing.p_virtual_hybrid": 0.04},
        {"routing.p_virtual_hybrid": 0.81},
        {**ROW_ZONE, "routing.concentration_temper": {"mode": "exponential_tilt", "eta": 1.0, "scores": {}}},
        {"routing.group_weights_missing": "anomaly"},
    ],
)
def test_a_policy_that_may_not_be_is_refused(changes):
    with pytest.raises(PolicyError):
        policies_of("published", changes)


BREAKS = {
    "bucket": lambda rows, n: rows.ts.__setitem__(0, rows.ts[0] - 3600 * 10**6),
    "order": lambda rows, n: rows.seq.__setitem__(n - 1, rows.seq[n - 1] + 1),
    "key": lambda rows, n: rows.merchant_id.__setitem__(1, 1),
    "place": lambda rows, n: rows.place_id.__setitem__(2, 1),
    "civil_time": lambda rows, n: rows.local_primary.__setitem__(3, rows.local_primary[3] + 1),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_row_is_refused_before_it_is_published(own_run, monkeypatch, broken):
    before, expand = part_digests(own_run), s4_expansion.expand

    def expand_and_break(*arguments):
        n = expand(*arguments)
        BREAKS[broken](arguments[-1], n)
        return n

    monkeypatch.setattr(s4_expansion, "expand", expand_and_break)
    with pytest.raises(StateError) as caught:
        run_s4(own_run)
    assert caught.value.code == "5B.S4.ARRIVAL_INVALID"
    assert part_digests(own_run) == before
    assert arrivals(own_run).num_rows > 0
