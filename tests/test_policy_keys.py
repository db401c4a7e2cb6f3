"""No dead switch: every key of every policy is read by the states or the gates."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import BaseModel

from segment5b_lib.contract.policies import Strict
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.gates.scorecard import score
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world
from segment5b_lib.world.world_file import load_spec

BOTH_SCENARIOS = {"scenarios": ["baseline_v1", "stress_peak_v1"]}


@pytest.fixture
def reads(monkeypatch):
    """(model, field) pairs that are looked at while the test runs."""
    seen: set[tuple[str, str]] = set()

    def watched(self, name):
        if name in type(self).model_fields:
            seen.add((type(self).__name__, name))
        return object.__getattribute__(self, name)

    monkeypatch.setattr(Strict, "__getattribute__", watched, raising=False)
    return seen


def keys_by_model(node: BaseModel) -> set[tuple[str, str]]:
    """(model, field) pairs below `node`, without fields that allow one value only: those are no switches."""
    fields = type(node).model_fields
    found = {(type(node).__name__, name) for name, field in fields.items() if len(get_args(field.annotation)) != 1}
    for name in fields:
        value = getattr(node, name)
        for child in value.values() if isinstance(value, dict) else [value]:
            if isinstance(child, BaseModel):
                found |= keys_by_model(child)
    return found


def test_every_policy_key_is_read(private_outputs, monkeypatch, reads):
    world = build_world(load_spec("tiny", BOTH_SCENARIOS), private_outputs).world
    reopened = reopen_world(world, "2A", {"last_transition_year": 2028}, "test").world
    tilt = {"mode": "exponential_tilt", "eta": 0.1, "scores": {"Europe/London": 1.0}}
    published = with_changes(load_posture("published"), {"lgcp.zone_mix": tilt, "routing.concentration_temper": tilt})
    expected = keys_by_model(published)
    reads.clear()
    for where, policies in ((world, published), (reopened, load_posture("civil_time"))):
        run = create_run(where, policies, seed=42, posture="test")
        run_states(run, threads=2)
        score(run)
    unread = expected - reads
    assert not unread
