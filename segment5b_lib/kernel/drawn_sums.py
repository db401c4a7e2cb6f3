"""Sums over the counts that were drawn, from which weekend shares and dispersion follow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import F64, I32, I64
from segment5b_lib.kernel._check import check_array
from segment5b_lib.kernel._jit import lean_jit


class DrawnSums(NamedTuple):
    """Sums over rows whose mean μ > ``zero_eps``.

    With N the count, r = (N − μ)/√μ its residual, v = μ(1 + μ/κ) its variance by the count law and w the share of
    its bucket on a local Saturday or Sunday: Σ1, Σr, Σr², Σv/μ, Σμ, Σμw, ΣN, ΣNw, Σv, Σvw, Σvw².
    """

    rows: int
    residual: float
    residual_squared: float
    relative_variance: float
    mean: float
    mean_w: float
    arrivals: float
    arrivals_w: float
    v: float
    v_w: float
    v_ww: float

    def plus(self, other: DrawnSums) -> DrawnSums:
        """The sums over the rows of both."""
        sums = (left + right for left, right in zip(self[1:], other[1:], strict=True))
        return DrawnSums(self.rows + other.rows, *sums)


NOTHING_DRAWN = DrawnSums(0, *(0.0,) * 10)
"""The sums over no rows."""


@lean_jit
def _sums(mu: F64, count: I32, over_kappa: F64, zone_of: I64, weekend: F64, zero_eps: float, by_series: F64) -> None:
    buckets = weekend.shape[1]
    for s in range(zone_of.size):
        zone, inverse = zone_of[s], over_kappa[s]
        rows, residual, squared, relative, mean, mean_w = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        drawn, drawn_w, variance, variance_w, variance_ww = 0.0, 0.0, 0.0, 0.0, 0.0
        for bucket in range(buckets):
            m = mu[s * buckets + bucket]
            if not m > zero_eps:
                continue
            n, w, share = float(count[s * buckets + bucket]), weekend[zone, bucket], 1.0 + m * inverse
            r, v = (n - m) / np.sqrt(m), m * share
            rows += 1.0
            residual += r
            squared += r * r
            relative += share
            mean += m
            mean_w += m * w
            drawn += n
            drawn_w += n * w
            variance += v
            variance_w += v * w
            variance_ww += v * w * w
        out = by_series[s]
        out[0], out[1], out[2], out[3], out[4], out[5] = rows, residual, squared, relative, mean, mean_w
        out[6], out[7], out[8], out[9], out[10] = drawn, drawn_w, variance, variance_w, variance_ww


def drawn_sums(mu: F64, count: I32, over_kappa: F64, zone_of: I64, weekend: F64, zero_eps: float) -> DrawnSums:
    """Sum over rows of whole series: row i is series i // H in bucket i % H.

    ``mu`` float64 and ``count`` int32 by row; ``over_kappa`` float64 (1/κ, 0 for Poisson) and ``zone_of`` int64 by
    series; ``weekend`` float64 [zone, bucket].
    """
    check_array("zone_of", zone_of, np.int64, (None,))
    check_array("weekend", weekend, np.float64, (None, None))
    n = zone_of.size * weekend.shape[1]
    for name, value, kind, size in (
        ("mu", mu, np.float64, n),
        ("count", count, np.int32, n),
        ("over_kappa", over_kappa, np.float64, zone_of.size),
    ):
        check_array(name, value, kind, (size,))
    by_series = np.empty((zone_of.size, len(DrawnSums._fields)))
    _sums(mu, count, over_kappa, zone_of, weekend, zero_eps, by_series)
    rows_drawn, *sums = by_series.sum(axis=0).tolist()
    return DrawnSums(int(rows_drawn), *sums)
