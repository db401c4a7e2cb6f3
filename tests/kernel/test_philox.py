import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment5b_lib.kernel.philox import philox2x64, u01, uniforms_at
from tests.kernel.witness import read
from tests.reference import randomness

WORD = st.integers(0, 2**64 - 1)


def block(low, high, key):
    return tuple(int(word) for word in philox2x64(np.uint64(low), np.uint64(high), np.uint64(key)))


@pytest.mark.parametrize("row", read("philox2x64.txt"))
def test_known_answers_of_random123(row):
    low, high, key, *expected = (int(word, 16) for word in row[2:])
    assert block(low, high, key) == tuple(expected) == randomness.philox2x64(low, high, key)


@given(WORD, WORD, WORD)
def test_equals_big_integer_arithmetic(low, high, key):
    assert block(low, high, key) == randomness.philox2x64(low, high, key)


def test_distinct_counters_under_one_key_give_distinct_blocks():
    blocks = {block(low, high, 5) for low in range(100) for high in range(100)}
    assert len(blocks) == 10_000


@pytest.mark.parametrize(
    ("word", "expected"),
    [(0, 2.0**-53), (2**64 - 1, 1 - 2.0**-53), (2**63, 0.5 + 2.0**-53), (4095, 2.0**-53)],
)
def test_uniform_at_its_ends(word, expected):
    u = u01(np.uint64(word))
    assert u == expected
    assert 0.0 < u < 1.0
    assert 0.0 < 1.0 - u < 1.0


@given(WORD)
def test_uniform_is_exact(word):
    assert u01(np.uint64(word)) * 2**53 == 2 * (word >> 12) + 1


@given(st.lists(st.tuples(WORD, WORD, WORD)))
def test_uniforms_of_many_blocks_are_those_of_each(blocks):
    low, high, key = np.array(blocks, np.uint64).reshape(-1, 3).T.copy()
    expected = [randomness.uniform(randomness.philox2x64(*block)[0]) for block in blocks]
    assert uniforms_at(low, high, key).tolist() == expected
