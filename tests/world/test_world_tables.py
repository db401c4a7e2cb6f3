"""The datasets of a built world against the contract: schema, keys, order, sums, ids, and one another."""

import hashlib
import struct
from collections import Counter
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.contract.upstream import UPSTREAM
from segment5b_lib.errors import InputError
from segment5b_lib.identity import site_id
from segment5b_lib.kernel.alias import GRID
from segment5b_lib.store.alias_blob import decode_slice
from segment5b_lib.store.documents import read_json

TABLES = [d for d in UPSTREAM if d.schema is not None]
KEYED = [d for d in TABLES if d.dataset_id != "edge_alias_index_3B"]
HEX64 = r"^[a-f0-9]{64}$"


def frame(world, dataset_id):
    contract = next(d for d in UPSTREAM if d.dataset_id == dataset_id)
    scenario = world.scenarios[0] if contract.per_scenario else None
    return world.frame(dataset_id, scenario_id=scenario)


def decoded(prob_q, alias):
    """Weights that an alias table stands for, by the law of its pick and in exact integers."""
    n = len(prob_q)
    masses = [0] * n
    for k in range(n):
        keep = GRID if prob_q[k] == 2**32 - 1 else 0 if prob_q[k] == 1 else int(prob_q[k]) >> 8
        masses[k] += keep
        masses[int(alias[k])] += GRID - keep
    assert all(mass % n == 0 for mass in masses)
    return [mass // n / GRID for mass in masses]


@pytest.mark.parametrize("contract", TABLES, ids=lambda d: d.dataset_id)
def test_files_have_exactly_the_contracts_columns(tiny_world, contract):
    for scenario in tiny_world.scenarios if contract.per_scenario else [None]:
        for path in tiny_world.files(contract.dataset_id, scenario):
            assert pq.read_schema(path).equals(contract.schema)


@pytest.mark.parametrize("contract", KEYED, ids=lambda d: d.dataset_id)
def test_keys_are_unique_and_rows_in_key_order(tiny_world, contract):
    keys = frame(tiny_world, contract.dataset_id).select(contract.key)
    assert keys.height > 0
    assert keys.is_unique().all()
    assert keys.equals(keys.sort(contract.key))


def test_every_zone_name_is_one_that_zoneinfo_knows(tiny_world):
    names = set(frame(tiny_world, "site_timezones")["tzid"])
    names |= set(frame(tiny_world, "edge_catalogue_3B")["tzid_operational"])
    names |= set(frame(tiny_world, "virtual_settlement_3B")["tzid_settlement"])
    cached = tz_cache.decode(tiny_world.files("tz_timetable_cache")[0].read_bytes(), "test").names
    assert names <= set(cached)
    assert all(ZoneInfo(name).key == name for name in cached)


def test_the_tiny_world_has_what_tests_need(tiny_world):
    zones = set(frame(tiny_world, "site_timezones")["tzid"])
    assert {
        "Europe/London",
        "Europe/Berlin",
        "Europe/Paris",
        "America/New_York",
        "Africa/Casablanca",
        "Australia/Lord_Howe",
        "Antarctica/Troll",
    } <= zones
    sources = dict(frame(tiny_world, "site_timezones").select("tzid", "tzid_source").rows())
    assert sources["Australia/Lord_Howe"] == sources["Antarctica/Troll"] == "override"
    assert sources["Europe/London"] == "polygon"
    modes = Counter(frame(tiny_world, "virtual_classification_3B")["virtual_mode"])
    assert modes == {"NON_VIRTUAL": 10, "VIRTUAL_ONLY": 2}


def test_sites_have_one_location_one_zone_and_one_weight(tiny_world):
    key = ["merchant_id", "legal_country_iso", "site_order"]
    tables = [frame(tiny_world, d) for d in ("site_locations", "site_timezones", "s1_site_weights")]
    assert tables[0].select(key).equals(tables[1].select(key))
    assert tables[0].select(key).equals(tables[2].select(key))
    assert tables[0]["lat_deg"].is_between(-90, 90).all()
    assert tables[0]["lon_deg"].is_between(-180, 180).all()


def test_weights_sum_to_one_over_a_merchant(tiny_world):
    weights = frame(tiny_world, "s1_site_weights")
    assert (weights["p_weight"] > 0).all()
    assert (weights.group_by("merchant_id").agg(pl.col("p_weight").sum())["p_weight"] == 1.0).all()
    assert set(weights["quantised_bits"]) == {24}


def test_zone_weights_sum_to_one_over_a_merchant_and_day_for_every_day(tiny_world):
    weights = frame(tiny_world, "s4_group_weights")
    sums = weights.group_by("merchant_id", "utc_day").agg(pl.col("p_group").sum(), pl.len())
    assert (sums["p_group"] == 1.0).all()
    assert sums.height == 12 * 90
    days = sorted(set(weights["utc_day"]))
    assert (days[0], days[-1], len(days)) == ("2026-01-01", "2026-03-31", 90)
    sites = frame(tiny_world, "s1_site_weights").join(
        frame(tiny_world, "site_timezones"), on=["merchant_id", "legal_country_iso", "site_order"]
    )
    shares = sites.group_by("merchant_id", "tzid").agg(pl.col("p_weight").sum())
    joined = weights.join(shares, left_on=["merchant_id", "tz_group_id"], right_on=["merchant_id", "tzid"], how="left")
    assert joined["p_weight"].null_count() == 0
    assert np.allclose(joined["p_weight"], joined["base_share"], atol=1e-12)


def test_zone_alloc_counts_the_sites(tiny_world):
    sites = frame(tiny_world, "site_timezones")
    key = ["merchant_id", "legal_country_iso", "tzid"]
    counted = sites.group_by(key).len().sort(key)
    alloc = frame(tiny_world, "zone_alloc")
    assert alloc.select(key).equals(counted.select(key))
    assert alloc["zone_site_count"].to_list() == counted["len"].to_list()
    in_country = sites.group_by(key[:2]).agg(pl.len().alias("n"))
    assert (alloc.join(in_country, on=key[:2])["n"] == alloc.join(in_country, on=key[:2])["site_count"]).all()
    assert alloc["routing_universe_hash"].n_unique() == 1
    assert alloc["routing_universe_hash"].str.contains(HEX64).all()


def test_site_alias_tables_decode_to_the_weights(tiny_world):
    index = read_json(tiny_world.files("s2_alias_index")[0])
    blob = tiny_world.files("s2_alias_blob")[0].read_bytes()
    assert hashlib.sha256(blob).hexdigest() == index["blob_sha256"]
    weights = frame(tiny_world, "s1_site_weights")
    assert [row["merchant_id"] for row in index["merchants"]] == sorted(set(weights["merchant_id"]))
    for row in index["merchants"]:
        own = weights.filter(pl.col("merchant_id") == row["merchant_id"])["p_weight"].to_list()
        table = decode_slice(blob, row["offset"], row["length"], row["checksum"], "test")
        assert decoded(*table) == own
        assert hashlib.sha256(blob[row["offset"] :][: row["length"]]).hexdigest() == row["checksum"]


def test_edge_alias_tables_decode_to_the_weights_in_edge_order(tiny_world):
    index = frame(tiny_world, "edge_alias_index_3B")
    blob = tiny_world.files("edge_alias_blob_3B")[0].read_bytes()
    overall, merchants = index.row(0, named=True), index.slice(1)
    assert overall["scope"] == "GLOBAL"
    assert overall["blob_sha256_hex"] == hashlib.sha256(blob).hexdigest()
    assert overall["blob_length_bytes"] == len(blob)
    assert overall["edge_count_total"] == merchants["edge_count_total"].sum() == 50
    edges = frame(tiny_world, "edge_catalogue_3B")
    for row in merchants.to_dicts():
        place = row["blob_offset_bytes"], row["blob_length_bytes"], row["merchant_alias_checksum"]
        own = edges.filter(pl.col("merchant_id") == row["merchant_id"]).sort("edge_id")["edge_weight"]
        assert decoded(*decode_slice(blob, *place, "test")) == own.to_list()
        assert struct.unpack_from("<4I", blob, row["blob_offset_bytes"]) == (len(own), 32, 0, 0)


def test_edges_belong_to_online_merchants_and_carry_the_engines_ids(tiny_world):
    edges = frame(tiny_world, "edge_catalogue_3B")
    online = frame(tiny_world, "virtual_classification_3B").filter("is_virtual")["merchant_id"]
    assert set(edges["merchant_id"]) == set(online)
    for row in edges.to_dicts():
        text = b"3B.EDGE\x1f" + str(row["merchant_id"]).encode() + b"\x1f"
        digest = hashlib.sha256(text + row["edge_seq_index"].to_bytes(4, "little")).digest()
        assert row["edge_id"] == digest[-8:].hex()
    assert (edges.group_by("merchant_id").agg(pl.col("edge_weight").sum())["edge_weight"] == 1.0).all()
    assert edges["tzid_operational"].n_unique() > 5


def test_settlement_is_a_site_of_the_merchant_in_its_zone(tiny_world):
    sites = frame(tiny_world, "site_timezones").join(
        frame(tiny_world, "site_locations"), on=["merchant_id", "legal_country_iso", "site_order"]
    )
    known = {
        site_id(r["merchant_id"], r["legal_country_iso"], r["site_order"]): (r["tzid"], r["lat_deg"], r["lon_deg"])
        for r in sites.to_dicts()
    }
    assert len(known) == sites.height
    settled = frame(tiny_world, "virtual_settlement_3B")
    assert settled.height == 2
    for row in settled.to_dicts():
        assert known[row["settlement_site_id"]] == (row["tzid_settlement"], row["lat_deg"], row["lon_deg"])


def test_edge_universe_and_routing_policy_agree(tiny_world):
    universe = read_json(tiny_world.files("edge_universe_hash_3B")[0])
    policy = read_json(tiny_world.files("virtual_routing_policy_3B")[0])
    assert universe["universe_hash"] == policy["edge_universe_hash"]
    assert universe["manifest_fingerprint"] == policy["manifest_fingerprint"] == tiny_world.mf
    assert policy["dual_timezone_semantics"]["tzid_settlement_field"] == "tzid_settlement"


def test_the_cache_ends_in_2025_and_says_so(tiny_world):
    document = read_json(tiny_world.files("tz_timetable_cache_json")[0])
    assert document["transitions_through_utc"] == "2026-01-01T00:00:00Z"
    assert document["created_utc"] == "2026-01-01T00:00:00Z"
    assert document["tzdb_release_tag"] == "2026f"
    cache = tz_cache.decode(tiny_world.files("tz_timetable_cache")[0].read_bytes(), "test")
    assert cache.seconds.max() < 1_767_225_600
    assert cache.zone("Europe/London").utc_seconds[-1] == 1_761_440_400


def test_the_scenario_manifest_describes_the_horizon(tiny_world):
    (row,) = frame(tiny_world, "scenario_manifest_5A").to_dicts()
    assert (row["scenario_id"], row["is_baseline"], row["is_stress"]) == ("baseline_v1", True, False)
    assert row["horizon_start_utc"].isoformat() == "2026-01-01T00:00:00+00:00"
    assert row["horizon_end_utc"].isoformat() == "2026-04-01T00:00:00+00:00"


def test_the_decoder_of_this_test_sees_a_wrong_table():
    with pytest.raises((AssertionError, InputError)):
        assert decoded([2**31, 2**32 - 1], [1, 1]) == [0.5, 0.5]
