import numpy as np
import pytest

from segment5b_lib.errors import InputError
from segment5b_lib.kernel.ledger_check import KeyColumns, SeriesKeys, add_summary_rows, summary_agrees

SERIES, BUCKETS = 12, 30
COUNTS = np.random.default_rng(4).poisson(0.7, (SERIES, BUCKETS)).astype(np.int32)
PLACE = np.flatnonzero(COUNTS)
KEYS = SeriesKeys(
    np.arange(50, 50 + SERIES).astype(np.uint64), *(np.arange(SERIES, dtype=np.int32) % n for n in (2, 3, 4))
)
MERCHANT_OF = np.arange(SERIES) // 3
CELLS = COUNTS.reshape(-1, 3, BUCKETS).sum(axis=1, dtype=np.int64)
FIRST = np.cumsum(CELLS, axis=1) - CELLS + 1


def columns():
    series, text = PLACE // BUCKETS, []
    for codes in KEYS[1:]:
        text += [codes[series], np.arange(codes.max() + 1, dtype=np.int32)]
    return KeyColumns(KEYS.merchant[series], (PLACE % BUCKETS).astype(np.int32), *text)


@pytest.mark.parametrize("kind", [np.uint16, np.uint32])
def test_the_summary_of_the_counts_agrees(kind):
    large = COUNTS * np.int32(np.iinfo(kind).max >> 4)
    assert summary_agrees(PLACE, columns(), KEYS, large.ravel()[PLACE], large.astype(kind))


@pytest.mark.parametrize("row", [0, PLACE.size // 2, PLACE.size - 1])
@pytest.mark.parametrize("column", ["merchant", "bucket", "country", "zone", "channel", "arrivals"])
def test_one_other_value_anywhere_does_not_agree(column, row):
    found, arrivals = columns(), COUNTS.ravel()[PLACE]
    target = arrivals if column == "arrivals" else getattr(found, column)
    target[row] = target[row] - 1 if target[row] else target[row] + 1
    assert not summary_agrees(PLACE, found, KEYS, arrivals, COUNTS.astype(np.uint16))


def test_sums_and_numbers_are_those_of_plain_numpy():
    rng = np.random.default_rng(8)
    arrivals, series, bucket = COUNTS.ravel()[PLACE], PLACE // BUCKETS, PLACE % BUCKETS
    virtual = rng.integers(0, arrivals + 1).astype(np.int32)
    first = rng.integers(0, 40, PLACE.size)
    merchant = MERCHANT_OF[series]
    low, cells = FIRST[merchant, bucket], CELLS[merchant, bucket]
    first[::2] = low[::2] + rng.integers(0, cells - arrivals + 1)[::2]
    virtual_of, least = np.full(SERIES, 7), np.full(CELLS.shape, 1_000)
    expected_virtual, expected_least = virtual_of.copy(), least.copy()
    np.add.at(expected_virtual, series, virtual)
    np.minimum.at(expected_least, (merchant, bucket), first)
    halves = [
        add_summary_rows(
            PLACE[rows], MERCHANT_OF, arrivals[rows], virtual[rows], first[rows], FIRST, CELLS, virtual_of, least
        )
        for rows in (slice(0, 100), slice(100, None))
    ]
    outside = (first < low) | (first > low + cells - arrivals)
    np.testing.assert_array_equal(np.concatenate(halves), outside)
    assert outside.any() and not outside[::2].any()
    np.testing.assert_array_equal(virtual_of, expected_virtual)
    np.testing.assert_array_equal(least, expected_least)


def test_columns_of_another_type_or_length_are_refused():
    for arrivals in (COUNTS.ravel()[PLACE][:-1], COUNTS.ravel()[PLACE].astype(np.int64)):
        with pytest.raises(InputError):
            summary_agrees(PLACE, columns(), KEYS, arrivals, COUNTS.astype(np.uint16))
    with pytest.raises(InputError):
        summary_agrees(PLACE, columns(), KEYS, COUNTS.ravel()[PLACE], COUNTS)
