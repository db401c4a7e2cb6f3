"""Shared worlds and runs: built once per session, also when tests run on several workers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.store.locks import locked
from segment5b_lib.store.postures import load_posture
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world
from segment5b_lib.world.world_file import load_spec

# Kernels compile on their first call and no test judges time: examples have no deadline, and never vary.
settings.register_profile("untimed", deadline=None, derandomize=True)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def outputs(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One outputs folder for the whole session, whatever the number of workers. Read-only by agreement."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "outputs"
    folder.mkdir(exist_ok=True)
    os.environ["SEGMENT5B_OUTPUTS"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_world(outputs: Path) -> World:
    """The tiny world as published: its time-zone cache ends in 2025."""
    with locked(outputs / ".tiny_world.lock", "build the tiny world", wait_seconds=300):
        return build_world(load_spec("tiny"), outputs).world


@pytest.fixture(scope="session")
def reopened_world(tiny_world: World, outputs: Path) -> World:
    """The tiny world with segment 2A reopened: its cache reaches past the horizon."""
    with locked(outputs / ".reopened_world.lock", "reopen the tiny world", wait_seconds=300):
        return reopen_world(tiny_world, "2A", {"last_transition_year": 2028}, "test").world


def finished_run(world: World, posture: str, seed: int = 42, threads: int = 2) -> Run:
    """A run of all states, made by whichever worker comes first."""
    run = create_run(world, load_posture(posture), seed=seed, posture=posture)
    with locked(run.root.parent / f".{run.run_id}.lock", "make a run", wait_seconds=300):
        run_states(run, threads=threads)
    return run


@pytest.fixture(scope="session")
def published_run(tiny_world: World) -> Run:
    """The defective baseline: S0 to S5, seed 42. Never write to it; see `copy_of`."""
    return finished_run(tiny_world, "published")


@pytest.fixture(scope="session")
def civil_time_run(reopened_world: World) -> Run:
    """The corrected run: cache reopened, wall-clock locals, each row's own zone."""
    return finished_run(reopened_world, "civil_time")


@pytest.fixture
def private_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An outputs folder of one's own, for tests that write, break or prune things."""
    folder = tmp_path / "outputs"
    (folder / "worlds").mkdir(parents=True)
    (folder / "runs").mkdir()
    monkeypatch.setenv("SEGMENT5B_OUTPUTS", str(folder))
    return folder


@pytest.fixture
def own_world(tiny_world: World, private_outputs: Path) -> World:
    """A copy of the tiny world that a test may break."""
    return World(shutil.copytree(tiny_world.root, private_outputs / "worlds" / tiny_world.mf))


@pytest.fixture
def own_run(published_run: Run, own_world: World, private_outputs: Path) -> Run:
    """A copy of the published run, over a copy of its world, that a test may break."""
    return Run(shutil.copytree(published_run.root, private_outputs / "runs" / published_run.run_id))
