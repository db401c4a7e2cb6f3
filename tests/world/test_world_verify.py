"""Verification names the offender, whatever is wrong with a world."""

import json
import shutil

import pytest

from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import build_world
from segment5b_lib.world.verify import verify_world
from segment5b_lib.world.world_file import load_spec


def test_a_whole_world_verifies(tiny_world):
    assert verify_world(tiny_world) == {"files": 44, "bundles": 7, "alias_tables": 14}


def test_the_larger_scale_verifies_too(tmp_path):
    world = build_world(load_spec("small"), tmp_path).world
    assert verify_world(world)["alias_tables"] == 63
    forecast = world.document["forecast"]
    assert forecast["zero_row_share"] == pytest.approx(0.885, abs=0.02)
    assert forecast["t7_share"] == pytest.approx(0.0225, abs=1e-4)
    assert 0.022 < forecast["t1_share"] < 0.031


def resealed(world, change):
    """world.json with a change and its own digest put right again."""
    path = world.root / "world.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    document.pop("self_sha256")
    document["self_sha256"] = sha256_hex(canonical_json(document))
    path.write_bytes(canonical_json(document))
    return World(world.root)


def test_a_flipped_byte_in_any_file_is_named(tiny_world, private_outputs):
    """Every file of the world in turn; each is put back before the next."""
    copy = World(shutil.copytree(tiny_world.root, private_outputs / "worlds" / tiny_world.mf))
    files = sorted(path for path in copy.root.rglob("*") if path.is_file())
    assert len(files) == 45
    for path in files:
        content = path.read_bytes()
        broken = bytearray(content)
        broken[len(broken) // 2] ^= 1
        path.write_bytes(bytes(broken))
        with pytest.raises(InputError) as caught:
            verify_world(World(copy.root))
        assert str(path) in caught.value.where
        assert caught.value.exit_code == 3
        assert caught.value.next_step
        path.write_bytes(content)
    verify_world(World(copy.root))


def test_a_missing_file_is_named(own_world):
    path = own_world.files("site_locations")[0]
    path.unlink()
    with pytest.raises(MissingInputError) as caught:
        verify_world(own_world)
    assert (caught.value.code, caught.value.where) == ("5B.WORLD.FILE_MISSING", str(path))


def test_a_file_too_many_is_named(own_world):
    extra = own_world.folder("site_locations") / "part-000001.parquet"
    extra.write_bytes(b"PAR1")
    with pytest.raises(InputError) as caught:
        verify_world(own_world)
    assert (caught.value.code, caught.value.where) == ("5B.WORLD.FILE_UNEXPECTED", str(extra))


def test_a_world_in_a_folder_of_another_name_is_refused(own_world):
    other = own_world.root.rename(own_world.root.with_name("0" * 64))
    with pytest.raises(InputError) as caught:
        verify_world(World(other))
    assert caught.value.code == "5B.WORLD.FINGERPRINT_MISMATCH"


def test_an_inventory_that_was_edited_and_resealed_has_another_fingerprint(own_world):
    world = resealed(own_world, lambda d: d["inventory"][0].update(sha256="0" * 64))
    with pytest.raises(InputError) as caught:
        verify_world(world)
    assert caught.value.code == "5B.WORLD.FINGERPRINT_MISMATCH"


def test_a_routing_policy_of_other_edges_is_refused(own_world):
    path = own_world.files("virtual_routing_policy_3B")[0]
    policy = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**policy, "edge_universe_hash": "0" * 64}), encoding="utf-8")
    relative = path.relative_to(own_world.root).as_posix()
    digest = sha256_hex(path.read_bytes())
    world = resealed(own_world, lambda d: d["members_with_fingerprint"].update({relative: digest}))
    with pytest.raises(InputError) as caught:
        verify_world(world)
    assert (caught.value.code, caught.value.where) == ("5B.WORLD.UNIVERSE_MISMATCH", str(path))
