"""Rerun matrix and retention: only what must run runs, and only what may go goes."""

import json

import pytest

from segment5b_lib.contract.words import STATES
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.engine.rerun import prepare_rerun, states_from
from segment5b_lib.engine.retention import discard_unstarted, keep_set, pin, pin_new, prune, superseded
from segment5b_lib.errors import ConflictError, StaleError, UsageError
from segment5b_lib.store.catalogue import find_run, read_pins
from segment5b_lib.store.locks import locked
from segment5b_lib.store.postures import load_posture


@pytest.mark.parametrize("changed", STATES)
def test_the_matrix_is_the_changed_state_and_all_after_it(changed):
    assert states_from(changed) == STATES[STATES.index(changed) :]


def test_a_rerun_links_what_did_not_change_and_runs_the_rest(own_run):
    child = prepare_rerun(own_run, "S4", {"routing.zone_binding": "row_zone"}, threads=2)
    assert child.receipt.parent_run == own_run.run_id
    assert child.receipt.changed_states == ["S4", "S5"]
    assert run_states(child, threads=2) == ["S4", "S5"]
    scenario = own_run.scenarios[0]
    for dataset_id in ("s2_realised_intensity_5B", "s3_bucket_counts_5B"):
        for ours, theirs in zip(child.files(dataset_id, scenario), own_run.files(dataset_id, scenario), strict=True):
            assert ours.samefile(theirs)
    ours, theirs = (
        child.files("arrival_events_5B", scenario)[0],
        own_run.files("arrival_events_5B", scenario)[0],
    )
    assert ours.read_bytes() != theirs.read_bytes()
    assert run_states(child, threads=2) == []


def test_the_linked_child_equals_the_same_run_made_from_nothing(own_run, own_world):
    changes = {"placement.local_time_encoding": "wall_clock"}
    child = prepare_rerun(own_run, "S4", changes, threads=2)
    run_states(child, threads=2)
    made = create_run(own_world, child.policies, seed=42, posture="published", nonce=7)
    run_states(made, threads=2)
    for state in STATES:
        assert child.outputs(state) == made.outputs(state), state


def test_a_rerun_with_nothing_changed_is_the_same_run_and_a_no_op(own_run):
    same = prepare_rerun(own_run, "S4", {}, threads=2)
    assert same.root == own_run.root
    assert run_states(same, threads=2) == []


def test_a_rerun_refuses_outputs_made_with_another_policy(own_run):
    with pytest.raises(StaleError, match="count") as caught:
        prepare_rerun(own_run, "S4", {"count.law": "poisson"}, threads=2)
    assert caught.value.code == "5B.RUN.STALE_OUTPUT"


def test_a_rerun_refuses_outputs_that_are_not_what_their_marker_says(own_run):
    path = own_run.files("s3_bucket_counts_5B", own_run.scenarios[0])[0]
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(StaleError, match="part-000000"):
        prepare_rerun(own_run, "S4", {"routing.zone_binding": "row_zone"}, threads=2)


def empty_run(world, seed):
    return create_run(world, load_posture("published"), seed=seed, posture="published")


def test_prune_takes_only_unpinned_runs_and_leaves_a_receipt(own_run, own_world):
    gone, kept = empty_run(own_world, 1), empty_run(own_world, 2)
    pin("baseline", own_run)
    pin("witness", kept)
    foreign = own_run.root.parent / "notes"
    foreign.mkdir()
    (own_run.root.parent / "link").symlink_to(own_run.root)
    candidates = superseded()
    assert [one.run.run_id for one in candidates] == [gone.run_id]
    receipt = json.loads(prune(candidates).read_text())
    assert [row["run_id"] for row in receipt["removed"]] == [gone.run_id]
    assert receipt["freed_bytes"] == candidates[0].bytes > 0
    assert not gone.root.exists()
    assert own_run.root.is_dir()
    assert kept.root.is_dir()
    assert foreign.is_dir()
    assert prune(superseded()).is_file()


def test_prune_refuses_a_run_that_was_pinned_meanwhile_or_is_in_use(own_world):
    run = empty_run(own_world, 1)
    candidates = superseded()
    with locked(run.root / ".lock", "work"), pytest.raises(ConflictError, match="work"):
        prune(candidates)
    pin("candidate", run)
    with pytest.raises(ConflictError, match="keep-set"):
        prune(candidates)
    assert run.root.is_dir()


def test_roles_hold_one_run_or_a_set(own_world):
    runs = [empty_run(own_world, seed) for seed in (1, 2, 3)]
    for run in runs:
        pin("candidate", run)
        pin("certification", run)
    assert find_run("@candidate").run_id == runs[-1].run_id
    assert keep_set() == {run.run_id for run in runs}
    with pytest.raises(UsageError, match="baseline, candidate"):
        pin("favourite", runs[0])


def test_runs_open_by_prefix_and_alias_and_unknown_names_list_what_exists(own_run, own_world):
    other = empty_run(own_world, 9)
    assert find_run(own_run.run_id[:10]).root == own_run.root
    assert find_run("@last").run_id == other.run_id
    with pytest.raises(UsageError, match=own_run.run_id[:8]):
        find_run("zzz")
    with pytest.raises(UsageError, match="baseline"):
        find_run("@baseline")


def test_a_finished_run_earns_its_roles_and_an_unfinished_one_none(own_run, own_world):
    pin_new(empty_run(own_world, 1))
    assert keep_set() == set()
    pin_new(own_run)
    assert read_pins().root == {"baseline": [own_run.run_id], "last_good": [own_run.run_id]}


def test_a_run_that_never_started_can_be_discarded_and_a_started_one_cannot(own_run, own_world):
    empty = empty_run(own_world, 1)
    discard_unstarted(empty)
    discard_unstarted(own_run)
    assert not empty.root.exists()
    assert own_run.root.is_dir()
