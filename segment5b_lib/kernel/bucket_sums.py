"""Sums over the rows of S2 and S3, whose series lie in runs of neighbouring rows.

Rows come row group by row group as flat columns. A run is a stretch of rows of one series; the caller says which
series, which zone, and which share of its arrivals is physical. A row whose bucket lies outside the horizon is
added to nothing and counted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import F64, I32, I64, U64
from segment5b_lib.kernel._check import read_only
from segment5b_lib.kernel._jit import lean_jit
from segment5b_lib.kernel.philox import philox2x64, u01

ALL_INTENSITY, PHYSICAL_INTENSITY = 0, 1
MEAN, VARIANCE, PHYSICAL_MEAN, PHYSICAL_VARIANCE = range(4)
"""First axis of the tables by zone and bucket: intensities, and the law of the counts."""
COUNTED_ROWS, DRAWN_ROWS, RESIDUAL, RESIDUAL_SQUARED, RELATIVE_VARIANCE, TOTAL_MU, OUTSIDE = range(7)
"""What `CountSums.moments` holds: rows; rows with μ above eps; over those the sums of r = (N − μ)/√μ, r², variance ÷ μ,
and μ; rows outside the horizon."""


class Runs(NamedTuple):
    """Run r is the rows [start[r], start[r + 1]): its series, zone code, physical share, and key of its sample."""

    start: I64
    series: I32
    zone: I32
    physical: F64
    key: U64


class SampledCounts(NamedTuple):
    """Rows drawn for a closer look: one element per row in every array; ``found`` int64 [1] says how many."""

    rank: F64
    uniform: F64
    mu: F64
    kappa: F64
    drawn: I32
    found: I64


class CountSums(NamedTuple):
    """``counts`` int32 [series, bucket]; ``of_zone`` float64 [4, zone, bucket]; ``moments`` float64 [7]; sample."""

    counts: I32
    of_zone: F64
    moments: F64
    sample: SampledCounts


@lean_jit
def _key_runs(merchant: U64, country: I32, zone: I32, channel: I32, start: I64) -> int:
    runs = 0
    for row in range(merchant.size):
        if (
            row == 0
            or merchant[row] != merchant[row - 1]
            or country[row] != country[row - 1]
            or zone[row] != zone[row - 1]
            or channel[row] != channel[row - 1]
        ):
            start[runs] = row
            runs += 1
    start[runs] = merchant.size
    return runs


@lean_jit
def _add_intensity(runs: Runs, bucket: I32, intensity: F64, of_zone: F64) -> int:
    outside = 0
    for r in range(runs.series.size):
        zone, physical = runs.zone[r], runs.physical[r]
        for row in range(runs.start[r], runs.start[r + 1]):
            b = bucket[row]
            if b < 0 or b >= of_zone.shape[2]:
                outside += 1
                continue
            of_zone[ALL_INTENSITY, zone, b] += intensity[row]
            of_zone[PHYSICAL_INTENSITY, zone, b] += physical * intensity[row]
    return outside


@lean_jit
def _add_counts(
    runs: Runs, bucket: I32, mu: F64, kappa: F64, count: I32, dispersed: bool, eps: float, share: float, to: CountSums
) -> None:
    moments, sample = to.moments, to.sample
    for r in range(runs.series.size):
        series, zone, physical, key = runs.series[r], runs.zone[r], runs.physical[r], runs.key[r]
        for row in range(runs.start[r], runs.start[r + 1]):
            b, m, n = bucket[row], mu[row], count[row]
            moments[COUNTED_ROWS] += 1
            if b < 0 or b >= to.counts.shape[1]:
                moments[OUTSIDE] += 1
                continue
            to.counts[series, b] += n
            excess = m * m / kappa[row] if dispersed else 0.0
            to.of_zone[MEAN, zone, b] += m
            to.of_zone[VARIANCE, zone, b] += m + excess
            to.of_zone[PHYSICAL_MEAN, zone, b] += physical * m
            to.of_zone[PHYSICAL_VARIANCE, zone, b] += physical * m + physical * physical * excess
            if m <= eps:
                continue
            residual = (n - m) / math.sqrt(m)
            moments[DRAWN_ROWS] += 1
            moments[RESIDUAL] += residual
            moments[RESIDUAL_SQUARED] += residual * residual
            moments[RELATIVE_VARIANCE] += 1.0 + excess / m
            moments[TOTAL_MU] += m
            first, second = philox2x64(np.uint64(b), np.uint64(0), key)
            rank = u01(first)
            if rank < share:
                at = sample.found[0]
                sample.rank[at], sample.uniform[at] = rank, u01(second)
                sample.mu[at], sample.kappa[at], sample.drawn[at] = m, kappa[row], n
                sample.found[0] += 1


def new_sample(rows: int) -> SampledCounts:
    rank, uniform, mu, kappa = (np.empty(rows) for _ in range(4))
    return SampledCounts(rank, uniform, mu, kappa, np.empty(rows, np.int32), np.zeros(1, np.int64))


def key_runs(merchant: U64, country: I32, zone: I32, channel: I32) -> I64:
    """The rows at which a series begins, and the number of rows at the end: `Runs.start`."""
    read_only(merchant, country, zone, channel)
    start = np.empty(merchant.size + 1, np.int64)
    return start[: _key_runs(merchant, country, zone, channel, start) + 1]


def add_intensity(runs: Runs, bucket: I32, intensity: F64, of_zone: F64) -> int:
    """Add intensities to float64 [2, zone, bucket], all and physical; return how many rows lie outside."""
    read_only(*runs, bucket, intensity)
    return _add_intensity(runs, bucket, intensity, of_zone)


def add_counts(
    runs: Runs, bucket: I32, mu: F64, kappa: F64, count: I32, dispersed: bool, eps: float, share: float, to: CountSums
) -> None:
    """Add the rows of S3. With ``dispersed`` the variance is μ + μ²/κ, else μ.

    Of the rows with μ > ``eps`` a share is drawn: those whose first lane of block (bucket, 0) under the run's key
    is below ``share``, with that lane as rank and the second as a uniform of their own.
    """
    read_only(*runs, bucket, mu, kappa, count)
    _add_counts(runs, bucket, mu, kappa, count, dispersed, eps, share, to)
