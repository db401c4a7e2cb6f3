"""The laws that every row of S2 and S3 must keep, asked of whole series at once: one bit per law and row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segment5b_lib.arrays import F32, F64, I32, U16, U64, Flags
from segment5b_lib.kernel._check import check_array
from segment5b_lib.kernel._jit import inner_jit, lean_jit

(
    DOMAIN,
    INTENSITY,
    INTENSITY_CAP,
    ZERO_BASELINE,
    FACTOR_CLIP,
    MU,
    ZERO_INTENSITY,
    COUNTS,
    CAPPED_FLAG,
) = (np.uint16(1 << law) for law in range(9))
"""The bit of each law."""
_KEPT = np.uint16(0)


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
    """S2's and S3's values of the same rows."""

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
        broken |= COUNTS
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


_KINDS: tuple[npt.DTypeLike, ...] = (np.uint64, *(np.int32,) * 7)
_VALUES: tuple[npt.DTypeLike, ...] = (np.float32, np.float32, np.float64, np.float64, np.int32, np.bool_)
