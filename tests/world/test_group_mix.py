"""The group mix: strength, soft cap and entropy floor, one at a time and by hand."""

import numpy as np
import pytest

from segment5b_lib.world.group_mix import mixed
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.spec import GroupMix
from segment5b_lib.world.world_file import load_spec

OFF = {"soft_cap": 1.0, "strength": 0.0, "entropy_floor": 0.0}


def entropy(share):
    return float(-sum(p * np.log(p) for p in share if p > 0))


def mix(share, even=(0.25, 0.25, 0.5), **knobs):
    return mixed(np.array(share)[:, None], np.array(even), GroupMix(**{**OFF, **knobs}))[:, 0]


def test_all_knobs_off_leave_the_shares_alone():
    assert mix([0.9, 0.06, 0.04]).tolist() == [0.9, 0.06, 0.04]


def test_strength_blends_with_the_share_of_sites():
    assert mix([0.9, 0.06, 0.04], strength=0.5) == pytest.approx([0.575, 0.155, 0.27])


def test_the_soft_cap_levels_until_the_largest_is_there():
    found = mix([0.9, 0.06, 0.04], soft_cap=0.78)
    assert found.max() == pytest.approx(0.78, abs=1e-9)
    part = (0.9 - 0.78) / (0.9 - 1 / 3)
    assert found == pytest.approx([(1 - part) * p + part / 3 for p in (0.9, 0.06, 0.04)], abs=1e-9)


def test_the_entropy_floor_levels_until_the_entropy_is_there():
    found = mix([0.98, 0.01, 0.01], entropy_floor=0.48)
    assert entropy(found) == pytest.approx(0.48, abs=1e-9)
    assert found.argmax() == 0


def test_a_floor_beyond_equal_shares_gives_equal_shares():
    assert mix([0.7, 0.2, 0.1], entropy_floor=5.0) == pytest.approx([1 / 3] * 3)


def test_shares_within_cap_and_floor_are_left_alone():
    assert mix([0.5, 0.3, 0.2], soft_cap=0.6, entropy_floor=0.5).tolist() == [0.5, 0.3, 0.2]


def test_one_zone_stays_one_zone():
    assert mix([1.0], even=[1.0], strength=0.5, soft_cap=0.5, entropy_floor=1.0).tolist() == [1.0]


def test_days_are_mixed_each_for_itself():
    both = np.array([[0.98, 0.4], [0.02, 0.6]])
    knobs = GroupMix(soft_cap=0.7, strength=0.0, entropy_floor=0.0)
    together = mixed(both, np.array([0.5, 0.5]), knobs)
    alone = [mixed(both[:, [d]], np.array([0.5, 0.5]), knobs)[:, 0] for d in (0, 1)]
    assert np.array_equal(together, np.stack(alone, axis=1))


def test_zone_weights_of_a_world_are_within_its_cap_and_sum_to_exactly_one():
    plan = Plan(load_spec("small"))
    groups, knobs = plan.group_weights, plan.spec.upstream.s2B
    for m in range(len(plan.merchants)):
        own = slice(groups.starts[m], groups.starts[m + 1])
        assert (groups.p_group[own].sum(axis=0) == 1.0).all()
        assert groups.base_share[own].sum() == 1.0
        if own.stop - own.start > 1:
            assert groups.p_group[own].max() <= knobs.soft_cap + 1e-9
    assert (groups.p_group > 0).all()
    assert groups.gamma.mean() == pytest.approx(1.0, abs=0.01)
    assert groups.gamma.std() == pytest.approx(plan.spec.site_weights.day_sigma, rel=0.05)
