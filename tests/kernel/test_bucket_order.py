import numpy as np
import pytest

from segment5b_lib.kernel.arrival_tables import OFFSET_BITS, ORDINAL_BITS
from segment5b_lib.kernel.expand import sort_bucket


def words_and_bins(offsets, width):
    n = len(offsets)
    words = [(offset << ORDINAL_BITS) | ordinal for ordinal, offset in enumerate(offsets)]
    bins = [offset * n // width for offset in offsets]
    return np.array(words, np.uint64), np.array(bins, np.int32)


def ordered(words, bins):
    n = len(words)
    out = np.zeros(n, np.uint64)
    sort_bucket(words, bins, n, np.empty(n + 1, np.int32), out)
    return out.tolist()


@pytest.mark.parametrize("n", [0, 1, 2, 23, 24, 25, 1000, 30_000])
@pytest.mark.parametrize("width", [1, 7, 10**4, 3600 * 10**6, 1 << OFFSET_BITS])
def test_words_come_out_sorted(n, width):
    offsets = np.random.default_rng(n).integers(0, width, n).tolist()
    words, bins = words_and_bins(offsets, width)
    assert ordered(words, bins) == sorted(words.tolist())


def test_equal_offsets_stay_in_ordinal_order():
    words, bins = words_and_bins([5, 3, 5, 3, 5] * 20, 10)
    ordinals = [word & ((1 << ORDINAL_BITS) - 1) for word in ordered(words, bins)]
    assert ordinals == [i for i in range(100) if i % 5 in (1, 3)] + [i for i in range(100) if i % 5 in (0, 2, 4)]


def test_the_order_is_right_whatever_the_bins_say():
    words, _ = words_and_bins(np.random.default_rng(1).integers(0, 10**6, 500).tolist(), 10**6)
    for bins in (np.zeros(500, np.int32), np.arange(500, dtype=np.int32)[::-1].copy()):
        assert ordered(words, bins) == sorted(words.tolist())
