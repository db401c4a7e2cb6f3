"""Rows of S2, S3 and of S4's summary checked against the series keys and counts that they must have.

S2 and S3: the laws of every row, asked of whole series at once, one bit per law and row. The summary: compared with
S3's counts row by row, and the sequence numbers that it declares.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segment5b_lib.arrays import F32, F64, I32, I64, U16, U64, Flags
from segment5b_lib.kernel._check import check_array
from segment5b_lib.kernel._jit import inner_jit, lean_jit

DOMAIN, INTENSITY, INTENSITY_CAP, ZERO_BASELINE, FACTOR_CLIP, MU, ZERO_INTENSITY, COUNT_RANGE, CAPPED_FLAG = (
    np.uint16(1 << law) for law in range(9)
)
"""The bit of each law."""
_KEPT = np.uint16(0)
_KINDS: tuple[npt.DTypeLike, ...] = (np.uint64, *(np.int32,) * 7)
_VALUES: tuple[npt.DTypeLike, ...] = (np.float32, np.float32, np.float64, np.float64, np.int32, np.bool_)
Unsigned = npt.NDArray[np.unsignedinteger]


class LedgerLimits(NamedTuple):
    """λ_max; the factor's bounds, float32 and inclusive; the mean above which a count is drawn; the largest count."""

    lambda_max: float
    factor_min: np.float32
    factor_max: np.float32
    zero_eps: float
    max_count: int


class KeyColumns(NamedTuple):
    """Key columns of rows. Text is a position (int32) in a short array of codes: ``index[i]`` stands for
    ``codes[index[i]]``."""

    merchant: U64
    bucket: I32
    country: I32
    country_codes: I32
    zone: I32
    zone_codes: I32
    channel: I32
    channel_codes: I32


class SeriesKeys(NamedTuple):
    """Key of each series: merchant id, and codes of country, zone and channel."""

    merchant: U64
    country: I32
    zone: I32
    channel: I32


class LedgerRows(NamedTuple):
    baseline: F32
    factor: F32
    realised: F64
    mu: F64
    arrivals: I32
    capped: Flags


@inner_jit
def misplaced(row: int, s: int, bucket: int, columns: KeyColumns, keys: SeriesKeys) -> bool:
    """Whether a row's key is not that of series ``s`` and a bucket."""
    return bool(
        columns.bucket[row] != bucket
        or columns.merchant[row] != keys.merchant[s]
        or columns.country_codes[columns.country[row]] != keys.country[s]
        or columns.zone_codes[columns.zone[row]] != keys.zone[s]
        or columns.channel_codes[columns.channel[row]] != keys.channel[s]
    )


@inner_jit
def _intensity_laws(row: int, rows: LedgerRows, limits: LedgerLimits) -> np.uint16:
    realised, factor, broken = rows.realised[row], rows.factor[row], _KEPT
    if not 0.0 <= realised < np.inf:
        broken |= INTENSITY
    if realised > limits.lambda_max:
        broken |= INTENSITY_CAP
    if rows.baseline[row] == 0.0 and realised != 0.0:
        broken |= ZERO_BASELINE
    if not limits.factor_min <= factor <= limits.factor_max:
        broken |= FACTOR_CLIP
    return broken


@inner_jit
def _count_laws(row: int, rows: LedgerRows, limits: LedgerLimits) -> np.uint16:
    mu, count, broken = rows.mu[row], rows.arrivals[row], _KEPT
    if mu != rows.realised[row]:
        broken |= MU
    if mu <= limits.zero_eps and count != 0:
        broken |= ZERO_INTENSITY
    if not 0 <= count <= limits.max_count:
        broken |= COUNT_RANGE
    if rows.capped[row] and count != limits.max_count:
        broken |= CAPPED_FLAG
    return broken


@lean_jit
def _check(
    series_from: int,
    buckets: int,
    columns: KeyColumns,
    keys: SeriesKeys,
    rows: LedgerRows,
    limits: LedgerLimits,
    broken: U16,
) -> bool:
    kept = True
    for i in range(broken.size // buckets):
        for bucket in range(buckets):
            row = i * buckets + bucket
            laws = _intensity_laws(row, rows, limits) | _count_laws(row, rows, limits)
            if misplaced(row, series_from + i, bucket, columns, keys):
                laws |= DOMAIN
            broken[row] = laws
            kept &= laws == _KEPT
    return kept


def check_ledger(
    series_from: int, buckets: int, columns: KeyColumns, keys: SeriesKeys, rows: LedgerRows, limits: LedgerLimits
) -> U16 | None:
    """Which laws each row breaks, ndarray(uint16, ndim=1) of their bits; None where no row breaks any.

    Rows of whole series: row i should be series ``series_from`` + i // ``buckets`` in bucket i % ``buckets``.
    """
    n = rows.mu.size
    for name, value, kind in zip(KeyColumns._fields, columns, _KINDS, strict=True):
        check_array(name, value, kind, (None,) if name.endswith("_codes") else (n,))
    for name, value, kind in zip(LedgerRows._fields, rows, _VALUES, strict=True):
        check_array(name, value, kind, (n,))
    broken = np.empty(n, np.uint16)
    return None if _check(series_from, buckets, columns, keys, rows, limits, broken) else broken


@lean_jit
def _agrees(place: I64, columns: KeyColumns, keys: SeriesKeys, arrivals: I32, counts: Unsigned) -> bool:
    buckets = counts.shape[1]
    for row in range(place.size):
        s, bucket = place[row] // buckets, place[row] % buckets
        if misplaced(row, s, bucket, columns, keys) or arrivals[row] != counts[s, bucket]:
            return False
    return True


@lean_jit
def _add(
    place: I64,
    merchant_of: I64,
    arrivals: I32,
    virtual: I32,
    first_seq: I64,
    cell_first: I64,
    cells: I64,
    outside: Flags,
    virtual_of: I64,
    least_seq: I64,
) -> None:
    buckets = cells.shape[1]
    for row in range(place.size):
        s, bucket = place[row] // buckets, place[row] % buckets
        merchant, first = merchant_of[s], first_seq[row]
        low = cell_first[merchant, bucket]
        outside[row] = first < low or first > low + cells[merchant, bucket] - arrivals[row]
        virtual_of[s] += virtual[row]
        least_seq[merchant, bucket] = min(least_seq[merchant, bucket], first)


def summary_agrees(place: I64, columns: KeyColumns, keys: SeriesKeys, arrivals: I32, counts: Unsigned) -> bool:
    """Whether row i has the key of series p // H and bucket p % H, p = ``place[i]``, and the count that stands there.

    ``counts`` uint16 or uint32 [series, bucket] are S3's, ``arrivals`` int32 the summary's.
    """
    check_array("place", place, np.int64, (None,))
    check_array("arrivals", arrivals, np.int32, place.shape)
    check_array("counts", counts, np.uint32 if counts.dtype == np.uint32 else np.uint16, (None, None))
    return bool(_agrees(place, columns, keys, arrivals, counts))


def add_summary_rows(
    place: I64,
    merchant_of: I64,
    arrivals: I32,
    virtual: I32,
    first_seq: I64,
    cell_first: I64,
    cells: I64,
    virtual_of: I64,
    least_seq: I64,
) -> Flags:
    """Add rows to ``virtual_of`` int64 [series] and to ``least_seq`` int64 [merchant, bucket], the least ``first_seq``.

    Returns which rows begin outside the numbers [cell_first, cell_first + cells) of their merchant's bucket, or so
    late that their arrivals do not fit in. ``merchant_of`` int64 [series]; both others int64 [merchant, bucket].
    """
    for name, array, kind in (("arrivals", arrivals, np.int32), ("virtual", virtual, np.int32)):
        check_array(name, array, kind, place.shape)
    check_array("first_seq", first_seq, np.int64, place.shape)
    outside = np.empty(place.size, np.bool_)
    _add(place, merchant_of, arrivals, virtual, first_seq, cell_first, cells, outside, virtual_of, least_seq)
    return outside
