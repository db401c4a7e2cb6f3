"""Two hundred seeds of the corrected tiny world: no gate that can speak fails, and those that cannot say so.

The states and the gates of one seed take a second, so this takes about three minutes, all in one process.
"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from segment5b_lib.contract.verdicts import PASSES, GateResult
from segment5b_lib.contract.words import Verdict
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.gates.t10_stability import stability
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.worlds import World

pytestmark = pytest.mark.slow
SEEDS = range(1000, 1200)
CHANGES: dict[str, Any] = {
    # Ten of eighteen zones, and two online merchants of twelve: what such a world is, whatever is drawn.
    **{f"validation.gates.T6.{level}.max": 0.999 for level in ("b", "bplus")},
    **{f"validation.gates.T7.{level}": {"min": 0.005, "max": 0.12} for level in ("b", "bplus")},
}
NO_POWER_AT_TINY = {"T8", "A1.offsets"}
CHANCE = 1e-5
"""Least p-value of a test on all seeds together. A constant, until the world itself changes."""


@dataclass(frozen=True)
class Drawn:
    """One seed's scorecard (without the tables that it was made from) and the statuses of S5's checks."""

    card: Scorecard
    checks: dict[str, str]


def drawn(world: World, seed: int) -> Drawn:
    policies = with_changes(load_posture("civil_time"), CHANGES)
    run = create_run(world, policies, seed=seed, posture="false alarms")
    run_states(run, threads=2)
    report = read_json(run.bundle_folder / "validation_report_5B.json")
    card = replace(score(run), evidence=Evidence(run))
    shutil.rmtree(run.root)
    return Drawn(card, {check["check_id"]: check["status"] for check in report["checks"]})


@pytest.fixture(scope="module")
def seeds(reopened_world: World) -> list[Drawn]:
    return [drawn(reopened_world, seed) for seed in SEEDS]


def results(seeds: Iterable[Drawn], gate_id: str) -> list[GateResult]:
    return [one.card.result(gate_id) for one in seeds]


def test_no_gate_fails(seeds: list[Drawn]) -> None:
    said = Counter((entry.gate_id, entry.verdict) for one in seeds for entry in one.card.results)
    assert {key: n for key, n in said.items() if key[1] not in (*PASSES, Verdict.INSUFFICIENT_POWER)} == {}
    assert {gate for gate, verdict in said if verdict is Verdict.INSUFFICIENT_POWER} <= NO_POWER_AT_TINY


def test_a_gate_without_power_says_what_it_needs(seeds: list[Drawn]) -> None:
    silent = [e for one in seeds for e in one.card.results if e.verdict is Verdict.INSUFFICIENT_POWER]
    assert silent and all("need" in entry.reason for entry in silent)


def test_s5_refuses_nothing_and_warns_of_nothing(seeds: list[Drawn]) -> None:
    said = {(check, status) for one in seeds for check, status in one.checks.items() if status != "pass"}
    assert said <= {("T8_WEEKEND", "advisory")}


@pytest.mark.parametrize("gate_id", ["A3", "A4", "A5"])
def test_small_p_values_are_no_likelier_than_they_say(seeds: list[Drawn], gate_id: str) -> None:
    values = [entry.value for entry in results(seeds, gate_id)]
    assert stats.kstest(values, "uniform", alternative="greater").pvalue > CHANCE
    assert len(set(values)) == len(SEEDS)


@pytest.mark.parametrize("gate_id", ["A3", "A4"])
def test_p_values_are_uniform(seeds: list[Drawn], gate_id: str) -> None:
    """Neither are they too large: then the gate would see less than it says. (A5 looks at steps, and may.)"""
    assert stats.kstest([entry.value for entry in results(seeds, gate_id)], "uniform").pvalue > CHANCE


def test_weekend_differences_are_as_large_as_their_standard_error(seeds: list[Drawn]) -> None:
    details = [entry.detail for entry in results(seeds, "T8")]
    scores = [100 * (d["observed"] - d["expected"]) / d["standard_error_pp"] for d in details]
    assert stats.kstest(scores, "norm").pvalue > CHANCE
    assert max(map(abs, scores)) < 5


def test_dispersion_scatters_around_the_law(seeds: list[Drawn]) -> None:
    excess = np.array([entry.value - entry.detail["model_value"] for entry in results(seeds, "T9")])
    assert abs(excess.mean()) < 4 * excess.std() / math.sqrt(excess.size)


def test_equal_timestamps_are_as_many_as_chance_makes(seeds: list[Drawn]) -> None:
    details = [entry.detail for entry in results(seeds, "A1.duplicates")]
    found, expected = (sum(d[name] for d in details) for name in ("pairs_at_one_microsecond", "expected"))
    assert 2 * min(stats.poisson.cdf(found, expected), stats.poisson.sf(found - 1, expected)) > CHANCE


def test_no_panel_of_four_seeds_is_unstable(seeds: list[Drawn]) -> None:
    cards = [one.card for one in seeds]
    panels = [stability(cards[start : start + 4]) for start in range(0, len(cards), 4)]
    assert {panel.verdict for panel in panels} <= set(PASSES)
