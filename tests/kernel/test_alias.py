import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from segment5b_lib.errors import InputError
from segment5b_lib.kernel.alias import EMPTY, FULL, GRID, build_alias, build_alias_slices, pick, picking, quantise
from segment5b_lib.kernel.philox import philox2x64, u01
from tests.kernel.witness import ALIAS_OTHER, ALIAS_PROB, read

WEIGHTS = st.lists(st.floats(0, 1e300), min_size=1, max_size=60).filter(lambda w: 0 < sum(w) < math.inf)


def decode(prob_q, alias):
    """Masses · n that a table hands out, by reading its rows as the format says."""
    shares = np.zeros(len(prob_q), dtype=np.int64)
    for row, (share, other) in enumerate(zip(prob_q.tolist(), alias.tolist(), strict=True)):
        own = {EMPTY: 0, FULL: GRID}.get(share, share // 256)
        assert share in (EMPTY, FULL) or share % 256 == 0
        shares[row] += own
        shares[other] += GRID - own
    return shares


@given(WEIGHTS)
def test_masses_are_the_nearest_on_the_grid(weights):
    masses = quantise(np.array(weights))
    total = sum(map(Fraction, weights))
    assert masses.sum() == GRID
    for weight, mass in zip(weights, masses.tolist(), strict=True):
        exact = Fraction(weight) / total * GRID
        assert abs(mass - exact) < 1 + 2**-20
        assert mass == 0 if weight == 0 else mass >= 0


@given(WEIGHTS)
def test_table_decodes_to_its_masses_exactly(weights):
    w = np.array(weights)
    assert (decode(*build_alias(w)) == quantise(w) * w.size).all()


@given(st.lists(WEIGHTS, min_size=1, max_size=5))
def test_slices_are_the_single_tables(tables):
    starts = np.cumsum([0, *map(len, tables)])
    prob_q, alias = build_alias_slices(np.concatenate([np.array(w) for w in tables]), starts)
    for i, weights in enumerate(tables):
        rows = slice(starts[i], starts[i + 1])
        one_prob_q, one_alias = build_alias(np.array(weights))
        assert (prob_q[rows] == one_prob_q).all() and (alias[rows] == one_alias).all()


@pytest.mark.parametrize(
    ("weights", "masses"),
    [
        ([1.0], [GRID]),
        ([1.0, 1.0, 1.0], [5592406, 5592405, 5592405]),  # residual +1 to the first among equals
        ([1.0] * 6, [2796202] * 2 + [2796203] * 4),  # residual −2 from the first among equals
        ([1.0] * 100, [167773] * 16 + [167772] * 84),
        ([2.0**-26, 1.0, 0.0], [0, GRID, 0]),
        (
            [2.5, 0.5, GRID - 3.0],
            [3, 0, GRID - 3],
        ),  # both halves go down to even; the first gets the residual
        ([1e308, 1e308, 0.0], None),
    ],
)
def test_rounding(weights, masses):
    if masses is None:
        with pytest.raises(InputError):
            quantise(np.array(weights))
    else:
        assert quantise(np.array(weights)).tolist() == masses


def test_full_rows_alias_to_themselves():
    prob_q, alias = build_alias(np.ones(8))
    assert (prob_q == FULL).all() and alias.tolist() == list(range(8))


def test_pinned_table():
    prob_q, alias = build_alias(np.array([5.0, 0.0, 1.0, 2.0]))
    assert prob_q.tolist() == [FULL, EMPTY, 1 << 31, FULL] == ALIAS_PROB
    assert alias.tolist() == [0, 0, 0, 3] == ALIAS_OTHER


def table(prob_q, alias):
    """One table that draws its row numbers."""
    return picking(prob_q, alias, np.array([0, prob_q.size]), np.arange(prob_q.size, dtype=np.int32))


def grid_uniforms(n):
    """Uniforms at both ends of each row of an n-row table, on the grid of u01."""
    for k in range(n + 1):
        middle = math.floor(k / n * 2**52)
        for step in range(max(middle - 3, 0), min(middle + 3, 2**52)):
            yield (step + 0.5) * 2.0**-52


@pytest.mark.parametrize("weights", [[0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 3.0, 0.0, 1.0, 0.0], [1e-12, 1.0, 0.5]])
def test_no_mass_is_never_drawn_not_even_at_the_edge_of_a_row(weights):
    w = np.array(weights)
    prob_q, alias = build_alias(w)
    share, choice = table(prob_q, alias)
    drawn = {pick(u, share, choice, 0, w.size) for u in grid_uniforms(w.size)}
    assert drawn <= set(np.flatnonzero(quantise(w)).tolist())


def test_pick_follows_the_law_inside_flat_arrays():
    prob_q = np.array([0, 0, 1 << 30, 3 << 30, FULL], dtype=np.uint32)
    alias = np.array([0, 1, 2, 0, 2], dtype=np.uint32)
    share, choice = picking(prob_q, alias, np.array([0, 2, 2, 5]), np.array([7, 8, 30, 10, 20], dtype=np.int32))
    for u, expected in [
        (0.08, 30),
        (0.25 / 3 + 1e-9, 20),
        (0.34, 10),
        (1.75 / 3 + 1e-9, 30),
        (0.7, 20),
        (1 - 2.0**-53, 20),
    ]:
        assert pick(u, share, choice, 2, 3) == expected


@given(st.lists(WEIGHTS, min_size=1, max_size=4), st.integers(0, 2**32))
def test_a_pick_is_what_the_law_says_of_the_table_as_it_is_stored(tables, seed):
    starts = np.cumsum([0, *map(len, tables)])
    prob_q, alias = build_alias_slices(np.concatenate([np.array(w) for w in tables]), starts)
    values = np.random.default_rng(seed).permutation(prob_q.size).astype(np.int32)
    share, choice = picking(prob_q, alias, starts, values)
    for start, stop in pairwise(starts.tolist()):
        n = stop - start
        for u in np.random.default_rng(seed).random(20).clip(2.0**-53, 1 - 2.0**-53).tolist():
            k = min(math.floor(u * n), n - 1)
            kept = prob_q[start + k] != EMPTY and (u * n - k) * 2**32 < prob_q[start + k]
            assert pick(u, share, choice, start, n) == values[start + (k if kept else alias[start + k])]


def test_columns_of_a_table_must_match():
    prob_q, alias = build_alias(np.ones(3))
    for values in (np.arange(2, dtype=np.int32), np.arange(3)):
        with pytest.raises(InputError):
            picking(prob_q, alias, np.array([0, 3]), values)


@njit
def draw_many(key, share, choice, start, n, out):
    for j in range(out.size):
        word, _ = philox2x64(np.uint64(j), np.uint64(0), key)
        out[j] = pick(u01(word), share, choice, start, n)


def test_draws_have_the_weights_distribution():
    weights = 1.0 / np.arange(1.0, 41.0)
    weights[7] = 0.0
    prob_q, alias = build_alias_slices(np.concatenate([[1.0], weights]), np.array([0, 1, 41]))
    draws = np.empty(200_000, dtype=np.int64)
    values = np.array([99, *range(40)], dtype=np.int32)
    draw_many(np.uint64(11), *picking(prob_q, alias, np.array([0, 1, 41]), values), 1, 40, draws)
    observed = np.bincount(draws, minlength=40)
    assert observed[7] == 0
    positive = weights > 0
    expected = weights[positive] / weights.sum() * draws.size
    assert stats.chisquare(observed[positive], expected).pvalue > 1e-3


def test_pinned_draws():
    prob_q, alias = build_alias(np.array([5.0, 0.0, 1.0, 2.0]))
    for _, key, *expected in [row for row in read("draws.txt") if row[0] == "alias"]:
        draws = np.empty(len(expected), dtype=np.int64)
        draw_many(np.uint64(int(key, 16)), *table(prob_q, alias), 0, 4, draws)
        assert draws.tolist() == [int(k) for k in expected]


ONE = np.ones(1)
BOUNDS = np.array([0, 1])


@pytest.mark.parametrize(
    ("weights", "starts", "code"),
    [
        (np.ones(2, np.float32), BOUNDS, "5B.KERNEL.ARRAY"),
        (np.ones((1, 1)), BOUNDS, "5B.KERNEL.ARRAY"),
        ([1.0], BOUNDS, "5B.KERNEL.ARRAY"),
        (np.ones(4)[::2], np.array([0, 2]), "5B.KERNEL.ARRAY"),
        (ONE, BOUNDS.astype(np.int32), "5B.KERNEL.ARRAY"),
        (np.array([1.0, -1e-9]), np.array([0, 2]), "5B.KERNEL.RANGE"),
        (np.array([np.nan]), BOUNDS, "5B.KERNEL.RANGE"),
        (np.array([np.inf]), BOUNDS, "5B.KERNEL.RANGE"),
        (ONE, np.array([0]), "5B.KERNEL.ALIAS_SLICES"),
        (ONE, np.array([0, 0, 1]), "5B.KERNEL.ALIAS_SLICES"),
        (ONE, np.array([0, 2]), "5B.KERNEL.ALIAS_SLICES"),
        (np.ones(2), np.array([1, 2]), "5B.KERNEL.ALIAS_SLICES"),
        (np.empty(0), np.array([0, 0]), "5B.KERNEL.ALIAS_SLICES"),
        (np.zeros(1), BOUNDS, "5B.KERNEL.ALIAS_NO_WEIGHT"),
        (np.array([1.0, 0.0, 0.0]), np.array([0, 1, 3]), "5B.KERNEL.ALIAS_NO_WEIGHT"),
    ],
)
def test_bad_input(weights, starts, code):
    with pytest.raises(InputError) as caught:
        build_alias_slices(weights, starts)
    assert caught.value.code == code


def test_a_slice_without_weight_is_named():
    with pytest.raises(InputError, match="slice 1"):
        build_alias_slices(np.array([1.0, 0.0, 0.0]), np.array([0, 1, 3]))
