"""T10 over made-up seeds: the coefficient of variation, its floor, missing metrics, and what the seeds share."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

import pytest

from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.t10_stability import KEY_METRICS, stability
from tests.gates.made_up import card, results

SEEDS = (42, 7, 101, 202)


def cards(t6: tuple[float, ...] = (0.6, 0.6, 0.6, 0.6), **others: Any) -> list[Any]:
    return [card(seed, results(T6=value, **others)) for seed, value in zip(SEEDS, t6, strict=False)]


def test_value_is_the_largest_sample_cv() -> None:
    values = (0.50, 0.60, 0.55, 0.70)
    result = stability(cards(values))
    assert result.value == pytest.approx(stdev(values) / mean(values), rel=1e-9)
    assert result.detail["worst_metric"] == "T6"
    assert [line["metric"] for line in result.detail["metrics"]] == list(KEY_METRICS)
    assert (result.verdict, result.population) == (Verdict.PASS_BPLUS, 4)


@pytest.mark.parametrize(
    ("spread", "verdict"),
    [(0.05, Verdict.PASS_BPLUS), (0.12, Verdict.PASS_B), (0.25, Verdict.FAIL)],
)
def test_thresholds_are_the_plans(spread: float, verdict: Verdict) -> None:
    assert stability(cards((0.6 - spread, 0.6 + spread, 0.6 - spread, 0.6 + spread))).verdict is verdict


def test_noise_below_a_tenth_of_the_bound_does_not_vary() -> None:
    """T1's B+ is 0.1 %: a few wrong rows in a million are no instability, twice the floor on one seed is."""
    quiet = [card(seed, results(T1=value)) for seed, value in zip(SEEDS, (0.0, 9e-5, 1e-6, 0.0), strict=True)]
    assert stability(quiet).value == 0
    loud = [card(seed, results(T1=value)) for seed, value in zip(SEEDS, (0.0, 2e-4, 1e-6, 0.0), strict=True)]
    assert stability(loud).verdict is Verdict.FAIL
    assert stability(loud).detail["worst_metric"] == "T1"


def test_a_missing_metric_fails_and_is_named() -> None:
    runs = [*cards()[:3], card(202, results(T7=Verdict.NOT_MEASURED))]
    result = stability(runs)
    assert result.verdict is Verdict.FAIL
    assert "T7 on seed 202" in result.reason


@pytest.mark.parametrize("runs", [cards()[:1], [cards()[0], cards()[0]]])
def test_one_seed_says_nothing(runs: list[Any]) -> None:
    assert stability(runs).verdict is Verdict.NOT_MEASURED


def test_the_panel_says_what_the_seeds_share() -> None:
    runs = [*cards()[:2], card(101, results(), manifest_fingerprint="other")]
    detail = stability(runs).detail
    assert detail["seeds"] == [42, 7, 101]
    assert detail["shared_inputs"] == {"policies": "p", "posture": "remediated", "scale": "authority"}
    assert detail["inputs_that_differ"] == {"world": ["m", "other"]}
