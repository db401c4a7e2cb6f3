"""Reopening: one segment anew, the rest linked, parent and reason recorded, and the streams' root kept."""

import polars as pl
import pytest

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.errors import InputError, PolicyError, UsageError
from segment5b_lib.store.documents import read_json
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world, world_spec
from segment5b_lib.world.verify import verify_world
from segment5b_lib.world.world_file import load_spec

WHY = "T11 is red"


def digests(world):
    return {row["path"]: row["sha256"] for row in world.document["inventory"]}


def changed(parent, child):
    before = digests(parent)
    return {path for path, digest in digests(child).items() if before.get(path) != digest}


def test_the_spec_of_a_built_world_can_be_read_back(tiny_world):
    assert world_spec(tiny_world) == load_spec("tiny")


def test_reopening_2a_changes_the_cache_alone(tiny_world, reopened_world):
    assert {path.split("/manifest_fingerprint")[0] for path in changed(tiny_world, reopened_world)} == {
        "config/ancestry.json",
        "config/layer1/2A/policy.json",
        "data/layer1/2A/tz_timetable_cache",
        "data/layer1/2A/validation",
    }
    cache = tz_cache.decode(reopened_world.files("tz_timetable_cache")[0].read_bytes(), "test")
    assert cache.seconds.max() > 1_830_297_600
    sidecar = read_json(reopened_world.files("tz_timetable_cache_json")[0])
    assert sidecar["transitions_through_utc"] == "2029-01-01T00:00:00Z"
    assert reopened_world.document["forecast"]["t1_share"] == 0.0
    assert verify_world(reopened_world)["files"] == 45


def test_what_the_segment_does_not_own_is_the_same_file(tiny_world, reopened_world):
    linked = 0
    for row in tiny_world.document["inventory"]:
        first, second = (w.root / row["path"].replace("{mf}", w.mf) for w in (tiny_world, reopened_world))
        same = first.stat().st_ino == second.stat().st_ino
        assert same == (row["owner_segment"] != "2A")
        linked += same
    assert linked > 20


def test_a_child_records_its_parent_and_keeps_the_root_of_the_streams(tiny_world, reopened_world):
    assert reopened_world.mf != tiny_world.mf
    assert reopened_world.rng_root == tiny_world.mf
    (parent,) = reopened_world.document["parents"]
    assert parent == {
        "manifest_fingerprint": tiny_world.mf,
        "segment": "2A",
        "changes": {"last_transition_year": 2028},
        "reason": "test",
    }


def test_reopening_the_same_way_again_is_a_no_op_that_says_so(tiny_world, reopened_world):
    again = reopen_world(tiny_world, "2A", {"last_transition_year": 2028}, WHY)
    assert again.existed
    assert again.world.root == reopened_world.root


def test_a_child_is_not_the_world_built_so_from_the_start(reopened_world, tmp_path):
    direct = build_world(load_spec("tiny", {"upstream.2A.last_transition_year": 2028}), tmp_path).world
    assert direct.mf != reopened_world.mf
    assert direct.rng_root == direct.mf


def test_grandchildren_keep_the_oldest_root_and_list_every_ancestor(reopened_world, own_world):
    child = reopen_world(own_world, "2A", {"last_transition_year": 2028}, WHY).world
    grandchild = reopen_world(child, "2B", {"strength": 0.52, "soft_cap": 0.68, "entropy_floor": 0.62}, "T6").world
    assert grandchild.rng_root == own_world.mf
    assert [p["manifest_fingerprint"] for p in grandchild.document["parents"]] == [child.mf, own_world.mf]
    assert verify_world(grandchild)["bundles"] == 7
    other_way = reopen_world(own_world, "2B", {"strength": 0.52, "soft_cap": 0.68, "entropy_floor": 0.62}, "T6").world
    assert reopen_world(other_way, "2A", {"last_transition_year": 2028}, WHY).world.mf == grandchild.mf


def test_reopening_2b_spreads_the_zones_and_changes_nothing_else(own_world):
    knobs = {"soft_cap": 0.68, "strength": 0.52, "entropy_floor": 0.62}
    child = reopen_world(own_world, "2B", knobs, "T6 is red").world
    data = {path.split("/")[3] for path in changed(own_world, child) if path.startswith("data/")}
    assert data == {"s4_group_weights"}
    largest = [
        world.frame("s4_group_weights").group_by("merchant_id", "utc_day").agg(pl.col("p_group").max())["p_group"].max()
        for world in (own_world, child)
    ]
    assert largest[1] <= 0.68 + 1e-9 < largest[0]
    assert verify_world(child)["alias_tables"] == 14


def test_reopening_3b_makes_hybrid_merchants_and_keeps_the_edges_there_were(own_world):
    child = reopen_world(own_world, "3B", {"rules.card_not_present.mode": "HYBRID"}, "T7 is red").world
    before, after = (w.frame("virtual_classification_3B") for w in (own_world, child))
    assert set(after["virtual_mode"]) == {"NON_VIRTUAL", "HYBRID", "VIRTUAL_ONLY"}
    hybrid = after.filter(pl.col("virtual_mode") == "HYBRID")
    assert (hybrid["rule_id"] == "card_not_present").all()
    online = before.filter(pl.col("virtual_mode") == "VIRTUAL_ONLY")["merchant_id"]
    assert set(online) == set(after.filter(pl.col("virtual_mode") == "VIRTUAL_ONLY")["merchant_id"])
    edges = [w.frame("edge_catalogue_3B") for w in (own_world, child)]
    assert edges[1].filter(pl.col("merchant_id").is_in(online.implode())).equals(edges[0])
    assert set(edges[1]["merchant_id"]) == set(online) | set(hybrid["merchant_id"])
    settled = child.frame("virtual_settlement_3B")
    assert set(settled["merchant_id"]) == set(edges[1]["merchant_id"])
    assert child.document["forecast"]["hybrid_share"] > 0
    owners = {row["path"]: row["owner_segment"] for row in child.document["inventory"]}
    assert {owners[path] for path in changed(own_world, child) - {"config/ancestry.json"}} == {"3B"}
    assert verify_world(child)["alias_tables"] == 14 + hybrid.height


@pytest.mark.parametrize(
    ("segment", "changes", "reason", "error", "code"),
    [
        ("1B", {"x": 1}, WHY, UsageError, "5B.WORLD.SEGMENT_CLOSED"),
        ("2A", {}, WHY, UsageError, "5B.WORLD.REOPEN_WITHOUT_CAUSE"),
        ("2A", {"last_transition_year": 2028}, " ", UsageError, "5B.WORLD.REOPEN_WITHOUT_CAUSE"),
        ("2A", {"last_transition_year": 2025}, WHY, UsageError, "5B.WORLD.NOTHING_CHANGED"),
        ("2A", {"last_year": 2028}, WHY, PolicyError, "5B.WORLD.UNKNOWN_KEY"),
        ("2A", {"last_transition_year": "soon"}, WHY, PolicyError, "5B.POLICY.INVALID"),
        ("2B", {"strength": 2.0}, WHY, PolicyError, "5B.POLICY.INVALID"),
    ],
)
def test_requests_that_make_no_sense_are_refused(tiny_world, segment, changes, reason, error, code):
    with pytest.raises(error) as caught:
        reopen_world(tiny_world, segment, changes, reason)
    assert caught.value.code == code


def test_a_damaged_parent_has_no_children(own_world):
    path = own_world.files("site_locations")[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError) as caught:
        reopen_world(own_world, "2A", {"last_transition_year": 2028}, WHY)
    assert str(path) in caught.value.where
    assert len(list(own_world.root.parent.iterdir())) == 1
