"""No dead switch: every key of every policy is read by the states or the gates, each at its own place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.strict import Strict
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.errors import PolicyError
from segment5b_lib.gates.a06_replay import replay
from segment5b_lib.gates.certificate_class import SeedResults, certificate_class_of
from segment5b_lib.gates.runtime import RUNTIME_STATES, SEED_SETS, runtime_gate
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.gates.t10_stability import stability
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world
from segment5b_lib.world.world_file import load_spec

KEPT_BY_THE_MODEL = {"routing.hybrid_policy.bounds.min": 0.5, "routing.hybrid_policy.bounds.max": 0.1}
"""Keys that only bound another key, which is refused as soon as it lies outside."""
BOTH_SCENARIOS = {"scenarios": ["baseline_v1", "stress_peak_v1"]}


class Reads:
    """Paths of the keys that are looked at by way of a whole set of policies.

    A node gets its path when it is reached from the root, so that two nodes of one model (a gate and the next) are
    told apart, and what a node's own validation looks at, before it belongs to anything, does not count.
    """

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self._known: dict[int, tuple[Strict, str]] = {}

    def look(self, node: Strict, name: str, value: Any) -> None:
        path = name if isinstance(node, Policies) else self._path(node, name)
        if path is None:
            return
        self.paths.add(path)
        for key, child in value.items() if isinstance(value, dict) else [(None, value)]:
            if isinstance(child, Strict):
                self._known[id(child)] = (child, path if key is None else f"{path}.{key}")

    def _path(self, node: Strict, name: str) -> str | None:
        known = self._known.get(id(node))
        return None if known is None else f"{known[1]}.{name}"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    seen = Reads()

    def watched(self: Strict, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name in type(self).model_fields:
            seen.look(self, name, value)
        return value

    monkeypatch.setattr(Strict, "__getattribute__", watched, raising=False)
    return seen


def switches(node: BaseModel, path: str = "") -> Iterator[str]:
    """Path of every key below `node` that can have more than one value."""
    for name, field in type(node).model_fields.items():
        value = node.__dict__[name]
        models = value if isinstance(value, dict) else {None: value}
        for key, child in models.items():
            if isinstance(child, BaseModel):
                yield from switches(child, f"{path}{name}." if key is None else f"{path}{name}.{key}.")
        if not any(isinstance(child, BaseModel) for child in models.values()) and len(get_args(field.annotation)) != 1:
            yield f"{path}{name}"


def test_a_read_belongs_to_its_place(reads: Reads) -> None:
    policies = load_posture("published")
    assert not reads.paths - {"count", "validation"}
    assert policies.count.kappa.base.stress and policies.validation.gates["T1"].b.holds(0.0)
    assert reads.paths >= {"count.kappa.base.stress", "validation.gates.T1.b.max"}
    assert not reads.paths & {"lgcp.sigma.base.stress", "count.kappa.base.baseline", "validation.gates.T2.b.max"}


def test_every_policy_key_is_read(private_outputs, reads):
    world = build_world(load_spec("tiny", BOTH_SCENARIOS), private_outputs).world
    reopened = reopen_world(world, "2A", {"last_transition_year": 2028}, "test").world
    tilt = {"mode": "exponential_tilt", "eta": 0.1, "scores": {"Europe/London": 1.0}}
    mix, temper = {"lgcp.zone_mix": tilt}, {"routing.concentration_temper": tilt}
    cards = []
    for where, posture, changes, seed in ((world, "published", mix | temper, 42), (reopened, "civil_time", {}, 7)):
        run = create_run(where, with_changes(load_posture(posture), changes), seed=seed, posture="test")
        run_states(run, threads=2)
        cards.append(score(run))
    close_the_segment(cards)
    unread = set(switches(run.policies)) - reads.paths - set(KEPT_BY_THE_MODEL)
    assert " ".join(sorted(unread)) == ""


def close_the_segment(cards: list[Scorecard]) -> None:
    """What certification asks for beside the scorecards: stability, replay, budgets, and the class that follows."""
    run = cards[-1].evidence.run
    policy = run.policies.validation
    times = [runtime_gate(name, [1.0], "authority", policy.runtime) for name in (*RUNTIME_STATES, *SEED_SETS)]
    seeds = [SeedResults(card.identity["seed"], run.world.scale, card.results) for card in cards]
    certificate_class_of(seeds, [stability(cards[1:] + cards[:1]), replay(run), *times], policy.stability)


@pytest.mark.parametrize("key", KEPT_BY_THE_MODEL)
def test_what_the_model_keeps_is_refused_when_it_is_broken(key):
    with pytest.raises(PolicyError, match="p_virtual_hybrid"):
        with_changes(load_posture("published"), {key: KEPT_BY_THE_MODEL[key]})
