"""Exact apportionment, and handing things to whoever is least covered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment5b_lib.world.sharing import apportion, least_covered


def test_largest_remainders_by_hand():
    # Quotas 4.2, 2.8, 3.0: floors 4, 2, 3, and the one left over goes to the remainder 0.8.
    assert apportion(np.array([4.2, 2.8, 3.0]), 10).tolist() == [4, 3, 3]


def test_what_overflows_a_cap_goes_to_the_others():
    assert apportion(np.array([8.0, 1.0, 1.0]), 10, most=np.array([4, 10, 10])).tolist() == [4, 3, 3]


def test_weights_of_zero_get_something_only_when_nobody_else_has_room():
    assert apportion(np.array([0.0, 1.0]), 3, most=np.array([5, 2])).tolist() == [1, 2]


@pytest.mark.parametrize(("total", "least", "most"), [(3, 2, None), (9, 0, [4, 4])])
def test_impossible_totals_are_refused(total, least, most):
    with pytest.raises(ValueError, match="cannot share"):
        apportion(np.ones(2), total, least=least, most=None if most is None else np.array(most))


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 50)), min_size=1, max_size=30),
    st.floats(0, 1),
    st.integers(0, 1),
)
def test_the_sum_is_exact_and_the_bounds_hold(entries, fill, least):
    weights, most = np.array([w for w, _ in entries]), np.array([m for _, m in entries])
    total = least * len(entries) + int(fill * (most.sum() - least * len(entries)))
    given_ = apportion(weights, total, least=least, most=most)
    assert given_.sum() == total
    assert (given_ >= least).all()
    assert (given_ <= most).all()


def test_least_covered_by_hand():
    # Wants 6 and 4 of 10: 5 goes to the first (1 left), 3 to the second (1 left), the tie to the first.
    assert least_covered(np.array([5.0, 3.0, 2.0]), np.array([0.6, 0.4])).tolist() == [0, 1, 0]


def test_least_covered_keeps_to_who_is_allowed():
    allowed = np.array([[False, True], [True, True], [True, True]])
    assert least_covered(np.array([5.0, 3.0, 2.0]), np.array([0.6, 0.4]), allowed).tolist() == [1, 0, 0]
