"""S0: everything is re-hashed; whatever is missing or changed is named, and nothing is published."""

import hashlib
import json
import shutil

import pytest

from segment5b_lib.contract.datasets import UPSTREAM_SEGMENTS
from segment5b_lib.contract.upstream import UPSTREAM
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.postures import load_posture
from segment5b_lib.store.worlds import WORLD_FILE, World

DATA = [d.dataset_id for d in UPSTREAM if not d.carries_mf]


def files_of(world, dataset_id):
    scenario = world.scenarios[0] if "scenario_local" in dataset_id else None
    return world.files(dataset_id, scenario)


def refused(world, code, error=InputError):
    """S0 refuses the world with `code`, records it, and publishes nothing."""
    run = create_run(world, load_posture("published"), seed=42, posture="published")
    with pytest.raises(error) as caught:
        run_states(run, ["S0"], threads=2)
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    assert run.last_records()["S0"].status == "FAIL"
    assert run.last_records()["S0"].error_code == code
    assert run.marker("S0") is None
    assert not list((run.root / "data").rglob("*.json"))
    return caught.value


def test_seals_every_file_with_its_content_digest(published_run):
    sealed = read_json(published_run.file("sealed_inputs_5B"))
    assert [row["artifact_id"] for row in sealed] == [
        d.dataset_id for d in sorted(UPSTREAM, key=lambda d: (d.segment, d.dataset_id))
    ]
    for row in sealed:
        for path, digest in row["files"].items():
            content = (published_run.world.root / path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == digest
    receipt = read_json(published_run.file("s0_gate_receipt_5B"))
    assert set(receipt["upstream_segments"]) == set(UPSTREAM_SEGMENTS)
    assert receipt["scenario_set"] == list(published_run.world.scenarios)
    assert receipt["row_count"] == len(UPSTREAM)


@pytest.mark.parametrize("dataset_id", DATA)
def test_a_flipped_byte_in_any_sealed_file_is_named(own_world, dataset_id):
    path = files_of(own_world, dataset_id)[-1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    of_2b_bundle = dataset_id.startswith(("s1_", "s2_", "s4_"))
    error = refused(own_world, "5B.S0.UPSTREAM_GATE_MISMATCH" if of_2b_bundle else "5B.S0.SEALED_INPUT_MISMATCH")
    assert str(path) in error.where


@pytest.mark.parametrize("dataset_id", [d.dataset_id for d in UPSTREAM])
def test_a_missing_input_is_named(own_world, dataset_id):
    for path in files_of(own_world, dataset_id):
        path.unlink()
    error = refused(own_world, "5B.S0.SEALED_INPUT_MISSING", MissingInputError)
    assert dataset_id in error.what + error.where


@pytest.mark.parametrize("segment", UPSTREAM_SEGMENTS)
def test_a_missing_flag_is_named(own_world, segment):
    (own_world.bundle_folder(segment) / "_passed.flag").unlink()
    error = refused(own_world, "5B.S0.UPSTREAM_GATE_MISSING", MissingInputError)
    assert segment in error.what


@pytest.mark.parametrize("segment", UPSTREAM_SEGMENTS)
def test_a_changed_bundle_member_is_named(own_world, segment):
    folder = own_world.bundle_folder(segment)
    member = next(p for p in sorted(folder.glob("*.json")) if "index" not in p.name)
    member.write_bytes(member.read_bytes() + b" ")
    error = refused(own_world, "5B.S0.UPSTREAM_GATE_MISMATCH")
    assert segment in error.what


def test_an_extra_file_is_named(own_world):
    path = files_of(own_world, "site_locations")[0]
    shutil.copy(path, path.with_name("part-000099.parquet"))
    assert "part-000099" in refused(own_world, "5B.S0.SEALED_INPUT_MISMATCH").where


def test_a_world_under_another_name_is_refused(own_world):
    moved = World(own_world.root.rename(own_world.root.with_name("0" * 64)))
    with pytest.raises(InputError, match="another fingerprint") as caught:
        create_run(moved, load_posture("published"), seed=42, posture="published")
    assert caught.value.exit_code == 3


def test_an_inventory_that_does_not_give_the_fingerprint_is_refused(own_world):
    path = own_world.root / WORLD_FILE
    document = json.loads(path.read_text())
    document["inventory"] = [row for row in document["inventory"] if row["dataset_id"] != "world_spec"]
    path.write_text(json.dumps(document))
    refused(World(own_world.root), "5B.S0.FINGERPRINT_MISMATCH")
