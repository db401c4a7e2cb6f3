"""Runs that the tests of one state may break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World


@pytest.fixture
def own_civil_run(civil_time_run: Run, reopened_world: World, private_outputs: Path) -> Run:
    """A copy of the corrected run that a test may break; its world is shared and must stay as it is."""
    (private_outputs / "worlds" / reopened_world.mf).symlink_to(reopened_world.root)
    return Run(shutil.copytree(civil_time_run.root, private_outputs / "runs" / civil_time_run.run_id))
