"""Philox2x64-10: a block of two random words as a function of a counter and a key.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), and the known
answers of Random123 (``tests/kernel/vectors/philox2x64.txt``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from segment5b_lib.arrays import F64, U64
from segment5b_lib.kernel._jit import jit

ROUNDS = 10
MULTIPLIER = np.uint64(0xD2B74407B1CE6E93)
WEYL = np.uint64(0x9E3779B97F4A7C15)


def _wide_product(typing_context: Any, a: Any, b: Any) -> Any:
    """High and low word of the 128-bit product, which numba's integer types cannot express."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return context.make_tuple(builder, signature.return_type, (high, builder.trunc(product, word)))

    words: Any = types.UniTuple
    return words(types.uint64, 2)(types.uint64, types.uint64), build


wide_product: Any = intrinsic(_wide_product)


@jit
def philox2x64(low: np.uint64, high: np.uint64, key: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Both lanes (uint64, uint64) of the block at counter (``low``, ``high``) under ``key``; all uint64.

    Lane 0 is the first output word. Call it from compiled code, or with ``np.uint64`` arguments.
    """
    for _ in range(ROUNDS):
        product_high, product_low = wide_product(MULTIPLIER, low)
        low, high = product_high ^ key ^ high, product_low
        key = key + WEYL
    return low, high


@jit
def philox_lanes(first: int, count: int, high: int, key: np.uint64, lane0: U64, lane1: U64) -> None:
    """Both lanes of the blocks at the counters (``first`` + i, ``high``), i below ``count``.

    A loop of its own, because a block is a long chain of products, which only overlap as long as nothing in
    between is mispredicted.
    """
    for i in range(count):
        lane0[i], lane1[i] = philox2x64(np.uint64(first + i), np.uint64(high), key)


@jit
def u01(word: np.uint64) -> float:
    """Uniform float64 strictly inside (0, 1): ((word >> 12) + 0.5) · 2^−52.

    The 2^52 values are odd multiples of 2^−53, so each is exact, as is 1 − u; the least is 2^−53, the
    greatest 1 − 2^−53. With 53 bits instead of 52 the greatest would round up to 1.0.
    """
    # 52 bits fit a signed integer, whose conversion to float64 is one instruction.
    return (np.int64(word >> np.uint64(12)) + 0.5) * 2.0**-52


@jit
def uniforms_at(low: U64, high: U64, key: U64) -> F64:
    """`u01` of lane 0 (float64 [n]) of the blocks at the counters (``low[i]``, ``high[i]``) under ``key[i]``."""
    uniforms = np.empty(key.size)
    for i in range(key.size):
        uniforms[i] = u01(philox2x64(low[i], high[i], key[i])[0])
    return uniforms
