"""The least distorting tilt against a general solver, plain arithmetic, and S2 itself."""

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from segment5b_lib.calibrate.floor import floor_of
from segment5b_lib.calibrate.mix import Mix, largest
from segment5b_lib.calibrate.zone_tilt import GAP, certificate, solve_tilt
from segment5b_lib.errors import GateRefusal
from segment5b_lib.model.zones import tilt_multipliers
from tests.calibrate.problems import TOP, divergence, random_mix, tilt_by_hand, top, zone_totals

ZONES = [f"Zone/{z:02d}" for z in range(13)]


def between(mix, part):
    """A target between the floor (0) and how it is (1)."""
    floor = floor_of(mix, mix, ZONES)
    return floor.share + part * (floor.as_it_is - floor.share)


def least_distortion(mix, target):
    """The primal in its own words, by a general solver: x ≥ 0, θ, β ≥ 0 with 10θ + Σβ ≤ τ and T ≤ θ + β."""
    cells, zones, owners = len(mix.mass), len(mix.fixed), int(mix.owner.max()) + 1
    size = cells + 1 + zones
    totals = np.zeros((zones, size))
    totals[mix.zone, np.arange(cells)] = 1
    totals[:, cells] = -1
    totals[np.arange(zones), cells + 1 + np.arange(zones)] = -1
    sums = np.zeros((owners, size))
    sums[mix.owner, np.arange(cells)] = 1
    budget = np.r_[np.zeros(cells), TOP, np.ones(zones)]
    start = np.r_[mix.mass, 0.0, np.array(zone_totals(mix, mix.mass))]
    gradient = lambda v: np.r_[np.log(np.maximum(v[:cells], 1e-300) / mix.mass) + 1, np.zeros(1 + zones)]  # noqa: E731
    found = minimize(
        lambda v: divergence(mix, v[:cells]),
        start,
        jac=gradient,
        method="SLSQP",
        bounds=[(1e-14, None)] * cells + [(None, None)] + [(0, None)] * zones,
        constraints=[
            {"type": "ineq", "fun": lambda v: -mix.fixed - totals @ v, "jac": lambda v: -totals},
            {"type": "eq", "fun": lambda v: sums @ v - sums @ start, "jac": lambda v: sums},
            {"type": "ineq", "fun": lambda v: target - budget @ v, "jac": lambda v: -budget[None]},
        ],
        options={"maxiter": 1000, "ftol": 1e-12},
    )
    assert found.success, found.message
    return found.fun, found.x[:cells]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("part", [0.2, 0.7])
def test_no_allocation_that_meets_the_target_is_nearer(seed, part):
    mix = random_mix(seed, owners=4, most=5)
    target = between(mix, part)
    solution = solve_tilt(mix, target, ZONES)
    least, mass = least_distortion(mix, target)
    assert solution.distortion == pytest.approx(least, abs=2e-6)
    score = [solution.tilt.scores.get(name, 0.0) for name in ZONES]
    ours = tilt_by_hand(mix, solution.tilt.eta, score)
    assert np.abs(np.array(ours) - mass).max() < 2e-3  # the objective is flat: 2e-6 in it is 1e-3 in a mass


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("part", [0.02, 0.4, 0.95])
def test_the_certificate_is_what_follows_from_the_stored_numbers(seed, part):
    mix = random_mix(seed, owners=9)
    target = between(mix, part)
    solution = solve_tilt(mix, target, ZONES)
    score = [solution.tilt.scores.get(name, 0.0) for name in ZONES]
    assert sum(score) == pytest.approx(TOP, abs=1e-9)
    assert all(0 <= value <= 1 for value in score)
    mass = tilt_by_hand(mix, solution.tilt.eta, score)
    totals = zone_totals(mix, mass)
    assert top(totals) == pytest.approx(solution.share, abs=1e-12)
    assert solution.share <= target + GAP
    assert divergence(mix, mass) == pytest.approx(solution.distortion, abs=1e-12)
    dual = solution.tilt.eta * (sum(s * f for s, f in zip(score, mix.fixed, strict=True)) - target)
    for g in range(9):
        own = mix.owner == g
        weight = mix.mass[own].sum()
        sums = sum(
            m / weight * math.exp(-solution.tilt.eta * score[z])
            for m, z in zip(mix.mass[own], mix.zone[own], strict=True)
        )
        dual -= weight * math.log(sums)
    assert dual == pytest.approx(solution.bound, abs=1e-10)
    assert abs(solution.distortion - dual) <= GAP


@pytest.mark.parametrize("seed", range(6))
def test_only_zones_at_the_edge_of_the_top_ten_have_fractional_scores(seed):
    mix = random_mix(seed, owners=12)
    solution = solve_tilt(mix, between(mix, 0.3), ZONES)
    score = np.array([solution.tilt.scores.get(name, 0.0) for name in ZONES])
    totals = np.array(zone_totals(mix, tilt_by_hand(mix, solution.tilt.eta, score)))
    tied = (score > 0) & (score < 1)
    if tied.any():
        edge = totals[tied].mean()
        assert np.abs(totals[tied] - edge).max() < 1e-6
        assert (totals[score == 1] >= edge - 1e-6).all() and (totals[score == 0] <= edge + 1e-6).all()


def test_zones_that_are_alike_share_the_score():
    """Twelve equal zones and a large one: nine places for twelve, three quarters each."""
    owners, zones = 12, 13
    owner = np.repeat(np.arange(owners), 2)
    zone = np.stack([np.zeros(owners, int), 1 + np.arange(owners)], axis=1).ravel()
    mass = np.tile([0.9, 0.1], owners) / owners
    mix = Mix(owner, zone, mass, np.zeros(zones))
    solution = solve_tilt(mix, 0.9, ZONES)
    assert solution.tilt.scores["Zone/00"] == 1.0
    assert [solution.tilt.scores[name] for name in ZONES[1:]] == pytest.approx([0.75] * 12, abs=1e-6)


def test_a_target_that_holds_already_needs_no_tilt():
    mix = random_mix(1)
    solution = solve_tilt(mix, largest(mix.zones(mix.mass)) + 1e-9, ZONES)
    assert solution.tilt.mode == "none"
    assert solution.distortion == solution.bound == 0.0


@pytest.mark.parametrize("below", [1e-3, 0.2])
def test_a_target_below_the_floor_is_refused_with_the_proof(below):
    mix = random_mix(3)
    floor = floor_of(mix, mix, ZONES)
    with pytest.raises(GateRefusal) as caught:
        solve_tilt(mix, floor.share - below, ZONES)
    assert caught.value.code == "5B.CALIBRATE.TARGET_UNREACHABLE"
    assert f"{floor.bound:.4f}" in caught.value.found


@pytest.mark.parametrize("seed", range(4))
def test_a_stored_tilt_is_certified_again_from_the_policy_alone(seed):
    mix = random_mix(seed, owners=9)
    solution = solve_tilt(mix, between(mix, 0.4), ZONES)
    stored = certificate(mix, solution.tilt, ZONES)
    assert stored.gap <= GAP
    assert (stored.share, stored.distortion) == pytest.approx((solution.share, solution.distortion), abs=1e-12)
    swapped = dict(zip(solution.tilt.scores, reversed(solution.tilt.scores.values()), strict=True))
    if swapped != solution.tilt.scores:
        assert certificate(mix, solution.tilt.model_copy(update={"scores": swapped}), ZONES).gap > 100 * GAP


def test_a_wrong_tilt_has_no_certificate():
    """The gap and the excess are able to say no: a tilt that is 5 % too weak or too strong shows in one of them."""
    mix = random_mix(5)
    target = between(mix, 0.4)
    right = solve_tilt(mix, target, ZONES)
    score = np.array([right.tilt.scores.get(name, 0.0) for name in ZONES])
    for factor in (0.95, 1.05):
        mass, log_sums = mix.tilted(factor * right.tilt.eta * score)
        dual = -(mix.weight @ log_sums) + factor * right.tilt.eta * (score @ mix.fixed - target)
        wrong = dataclasses.replace(
            right, share=largest(mix.zones(mass)), distortion=mix.distortion(mass), bound=float(dual)
        )
        assert max(wrong.gap, wrong.excess) > 100 * GAP


@pytest.mark.parametrize("seed", range(5))
def test_s2_applies_exactly_the_tilt_that_was_solved(seed):
    """Merchants with several series in a zone, in other countries: sums by S2's own function."""
    rng = np.random.default_rng(seed)
    mix = random_mix(seed, owners=8)
    rows = np.repeat(np.arange(len(mix.mass)), 2)
    part = rng.uniform(0.1, 0.9, len(mix.mass))
    totals = 1e6 * np.stack([mix.mass * part, mix.mass * (1 - part)], axis=1).ravel()
    series = pl.DataFrame(
        {
            "merchant_id": (1000 + mix.owner[rows]).astype(np.uint64),
            "zone_representation": np.array(ZONES)[mix.zone[rows]],
        }
    )
    solution = solve_tilt(mix, between(mix, 0.5), ZONES)
    kept = totals * tilt_multipliers(series, totals, solution.tilt) / 1e6
    zones = mix.fixed + np.bincount(mix.zone[rows], kept, minlength=len(ZONES))
    assert largest(zones) == pytest.approx(solution.share, abs=1e-12)
    before = np.bincount(mix.owner[rows], totals / 1e6)
    assert np.bincount(mix.owner[rows], kept) == pytest.approx(before, rel=1e-12)
