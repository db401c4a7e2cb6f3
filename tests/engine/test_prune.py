"""Prune: nothing outside the keep-set's complement goes, whatever lies about and whenever the process dies."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segment5b_lib.engine import chain, retention
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.engine.retention import latest_receipt, leftovers, pin, prune, superseded
from segment5b_lib.engine.throwaway import throwaway
from segment5b_lib.errors import ConflictError, Segment5BError
from segment5b_lib.store.catalogue import AttachedRun, list_runs
from segment5b_lib.store.digest import sha256_files
from segment5b_lib.store.locks import held, is_held, locked
from segment5b_lib.store.postures import load_posture, write_policies
from segment5b_lib.store.roots import runs_folder
from segment5b_lib.store.runs import RECEIPT_FILE, Run
from segment5b_lib.store.worlds import World


def empty_run(world: World, seed: int) -> Run:
    return create_run(world, load_posture("published"), seed=seed, posture="published")


def ids(candidates: list[retention.Superseded]) -> set[str]:
    return {one.run.run_id for one in candidates}


def receipt() -> dict[str, Any]:
    path = latest_receipt()
    assert path is not None
    return dict(json.loads(path.read_text()))


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    """A folder outside, with something in it that must survive."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "precious.txt").write_text("keep me")
    return folder


def is_whole(user_file: Path) -> bool:
    return [path.read_text() for path in user_file.iterdir()] == ["keep me"]


def test_a_run_folder_that_is_a_link_is_no_candidate(own_world: World, user_file: Path) -> None:
    run = empty_run(own_world, 1)
    moved = run.root.rename(user_file.with_name(run.run_id))
    run.root.symlink_to(moved)
    assert superseded() == []
    with pytest.raises(ConflictError, match="not part of a run"):
        prune([retention.Superseded(Run(run.root), 0)])
    assert run.root.is_symlink() and (moved / RECEIPT_FILE).is_file()


def test_links_inside_a_run_go_and_what_they_lead_to_stays(own_world: World, user_file: Path) -> None:
    run = empty_run(own_world, 1)
    (run.root / "data").symlink_to(user_file)
    (run.root / "reports").mkdir(exist_ok=True)
    (run.root / "reports" / "file").symlink_to(user_file / "precious.txt")
    assert superseded()[0].bytes < 1_000_000
    prune(superseded())
    assert not run.root.exists() and is_whole(user_file)


def test_a_lock_that_is_a_link_is_refused_and_not_written_through(own_world: World, user_file: Path) -> None:
    run = empty_run(own_world, 1)
    (run.root / ".lock").symlink_to(user_file / "precious.txt")
    with pytest.raises(ConflictError) as caught:
        prune(superseded())
    assert caught.value.code == "5B.STORE.LOCK_IS_LINK" and is_whole(user_file) and run.root.is_dir()


@pytest.mark.parametrize("linked", ["outputs", "outputs/runs"])
def test_an_outputs_folder_behind_a_link_is_pruned_where_it_really_lies(
    own_world: World, private_outputs: Path, user_file: Path, linked: str
) -> None:
    gone, kept = empty_run(own_world, 1), empty_run(own_world, 2)
    pin("baseline", kept)
    link = private_outputs.parent / linked
    real = link.rename(user_file / "real")
    link.symlink_to(real)
    names = {path.name for path in user_file.iterdir()}
    prune([one for one in superseded() if one.run.run_id == gone.run_id])
    assert not gone.root.exists() and (kept.root / RECEIPT_FILE).is_file()
    assert link.is_symlink() and {path.name for path in user_file.iterdir()} == names
    (user_file / "precious.txt").read_text()


def test_an_attached_run_is_never_a_candidate(own_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its data are somebody else's, even where its receipt would be one of ours."""
    ours, elsewhere = empty_run(own_world, 1), empty_run(own_world, 2)
    attached = AttachedRun(elsewhere.root, elsewhere.root)
    monkeypatch.setattr(retention, "list_runs", lambda: [ours, attached])
    assert ids(superseded()) == {ours.run_id}


def foreign(root: Path) -> None:
    """A folder of somebody else's."""
    shutil.rmtree(root)
    root.mkdir()
    (root / "notes.txt").write_text("mine")


def for_show(root: Path) -> None:
    """A receipt whose fields do not give the id that it claims."""
    path = root / RECEIPT_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 99}))


@pytest.mark.parametrize("spoil", [foreign, for_show])
def test_a_folder_without_a_receipt_of_ours_is_never_a_candidate(
    own_world: World, spoil: Callable[[Path], None]
) -> None:
    run, other = empty_run(own_world, 1), empty_run(own_world, 2)
    spoil(run.root)
    before = sorted(run.root.rglob("*"))
    assert ids(superseded()) == {other.run_id}
    prune(superseded())
    assert sorted(run.root.rglob("*")) == before and not other.root.exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"run_id": "somebody else"}'])
def test_a_receipt_that_cannot_be_read_stops_prune_before_anything_goes(own_world: World, text: str) -> None:
    run, other = empty_run(own_world, 1), empty_run(own_world, 2)
    (run.root / RECEIPT_FILE).write_text(text)
    with pytest.raises(Segment5BError) as caught:
        prune(superseded())
    assert run.run_id in caught.value.where and run.root.is_dir() and other.root.is_dir()


def test_a_receipt_of_another_run_stops_prune_before_anything_goes(own_world: World) -> None:
    run, other = empty_run(own_world, 1), empty_run(own_world, 2)
    shutil.copy(other.root / RECEIPT_FILE, run.root / RECEIPT_FILE)
    with pytest.raises(Segment5BError, match="another run"):
        prune(superseded())
    assert run.root.is_dir() and other.root.is_dir()


@pytest.mark.parametrize("name", ["notes.txt", "my_analysis", ".git"])
def test_what_somebody_has_put_into_a_run_keeps_all_from_being_pruned(own_world: World, name: str) -> None:
    runs = [empty_run(own_world, seed) for seed in (1, 2)]
    (superseded()[-1].run.root / name).mkdir()
    with pytest.raises(ConflictError) as caught:
        prune(superseded())
    assert caught.value.code == "5B.RUN.NOT_PRUNABLE" and caught.value.found == name
    assert all(run.root.is_dir() for run in runs) and latest_receipt() is None


def test_a_run_at_work_keeps_all_from_being_pruned(own_world: World) -> None:
    runs = [empty_run(own_world, seed) for seed in (1, 2)]
    with locked(superseded()[-1].run.root / ".lock", "work"), pytest.raises(ConflictError, match="work"):
        prune(superseded())
    assert all(run.root.is_dir() for run in runs) and latest_receipt() is None
    prune(superseded())
    assert list_runs() == []


def test_nothing_is_pinned_while_prune_is_at_work(own_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = empty_run(own_world, 1)
    seen = []

    def watched(root: Path) -> None:
        with pytest.raises(ConflictError), locked(runs_folder() / ".pins.lock", "pin"):
            pass
        seen.append(root)

    monkeypatch.setattr(retention, "_remove_run", watched)
    prune(superseded())
    assert seen == [run.root]


@pytest.mark.parametrize("role", ["baseline", "candidate", "last_good", "witness", "certification"])
def test_every_role_keeps_its_run(own_world: World, role: str) -> None:
    kept, gone = empty_run(own_world, 1), empty_run(own_world, 2)
    pin(role, kept)
    prune(superseded())
    assert kept.root.is_dir() and not gone.root.exists()


def test_a_child_stays_whole_when_its_parent_goes(own_run: Run) -> None:
    child = prepare_rerun(own_run, "S4", {"routing.zone_binding": "row_zone"}, threads=2)
    run_states(child, threads=2)
    pin("candidate", child)
    before = child.digests("S0", "S1", "S2", "S3", "S4", "S5")
    held_by_both = sum(path.stat().st_size for path in before if path.stat().st_nlink > 1)
    (parent,) = superseded()
    whole = sum(path.stat().st_size for path in own_run.root.rglob("*") if path.is_file())
    assert held_by_both > 0 and parent.bytes <= whole - held_by_both
    prune([parent])
    assert not own_run.root.exists() and sha256_files(before) == before
    assert run_states(child, threads=2) == [], "nothing is missing"


def test_what_two_superseded_runs_share_counts_once(own_run: Run) -> None:
    prepare_rerun(own_run, "S5", {"validation.sampling.seed": 6}, threads=2)
    inodes = {
        path.stat().st_ino: path.stat().st_size
        for path in runs_folder().glob("*/**/*")
        if path.is_file() and path.parent != runs_folder()
    }
    candidates = superseded()
    assert len(candidates) == 2 and sum(one.bytes for one in candidates) == sum(inodes.values())


def test_the_receipt_is_there_before_anything_goes(own_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = empty_run(own_world, 1)
    remove = retention._remove_run

    def checked(root: Path) -> None:
        found = receipt()
        assert found["planned"] == [run.run_id] and found["removed"] == [] and found["finished_utc"] is None
        remove(root)

    monkeypatch.setattr(retention, "_remove_run", checked)
    prune(superseded())
    found = receipt()
    assert [one["run_id"] for one in found["removed"]] == [run.run_id] and found["finished_utc"] is not None


_DIES = """
import os, shutil, sys
from segment5b_lib.engine.retention import prune, superseded
remove, seen = shutil.rmtree, []
def dying(path, **options):
    seen.append(path)
    if len(seen) == int(sys.argv[1]):
        os.remove(os.path.join(path, "run_receipt.json"))
        os.kill(os.getpid(), 9)
    remove(path, **options)
shutil.rmtree = dying
prune(superseded())
"""


def test_a_prune_that_was_killed_leaves_evidence_and_can_be_repeated(own_world: World) -> None:
    """It dies in the middle of the second of three runs."""
    runs = [empty_run(own_world, seed) for seed in (1, 2, 3)]
    pin("baseline", kept := empty_run(own_world, 4))
    done = subprocess.run([sys.executable, "-c", _DIES, "2"], check=False)
    assert done.returncode == -signal.SIGKILL
    found = receipt()
    assert set(found["planned"]) == {run.run_id for run in runs}
    assert len(found["removed"]) == 1 and found["finished_utc"] is None
    assert len(list_runs()) == 2, "what was half removed is no run any more"
    (left,) = leftovers()
    assert left.folder.name.startswith(".staging-pruned-")
    prune(superseded(), leftovers())
    again = receipt()
    assert [one["run_id"] for one in again["removed"]] == [run.run_id for run in runs if run.run_id in again["planned"]]
    assert again["cleared"] == [f"runs/{left.folder.name}"] and again["finished_utc"] is not None
    assert [run.run_id for run in list_runs()] == [kept.run_id] and leftovers() == []


_WORKS = """
import sys, time
from pathlib import Path
from segment5b_lib.engine.throwaway import throwaway
from segment5b_lib.store.runs import Run
with throwaway(Run(Path(sys.argv[1]))):
    print("at work", flush=True)
    time.sleep(600)
"""


def test_a_throw_away_copy_is_cleared_only_when_its_process_is_dead(own_run: Run, private_outputs: Path) -> None:
    pin("baseline", own_run)
    before = own_run.digests("S0", "S1", "S2", "S3", "S4", "S5")
    worker = subprocess.Popen([sys.executable, "-c", _WORKS, str(own_run.root)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    with worker, worker.stdout:
        assert worker.stdout.readline() == "at work\n"
        (copy,) = private_outputs.glob(".staging-throwaway-*")
        assert leftovers() == [] and is_held(copy)
        worker.kill()
    (left,) = leftovers()
    assert left.folder == copy
    prune(superseded(), [left])
    assert not copy.exists() and own_run.world.root.is_dir() and sha256_files(before) == before
    assert receipt()["cleared"] == [copy.name]


def test_leftovers_that_are_links_or_alive_stay(own_run: Run, private_outputs: Path, user_file: Path) -> None:
    (private_outputs / ".staging-throwaway-link").symlink_to(user_file)
    (private_outputs / ".staging-file").write_text("")
    (private_outputs / "worlds" / ".staging-world-dead").mkdir()
    with throwaway(own_run):
        assert [one.folder.name for one in leftovers()] == [".staging-world-dead"]
    prune([], leftovers())
    assert leftovers() == [] and is_whole(user_file)


def test_a_run_in_the_making_is_no_run_and_no_leftover(own_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def looking(policies: Any, folder: Path) -> None:
        seen.append((list_runs(), leftovers(), len(list(runs_folder().glob(f".staging-*/{RECEIPT_FILE}")))))
        write_policies(policies, folder)

    monkeypatch.setattr(chain, "write_policies", looking)
    empty_run(own_world, 1)
    assert seen == [([], [], 1)] and len(list_runs()) == 1


def test_a_folder_is_held_by_one_process_and_a_vanished_one_is_no_leftover(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with held(folder):
        assert is_held(folder)
        with pytest.raises(BlockingIOError), held(folder):
            pass
    assert not is_held(folder)
    folder.rmdir()
    assert is_held(folder)
