"""Runs for the phases: one that P0 may look at, and repetitions, copied for each test that plants something.

A test that carries `reaches(word)` must get that word from a phase's own `execute`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from segment5b_lib.contract.words import Decision
from segment5b_lib.phases.engine import page
from segment5b_lib.phases.engine.page import PhaseDecision, Published
from segment5b_lib.phases.engine.table import PHASES
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from tests.decisions import speak
from tests.phases.popt_track import PINNED_HERE, Track, found_track, repetitions


@pytest.fixture(autouse=True)
def reached(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The words that a test claims to reach are among those that real phases, which took their evidence, closed with.

    A decision that a test writes itself (`speak`) closes no phase, and an error on the way leaves no closure.
    """
    words: set[Decision] = set()

    def noted(phase: str, attempt: int, decision: PhaseDecision, files: tuple[Path, ...]) -> Published:
        words.update([decision.word] if phase in PHASES else [])
        return Published(phase, attempt, decision, files)

    monkeypatch.setattr(page, "Published", noted)
    yield
    claimed = {word for mark in request.node.iter_markers("reaches") for word in mark.args}
    assert claimed <= words


@pytest.fixture
def released_run(own_run: Run) -> Run:
    """A copy of the published run that a test may break, and that POPT.5 has let go."""
    speak("POPT.5", own_run, Decision.GO_P0)
    return own_run


@pytest.fixture(scope="session")
def track_outputs(published_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An outputs folder with the published run, two repetitions of it, and three under budgets that bind here."""
    outputs = tmp_path_factory.mktemp("track") / "outputs"
    world = shutil.copytree(published_run.world.root, outputs / "worlds" / published_run.world.mf)
    shutil.copytree(published_run.root, outputs / "runs" / published_run.run_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGMENT5B_OUTPUTS", str(outputs))
        repetitions(World(world), 2)
        repetitions(World(world), 3, changes=PINNED_HERE)
    yield outputs


@pytest.fixture
def track(track_outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Track:
    """A copy of these runs that a test may spoil."""
    outputs = shutil.copytree(track_outputs, tmp_path / "outputs")
    monkeypatch.setenv("SEGMENT5B_OUTPUTS", str(outputs))
    return found_track(outputs)
