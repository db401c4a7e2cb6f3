"""The floor against another formulation of it, and its bound by plain arithmetic."""

import numpy as np
import pytest
from scipy.optimize import linprog

from segment5b_lib.calibrate.floor import bound_of, floor_of
from segment5b_lib.calibrate.mix import Mix
from tests.calibrate.problems import TOP, random_mix, top, zone_totals

ZONES = [f"Zone/{z:02d}" for z in range(11)]


def floor_by_subsets(mix):
    """With eleven zones the ten largest are all but one: T_all − T_z ≤ t for each z, minimise t."""
    cells, zones, owners = len(mix.mass), len(mix.fixed), int(mix.owner.max()) + 1
    rows = np.array([[*(mix.zone != z).astype(float), -1.0] for z in range(zones)])
    sums = np.zeros((owners, cells + 1))
    sums[mix.owner, np.arange(cells)] = 1
    found = linprog(
        c=np.r_[np.zeros(cells), 1.0],
        A_ub=rows,
        b_ub=[-(mix.fixed.sum() - mix.fixed[z]) for z in range(zones)],
        A_eq=sums,
        b_eq=np.bincount(mix.owner, mix.mass),
        bounds=(0, None),
    )
    assert found.status == 0
    return found.fun


@pytest.mark.parametrize("seed", range(20))
def test_the_floor_is_the_least_of_all_allocations(seed):
    mix = random_mix(seed, zones=11)
    floor = floor_of(mix, mix, ZONES)
    assert floor.share == pytest.approx(floor_by_subsets(mix), abs=1e-9)
    assert floor.as_it_is == pytest.approx(top(zone_totals(mix, mix.mass)), abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_the_proof_can_be_checked_by_hand(seed):
    mix = random_mix(seed, zones=11)
    floor = floor_of(mix, mix, ZONES)
    score = [floor.scores.get(name, 0.0) for name in ZONES]
    assert all(0 <= s <= 1 for s in score)
    assert sum(score) <= TOP + 1e-9
    by_hand = sum(s * f for s, f in zip(score, mix.fixed, strict=True))
    for g in range(int(mix.owner.max()) + 1):
        own = mix.owner == g
        by_hand += mix.mass[own].sum() * min(score[z] for z in mix.zone[own])
    assert by_hand == pytest.approx(floor.bound, abs=1e-9)
    assert by_hand == pytest.approx(floor.share, abs=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_any_scores_bound_the_floor_from_below_and_most_do_so_badly(seed):
    rng = np.random.default_rng(seed)
    mix = random_mix(seed, zones=11)
    floor = floor_of(mix, mix, ZONES)
    for _ in range(20):
        score = rng.uniform(size=11)
        assert bound_of(mix, score * min(1.0, TOP / score.sum())) <= floor.share + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_a_free_hybrid_share_is_as_good_as_the_best_fixed_one(seed):
    """Between two mixes the floor is that of the best mix on the way, and never above either end's."""
    low = random_mix(seed, zones=11)
    moved = np.where(low.owner < 2, 0.4, 0.0) * low.mass
    rng = np.random.default_rng(seed)
    online = rng.gamma(0.3, size=11)
    high = Mix(low.owner, low.zone, low.mass - moved, low.fixed + moved.sum() * online / online.sum())
    joint = floor_of(low, high, ZONES)
    steps = np.linspace(0, 1, 41)
    on_the_way = [
        floor_by_subsets(
            Mix(
                low.owner,
                low.zone,
                (1 - t) * low.mass + t * high.mass,
                (1 - t) * low.fixed + t * high.fixed,
            )
        )
        for t in steps
    ]
    assert joint.share <= min(on_the_way) + 1e-9
    assert joint.share >= min(on_the_way) - 0.005  # the grid is that coarse
    assert joint.share - joint.bound <= 1e-7


def test_arrivals_without_a_zone_outside_the_top_are_locked():
    zones = 12
    owner = np.array([*range(10), 10, 10, 10])
    zone = np.array([*range(10), 0, 10, 11])
    mass = np.array([*[0.08] * 10, 0.1, 0.05, 0.05])
    mix = Mix(owner, zone, mass, np.zeros(zones))
    floor = floor_of(mix, mix, [f"Zone/{z:02d}" for z in range(zones)])
    assert floor.as_it_is == pytest.approx(0.9)
    assert floor.share == pytest.approx(0.84)  # the mover halves its 0.2 between two zones, one of them tenth
    assert floor.locked == pytest.approx(0.8)
