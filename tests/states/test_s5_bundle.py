"""The bundle of S5: digest and flag, replay, stale folders, evidence without a flag, the same bytes everywhere."""

import hashlib
import json
import platform
import shutil

import pyarrow.parquet as pq
import pytest

from segment5b_lib.engine.chain import create_run, is_complete, run_states
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.errors import PolicyError
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.runs import Run
from tests.planted_run import ARRIVALS, bundle_bytes, judge, plant, set_at, stale_folders

MEMBERS = [
    "rng_totals_5B.json",
    "s0_gate_receipt_5B.json",
    "state_receipts_5B.json",
    "validation_issue_table_5B.parquet",
    "validation_report_5B.json",
]


def digest_of(files):
    """The digest law of 2-contracts.md §4: raw bytes of the members in ASCII order of their paths."""
    return hashlib.sha256(b"".join(files[name] for name in MEMBERS)).hexdigest()


def test_index_flag_and_digest(published_run):
    files = bundle_bytes(published_run)
    assert sorted(files) == sorted([*MEMBERS, "index.json", "_passed.flag"])
    index = json.loads(files["index.json"])
    assert index["members"] == [
        {"path": name, "sha256_hex": hashlib.sha256(files[name]).hexdigest()} for name in MEMBERS
    ]
    assert any("segment_state_runs" in note for note in index["notes"])
    flag = {"bundle_digest_sha256": digest_of(files), "manifest_fingerprint": published_run.world.mf}
    assert json.loads(files["_passed.flag"]) == flag
    assert published_run.counters("S5")["bundle_digest"] == flag["bundle_digest_sha256"]


def test_marker_lists_the_bundle_and_the_inputs(published_run):
    marker = published_run.marker("S5")
    folder = published_run.bundle_folder.relative_to(published_run.root).as_posix()
    assert [output.path for output in marker.outputs] == [
        f"{folder}/{name}" for name in sorted(bundle_bytes(published_run))
    ]
    parts = [
        path.relative_to(published_run.root).as_posix()
        for path in published_run.files(ARRIVALS, published_run.scenarios[0])
    ]
    assert set(parts) <= set(marker.inputs)


def test_members_hold_no_clock_path_host_or_run_id(published_run):
    files = bundle_bytes(published_run)
    record = published_run.last_records()["S5"]
    forbidden = [published_run.run_id, str(published_run.root), str(published_run.world.root), platform.node() or "-"]
    forbidden += [published_run.receipt.created_utc[:10], record.started_at_utc[:10]]
    for name in [*MEMBERS, "_passed.flag"]:
        text = files[name].decode("utf-8", "replace")
        assert not [word for word in forbidden if len(word) > 3 and word in text], name
    issues = pq.ParquetFile(published_run.bundle_folder / MEMBERS[3])
    assert issues.schema_arrow.names == ["check_id", "status", "where", "expected", "found"]


def test_report_names_policy_file_key_and_value_of_every_threshold(published_run):
    report = json.loads(bundle_bytes(published_run)["validation_report_5B.json"])
    assert report["parameter_hash"] == published_run.receipt.parameter_hash
    for check in report["checks"]:
        for bound in check["thresholds"]:
            assert bound["policy_file"] and bound["policy_key"] and {"min", "max"} & set(bound), check["check_id"]
        assert check["message"] and check["population_unit"]
    by_id = {check["check_id"]: check for check in report["checks"]}
    assert len(by_id) == len(report["checks"])
    assert by_id["CIVIL_MISMATCH"]["thresholds"] == [
        {"policy_file": "validation_policy_5B", "policy_key": "gates.T1.b", "max": 0.005}
    ]


def test_replay_is_a_no_op(own_run):
    before = {path: path.stat().st_mtime_ns for path in own_run.bundle_folder.iterdir()}
    assert run_states(own_run, threads=2) == []
    assert judge(own_run).error is None
    assert {path: path.stat().st_mtime_ns for path in own_run.bundle_folder.iterdir()} == before
    assert stale_folders(own_run) == [] and is_complete(own_run, "S5", 2)


def test_other_content_moves_the_old_bundle_aside_once_and_never_nests(own_run):
    report = own_run.bundle_folder / "validation_report_5B.json"
    good, spoiled = bundle_bytes(own_run), b"{}"
    report.write_bytes(spoiled)
    assert not is_complete(own_run, "S5", 2)
    assert run_states(own_run, threads=2) == ["S5"]
    (stale,) = stale_folders(own_run)
    assert stale.name.startswith(f"{own_run.bundle_folder.name}.stale_2")
    assert (stale / report.name).read_bytes() == spoiled and bundle_bytes(own_run) == good
    assert own_run.counters("S5")["moved_aside"] == stale.name
    assert run_states(own_run, threads=2) == [] and judge(own_run).error is None
    assert stale_folders(own_run) == [stale]
    report.write_bytes(spoiled)
    judge(own_run)
    assert len(stale_folders(own_run)) == 2
    assert not [path for path in own_run.bundle_folder.parent.rglob("*") if path.name.count(".stale_") > 1]
    assert not list(own_run.bundle_folder.parent.rglob(".staging-*"))


@pytest.mark.parametrize("extra", ["notes.txt", ".stale_index"])
def test_a_foreign_file_in_the_bundle_is_other_content(own_run, extra):
    (own_run.bundle_folder / extra).write_text("mine")
    judge(own_run)
    assert len(stale_folders(own_run)) == 1 and extra not in bundle_bytes(own_run)


def test_a_failure_leaves_evidence_and_takes_the_flag_away(own_civil_run):
    passed = bundle_bytes(own_civil_run)
    plant(own_civil_run, ARRIVALS, set_at(5, bucket_index=2000))
    verdict = judge(own_civil_run)
    failed = bundle_bytes(own_civil_run)
    assert sorted(failed) == sorted([*MEMBERS, "index.json"])
    assert verdict.report["status"] == "FAIL" and verdict.error.exit_code == 1
    assert "without a flag" in verdict.error.done and verdict.error.next_step
    (stale,) = stale_folders(own_civil_run)
    assert {path.name: path.read_bytes() for path in stale.iterdir()} == passed
    assert not is_complete(own_civil_run, "S5", 2)
    assert judge(own_civil_run).error.code == verdict.error.code
    assert bundle_bytes(own_civil_run) == failed and stale_folders(own_civil_run) == [stale]


def test_a_failed_attempt_is_recorded_with_its_code(own_run):
    child = prepare_rerun(own_run, "S5", {"validation.min_nonzero_fraction": 0.9}, threads=2)
    with pytest.raises(RuntimeError, match="NONZERO_FRACTION"):
        run_states(child, threads=2)
    record = child.last_records()["S5"]
    assert record.status == "FAIL" and record.error_code == "5B.S5.NONZERO_FRACTION"
    assert {step.lane for step in record.steps} == {"input_load", "compute", "validation", "write"}


@pytest.fixture
def other_house(published_run, tiny_world, private_outputs):
    """The same world in another folder."""
    shutil.copytree(tiny_world.root, private_outputs / "worlds" / tiny_world.mf)
    return private_outputs


def test_bytes_do_not_depend_on_threads_folder_nonce_or_history(published_run, tiny_world, other_house, monkeypatch):
    expected = bundle_bytes(published_run)
    world = type(tiny_world)(other_house / "worlds" / tiny_world.mf)
    policies = load_posture("published")
    again = create_run(world, policies, seed=42, posture="published", nonce=3)
    assert again.run_id != published_run.run_id
    run_states(again, threads=1)
    assert bundle_bytes(again) == expected
    parent = create_run(world, with_changes(policies, {"routing.p_virtual_hybrid": 0.5}), seed=42, posture="published")
    run_states(parent, threads=4)
    child = prepare_rerun(parent, "S4", {"routing.p_virtual_hybrid": 0.35}, threads=4)
    run_states(child, threads=4)
    assert bundle_bytes(child) == expected
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert judge(Run(child.root), threads=3).error is None and stale_folders(child) == []


def test_bundle_names_come_from_the_layout_policy(own_run):
    changes = {"bundle_layout.report": "word.json", "bundle_layout.flag": "ok.flag", "bundle_layout.index": "list.json"}
    child = prepare_rerun(own_run, "S5", changes, threads=2)
    run_states(child, threads=2)
    names = set(bundle_bytes(child))
    assert {"word.json", "ok.flag", "list.json"} <= names and "index.json" not in names


@pytest.mark.parametrize("name", ["../report.json", "a/b.json", "a:b", ".hidden", "index.json", "_passed.flag"])
def test_layout_refuses_names_that_are_unsafe_or_taken(name):
    with pytest.raises(PolicyError):
        with_changes(load_posture("published"), {"bundle_layout.report": name})
