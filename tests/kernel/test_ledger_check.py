import numpy as np
import pytest

from segment5b_lib.errors import InputError
from segment5b_lib.kernel import ledger_check
from segment5b_lib.kernel.ledger_check import KeyColumns, LedgerLimits, LedgerRows, SeriesKeys, check_ledger

BUCKETS, SERIES, FIRST = 24, 40, 3
N = BUCKETS * SERIES
LIMITS = LedgerLimits(100.0, np.float32(0.2), np.float32(5), 1e-9, 50)
KEYS = SeriesKeys(
    np.arange(100, 100 + FIRST + SERIES).astype(np.uint64),
    *((np.arange(FIRST + SERIES) % n).astype(np.int32) for n in (3, 5, 2)),
)
SERIES_OF, BUCKET_OF = FIRST + np.arange(N) // BUCKETS, np.arange(N) % BUCKETS


def kept_rows():
    """Rows that keep every law."""
    rng = np.random.default_rng(1)
    realised = np.where(rng.random(N) < 0.5, 0.0, rng.random(N) * 100)
    count = np.where(realised > 0, rng.integers(0, 51, N), 0).astype(np.int32)
    baseline, factor = (realised * 0.5).astype(np.float32), rng.uniform(0.3, 4.9, N).astype(np.float32)
    return LedgerRows(baseline, factor, realised, realised.copy(), count, (count == 50) & (rng.random(N) < 0.5))


def kept_columns():
    """Key columns of the rows; positions in words that stand in another order than the codes."""
    text = []
    for codes in KEYS[1:]:
        words = np.append(np.arange(codes.max() + 1)[::-1], -1).astype(np.int32)
        text += [(codes.max() - codes[SERIES_OF]).astype(np.int32), words]
    return KeyColumns(KEYS.merchant[SERIES_OF], BUCKET_OF.astype(np.int32), *text)


def witness(columns, rows):
    """The bits, law by law, on whole columns."""
    broken = (columns.bucket != BUCKET_OF) | (columns.merchant != KEYS.merchant[SERIES_OF])
    for name in ("country", "zone", "channel"):
        found = getattr(columns, f"{name}_codes")[getattr(columns, name)]
        broken |= found != getattr(KEYS, name)[SERIES_OF]
    laws = {
        "DOMAIN": broken,
        "INTENSITY": ~(np.isfinite(rows.realised) & (rows.realised >= 0)),
        "INTENSITY_CAP": rows.realised > 100,
        "ZERO_BASELINE": (rows.baseline == 0) & (rows.realised != 0),
        "FACTOR_CLIP": ~((rows.factor >= np.float32(0.2)) & (rows.factor <= np.float32(5))),
        "MU": rows.mu != rows.realised,
        "ZERO_INTENSITY": (rows.mu <= 1e-9) & (rows.arrivals != 0),
        "COUNT_RANGE": (rows.arrivals < 0) | (rows.arrivals > 50),
        "CAPPED_FLAG": rows.capped & (rows.arrivals != 50),
    }
    return sum(wrong * getattr(ledger_check, law).astype(np.int64) for law, wrong in laws.items())


def test_rows_that_keep_every_law():
    assert check_ledger(FIRST, BUCKETS, kept_columns(), KEYS, kept_rows(), LIMITS) is None


WRONG = {
    "baseline": [0.0, np.nan],
    "factor": [0.2, 5.0, 0.1999, 5.001, np.nan, np.inf],
    "realised": [np.nan, np.inf, -np.inf, -1.0, 100.0, 100.5, 0.0],
    "mu": [np.nan, 1e-9, 2e-9, 7.0],
    "arrivals": [-1, 0, 50, 51],
    "capped": [True],
    "merchant": [0],
    "bucket": [-1, BUCKETS],
    "country": [0, 3],
    "zone": [1, 5],
    "channel": [0, 2],
}
"""Values by column, some of them right on a bound."""


@pytest.mark.parametrize("column", WRONG)
def test_bits_are_those_of_the_laws_on_whole_columns(column):
    rng = np.random.default_rng(7)
    columns, rows = kept_columns(), kept_rows()
    target = getattr(rows if column in rows._fields else columns, column)
    at = rng.choice(N, 60, replace=False)
    target[at] = rng.choice(WRONG[column], 60)
    found = check_ledger(FIRST, BUCKETS, columns, KEYS, rows, LIMITS)
    np.testing.assert_array_equal(found, witness(columns, rows))
    assert 0 < np.count_nonzero(found) <= 60


def test_each_law_can_be_broken_and_has_a_bit_of_its_own():
    columns, rows = kept_columns(), kept_rows()
    rng = np.random.default_rng(9)
    for name, values in WRONG.items():
        target = getattr(rows if name in rows._fields else columns, name)
        target[rng.choice(N, 200, replace=False)] = rng.choice(values, 200)
    found = check_ledger(FIRST, BUCKETS, columns, KEYS, rows, LIMITS)
    np.testing.assert_array_equal(found, witness(columns, rows))
    assert np.bitwise_or.reduce(found) == (1 << 9) - 1


def test_a_row_in_the_place_of_another_is_misplaced():
    columns = kept_columns()
    columns.bucket[[5, 6]] = columns.bucket[[6, 5]]
    found = check_ledger(FIRST, BUCKETS, columns, KEYS, kept_rows(), LIMITS)
    assert np.flatnonzero(found).tolist() == [5, 6] and set(found[[5, 6]]) == {ledger_check.DOMAIN}


def test_columns_of_another_type_or_length_are_refused():
    rows = kept_rows()
    for wrong in (rows._replace(mu=rows.mu[:-1]), rows._replace(arrivals=rows.arrivals.astype(np.int64))):
        with pytest.raises(InputError):
            check_ledger(FIRST, BUCKETS, kept_columns(), KEYS, wrong, LIMITS)
