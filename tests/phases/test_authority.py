"""The authority world as published: every figure within its tolerance, on neighbouring seeds within twice that.

By hand only (`pytest -m authority`): one world and three runs, one after the other, each about a minute or two,
2 GB of disk and 3 GiB of memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from segment5b_lib.gates.scoring import score
from segment5b_lib.phases.p0_figures import figure_lines, published_report, verdict_counts
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import build_world
from segment5b_lib.world.world_file import load_spec
from tests.conftest import finished_run

pytestmark = pytest.mark.authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    outputs = tmp_path_factory.mktemp("authority")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGMENT5B_OUTPUTS", str(outputs))
        yield build_world(load_spec("authority"), outputs).world
    shutil.rmtree(outputs)


@pytest.fixture(params=[42, 43, 44])
def run(authority: World, request: pytest.FixtureRequest) -> Iterator[Run]:
    found = finished_run(authority, "published", seed=request.param)
    yield found
    shutil.rmtree(found.root)


def test_every_published_figure_is_reproduced(run: Run) -> None:
    lines = figure_lines(score(run))
    outside = [
        f"{line.figure_id}: {line.ours}, published {line.published}, {line.tolerance}"
        for line in lines
        if line.verdict != "within"
    ]
    assert not outside
    assert verdict_counts(lines)["within"] == len(published_report().figures)
    assert {line.tolerance.factor for line in lines} == {1.0 if run.receipt.seed == 42 else 2.0}


def test_the_pinned_counts_are_world_and_not_chance(authority: World) -> None:
    sites = authority.table("site_locations", ["merchant_id"])["merchant_id"].to_pylist()
    modes = authority.table("virtual_classification_3B", ["merchant_id", "is_virtual"]).to_pylist()
    online = {row["merchant_id"] for row in modes if row["is_virtual"]}
    assert sum(merchant not in online for merchant in sites) == 23_989
    assert len(modes) == 886
