"""A small world whose merchants have room to move: most of them trade in several zones."""

from __future__ import annotations

from pathlib import Path

import pytest

from segment5b_lib.store.locks import locked
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world
from segment5b_lib.world.world_file import load_spec
from tests.conftest import finished_run

ROOMY = {
    "merchants.count": 30,
    "merchants.arrivals_per_row": 1.0,
    "geography.zones_in_use": 30,
    "footprint.series": 180,
    "footprint.sites": 260,
    "demand.dormant_share": 0.3,
}


@pytest.fixture(scope="session")
def roomy_world(outputs: Path) -> World:
    with locked(outputs / ".roomy_world.lock", "build the roomy world", wait_seconds=300):
        world = build_world(load_spec("tiny", ROOMY), outputs).world
        return reopen_world(world, "2A", {"last_transition_year": 2028}, "test").world


@pytest.fixture(scope="session")
def roomy_run(roomy_world: World) -> Run:
    return finished_run(roomy_world, "civil_time")
