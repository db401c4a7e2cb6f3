"""One authority run against its prediction. By hand only (`pytest -m authority`): some minutes, 2 GB of disk."""

import pytest

from segment5b_lib.calibrate.predictor import predict
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.store.postures import load_posture
from segment5b_lib.world.build import build_world
from segment5b_lib.world.world_file import load_spec
from tests.calibrate.measured import measured

pytestmark = pytest.mark.authority


def test_an_authority_run_lies_where_it_was_predicted(private_outputs):
    world = build_world(load_spec("authority"), private_outputs).world
    run = create_run(world, load_posture("published"), seed=42, posture="published")
    run_states(run, ("S0", "S1", "S2", "S3", "S4"), threads=2)
    prediction, found = predict(run), measured(run)
    distances = {gate: estimate.distance(found[gate]) for gate, estimate in prediction.gates.items()}
    assert all(abs(distance) < 3 for distance in distances.values()), distances
