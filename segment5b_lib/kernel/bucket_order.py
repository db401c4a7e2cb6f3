"""Time order within one bucket: sort packed integers whose offsets are uniform over the bucket.

An arrival is one integer, (offset << ORDINAL_BITS) | ordinal, where the ordinal counts a merchant's
arrivals of the bucket in (series, draw) order: sorting the integers sorts by (offset, series, draw).
Because offsets are uniform, dealing n of them into n equal bins almost sorts them, and a final insertion
pass, which is right whatever the bins did, has about one step per element: O(n) expected.
"""

from __future__ import annotations

from segment5b_lib.arrays import I32, U64
from segment5b_lib.kernel._jit import inner_jit, lean_jit

ORDINAL_BITS = 24
"""Enough for 16.7 million arrivals of one merchant in one bucket."""
OFFSET_BITS = 40
"""Enough for a bucket of 12 days in microseconds."""
_DEAL_FROM = 24
"""Below this many elements insertion alone is faster."""


@lean_jit
def sort_bucket(words: U64, bins: I32, n: int, ends: I32, out: U64) -> None:
    """Sort ``words[:n]`` into ``out[:n]``.

    ``bins[i]`` in [0, n) rises with the offset of ``words[i]``; ``ends`` is scratch of at least n + 1
    elements.
    """
    if n < _DEAL_FROM:
        for i in range(n):
            out[i] = words[i]
    else:
        _deal(words, bins, n, ends, out)
    for i in range(1, n):
        word = out[i]
        k = i
        while k > 0 and out[k - 1] > word:
            out[k] = out[k - 1]
            k -= 1
        out[k] = word


@inner_jit
def _deal(words: U64, bins: I32, n: int, ends: I32, out: U64) -> None:
    for i in range(n + 1):
        ends[i] = 0
    for i in range(n):
        ends[bins[i] + 1] += 1
    for i in range(n):
        ends[i + 1] += ends[i]
    for i in range(n):
        bin_ = bins[i]
        out[ends[bin_]] = words[i]
        ends[bin_] += 1
