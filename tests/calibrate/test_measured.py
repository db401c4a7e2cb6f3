"""Predictions against what runs then measured: ten seeds of the tiny world, under both postures."""

import os
import shutil

import numpy as np
import pytest

from segment5b_lib.calibrate.prediction import TOP_TENTH
from segment5b_lib.calibrate.predictor import predict
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.store.postures import load_posture
from tests.calibrate.measured import measured

SEEDS = (42, 7, 101, 202, 1, 2, 3, 4, 5, 6)
GATES = ("T1", "T6", TOP_TENTH, "T7")


@pytest.fixture(scope="module")
def outputs_of_our_own(tmp_path_factory, tiny_world, reopened_world):
    folder = tmp_path_factory.mktemp("measured")
    for world in (tiny_world, reopened_world):
        shutil.copytree(world.root, folder / "worlds" / world.mf, copy_function=os.link)
    before = os.environ["SEGMENT5B_OUTPUTS"]
    os.environ["SEGMENT5B_OUTPUTS"] = str(folder)
    yield folder
    os.environ["SEGMENT5B_OUTPUTS"] = before


@pytest.mark.slow
@pytest.mark.parametrize(("posture", "world"), [("published", "tiny_world"), ("civil_time", "reopened_world")])
def test_ten_seeds_lie_where_they_were_predicted(outputs_of_our_own, posture, world, request):
    """Of forty figures one in ten test runs would have more than one beyond three standard errors; ours have none."""
    distances = []
    for seed in SEEDS:
        run = create_run(request.getfixturevalue(world), load_posture(posture), seed=seed, posture=posture)
        run_states(run, ("S0", "S1", "S2", "S3", "S4"), threads=2)
        prediction, found = predict(run), measured(run)
        distances.append([prediction.gates[gate].distance(found[gate]) for gate in GATES])
        shutil.rmtree(run.root)
    assert np.abs(distances).max() < 3, np.round(distances, 2)
    moving = [column for column in np.transpose(distances) if np.any(column)]
    assert 0.5 < np.sqrt(np.mean(np.square(moving))) < 1.5  # nor are the errors too wide to be wrong
