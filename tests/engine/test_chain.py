"""Runs: same inputs same run, no-ops say so, failures are recorded, bytes depend on nothing else."""

import hashlib
import json
import os
import shutil

import pytest

import segment5b_lib
from segment5b_lib.contract.words import STATES
from segment5b_lib.engine import chain
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.errors import InputError, StaleError
from segment5b_lib.identity import run_id
from segment5b_lib.states import s3_counts
from segment5b_lib.store.postures import load_posture
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World


def digests(run):
    """SHA-256 of every data file of a run, by path."""
    root = run.root / "data"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_run_id_and_receipt_say_who_the_run_is(published_run, tiny_world):
    receipt = published_run.receipt
    policies = load_posture("published")
    assert published_run.run_id == run_id(tiny_world.mf, policies.parameter_hash, 42, 0)
    assert (receipt.seed, receipt.posture, receipt.nonce) == (42, "published", 0)
    assert receipt.manifest_fingerprint == receipt.rng_root == tiny_world.mf
    assert receipt.library_version == segment5b_lib.__version__
    assert published_run.policies == policies


def test_the_same_inputs_are_the_same_run_and_running_again_is_a_no_op(published_run, tiny_world):
    before = digests(published_run)
    again = create_run(tiny_world, load_posture("published"), seed=42, posture="published")
    assert again.root == published_run.root
    assert run_states(again, threads=1) == []
    assert digests(again) == before


def test_every_state_leaves_a_record_with_lanes_that_add_up(published_run):
    records = published_run.last_records()
    assert list(records) == list(STATES)
    for state, record in records.items():
        assert record.status == "PASS"
        assert record.error_code is None
        lanes = {step.lane for step in record.steps}
        assert lanes <= {"input_load", "compute", "validation", "write"}
        timed = sum(step.wall_ms for step in record.steps)
        assert timed <= record.durations.wall_ms * 1.001, state
        assert record.rows_out > 0, state
    log = (published_run.log).read_text()
    assert all(f"{state} PASS" in log for state in STATES)


@pytest.mark.parametrize("threads", [1, 4])
def test_bytes_do_not_depend_on_threads_or_folder(own_world, published_run, threads):
    run = create_run(own_world, load_posture("published"), seed=42, posture="published")
    run_states(run, threads=threads)
    assert run.root != published_run.root
    assert digests(run) == digests(published_run)


def test_a_repeated_run_has_another_id_and_the_same_bytes(own_world, published_run):
    run = create_run(own_world, load_posture("published"), seed=42, posture="published", nonce=1)
    run_states(run, threads=2)
    assert run.run_id != published_run.run_id
    assert digests(run) == digests(published_run)


def test_another_library_version_takes_the_next_free_nonce(own_run, own_world, monkeypatch):
    monkeypatch.setattr(chain, "__version__", "9.9.9")
    run = create_run(own_world, load_posture("published"), seed=42, posture="published")
    assert run.receipt.nonce == 1
    assert run.run_id != own_run.run_id


def test_an_interrupted_state_publishes_nothing_and_the_run_goes_on_later(own_world, monkeypatch):
    run = create_run(own_world, load_posture("published"), seed=42, posture="published")

    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(s3_counts, "draw_counts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_states(run, threads=2)
    assert run.last_records()["S3"].error_code == "5B.INTERRUPTED"
    assert run.marker("S3") is None
    assert not list(run.root.rglob(".staging*"))
    assert run_states(run, threads=2) == ["S3", "S4", "S5"]


def test_a_damaged_output_is_made_again_and_what_follows_is_untouched(own_run):
    before = digests(own_run)
    path = own_run.files("s3_bucket_counts_5B", own_run.scenarios[0])[0]
    path.write_bytes(path.read_bytes()[:-10])
    assert run_states(own_run, threads=2) == ["S3"]
    assert digests(own_run) == before


def test_a_state_refuses_inputs_that_are_not_what_was_published(own_run):
    path = own_run.files("s3_bucket_counts_5B", own_run.scenarios[0])[0]
    path.write_bytes(path.read_bytes()[:-10])
    own_run.marker_path("S4").unlink()
    before = digests(own_run)
    with pytest.raises(StaleError, match=r"S4\.INPUT_CHANGED"):
        run_states(own_run, ["S4"], threads=2)
    assert digests(own_run) == before


def test_a_flipped_byte_in_the_world_stops_a_finished_run_too(own_run):
    path = own_run.world.files("site_locations")[0]
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="site_locations") as caught:
        run_states(own_run, threads=2)
    assert caught.value.code == "5B.S0.SEALED_INPUT_MISMATCH"


def test_edited_policies_are_refused(own_run):
    path = own_run.root / "policies" / "arrival_count_config_5B.yaml"
    path.write_text(path.read_text().replace("50000", "40000"))
    with pytest.raises(StaleError, match="POLICIES_CHANGED"):
        run_states(Run(own_run.root), threads=2)


def test_a_run_over_a_world_of_another_fingerprint_is_refused(own_run, reopened_world):
    target = own_run.world.root
    shutil.rmtree(target)
    shutil.copytree(reopened_world.root, target)
    with pytest.raises(InputError, match=reopened_world.mf[:8]) as caught:
        run_states(Run(own_run.root), threads=2)
    assert caught.value.exit_code == 3


def test_rng_audit_and_trace_are_written(published_run):
    root = published_run.root / "logs" / "layer2" / "5B" / "rng"
    (audit,) = root.glob("audit/seed=42/parameter_hash=*/run_id=*/rng_audit.jsonl")
    (trace,) = root.glob("trace/seed=42/parameter_hash=*/run_id=*/rng_trace.jsonl")
    assert json.loads(audit.read_text())["algorithm"] == "philox2x64-10"
    families = {json.loads(line)["family"] for line in trace.read_text().splitlines()}
    assert families == set(published_run.policies.rng.families)


def test_two_outputs_folders_give_the_same_fingerprint_and_run(tiny_world, own_world):
    assert World(own_world.root).mf == tiny_world.mf
    assert os.fspath(own_world.root) != os.fspath(tiny_world.root)
