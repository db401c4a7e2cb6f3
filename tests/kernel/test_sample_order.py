import numpy as np
import pytest

from segment5b_lib.errors import InputError
from segment5b_lib.kernel.sampling import seeded_order

WORD = (1 << 64) - 1


def splitmix(rank, seed):
    z = (rank + seed * 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def test_known_answers():
    # The generator that is seeded with 0 gives the mix of its own state, which rises by the Weyl constant.
    assert seeded_order(np.zeros(1, np.int64), 1).tolist() == [0xE220A8397B1DCDAF]
    assert seeded_order(np.zeros(1, np.int64), 2).tolist() == [0x6E789E6AA1B965F4]


@pytest.mark.parametrize("seed", [0, 5, WORD])
def test_orders_are_those_of_plain_integers(seed):
    ranks = np.random.default_rng(seed % 97).integers(0, 1 << 40, 1_000)
    assert seeded_order(ranks, seed).tolist() == [splitmix(rank, seed) for rank in ranks.tolist()]


def test_no_two_ranks_share_a_place():
    assert np.unique(seeded_order(np.arange(100_000), 5)).size == 100_000


def test_ranks_must_be_whole_numbers():
    with pytest.raises(InputError, match="ranks"):
        seeded_order(np.zeros(3), 5)
