"""A seeded order of ranks: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), the same on every machine.

The mix is a bijection of 64-bit words, so that no two ranks share a place in the order.
"""

from __future__ import annotations

import numpy as np

from segment5b_lib.arrays import I64, U64
from segment5b_lib.kernel._check import check_array
from segment5b_lib.kernel._jit import jit

WEYL = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)


@jit
def order_of(rank: int, seed: np.uint64) -> np.uint64:
    """Place of a rank in the order of a seed, uint64."""
    z = np.uint64(rank) + seed * WEYL
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return z ^ (z >> np.uint64(31))


@jit
def _orders(ranks: I64, seed: np.uint64, out: U64) -> None:
    for i in range(ranks.size):
        out[i] = order_of(ranks[i], seed)


def seeded_order(ranks: I64, seed: int) -> U64:
    """Places ndarray(uint64, ndim=1) of ``ranks``, ndarray(int64, ndim=1)."""
    check_array("ranks", ranks, np.int64, (None,))
    out = np.empty(ranks.size, np.uint64)
    _orders(ranks, np.uint64(seed), out)
    return out
