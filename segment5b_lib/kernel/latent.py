"""The latent field: how much busier than expected a group of series is, bucket by bucket.

Per group g and bucket t one standard normal n_t (Box-Muller on both lanes of block (t, 0)), and

    log_gaussian_ou_v1    Z_0 = σ n_0,  Z_t = φ Z_{t−1} + σ √(1 − φ²) n_t,  φ = exp(−1/L)
    log_gaussian_iid_v1   Z_t = σ n_t
    none                  Z_t = 0, factor 1, nothing is drawn

factor = exp(Z − σ²/2), of mean 1 before it is clipped. σ is the standard deviation of Z at every t, L its
correlation length in buckets: corr(Z_t, Z_{t+k}) = exp(−k/L), the stationary Ornstein-Uhlenbeck process
sampled at bucket distance.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import F64, I64, U64
from segment5b_lib.errors import InputError
from segment5b_lib.kernel._check import check_array, check_range
from segment5b_lib.kernel._jit import jit
from segment5b_lib.kernel.philox import philox2x64, philox_lanes, u01

NONE = "none"
OU = "log_gaussian_ou_v1"
IID = "log_gaussian_iid_v1"
LATENT_MODES = (NONE, OU, IID)


class LatentField(NamedTuple):
    """Z and its clipped factor, float64 [group, bucket]; how many factors were clipped, int64 [group]."""

    z: F64
    factor: F64
    clipped_low: I64
    clipped_high: I64


@jit
def _box_muller(word0: np.uint64, word1: np.uint64) -> float:
    return math.sqrt(-2.0 * math.log(u01(word0))) * math.cos(2.0 * math.pi * u01(word1))


@jit
def normal(bucket: int, key: np.uint64) -> float:
    """Standard normal of one bucket: √(−2 ln u0) · cos(2π u1); |n| ≤ 8.6 since u0 ≥ 2^−53."""
    return _box_muller(*philox2x64(np.uint64(bucket), np.uint64(0), key))


@jit
def _walk(word0: U64, word1: U64, sigma: float, length: float, z: F64) -> None:
    """Fill one group's Z from the words of its buckets; a length of 0 means no memory."""
    memory, shock = 0.0, sigma
    if length > 0.0:
        memory, shock = math.exp(-1.0 / length), sigma * math.sqrt(-math.expm1(-2.0 / length))
    z[0] = sigma * _box_muller(word0[0], word1[0])
    for bucket in range(1, z.size):
        z[bucket] = memory * z[bucket - 1] + shock * _box_muller(word0[bucket], word1[bucket])


@jit
def _factor(z: F64, sigma: float, low: float, high: float, factor: F64) -> tuple[int, int]:
    """Fill one group's clipped factors; return how many were clipped from below and from above."""
    below, above = 0, 0
    for bucket in range(z.size):
        value = math.exp(z[bucket] - 0.5 * sigma * sigma)
        below += value < low
        above += value > high
        factor[bucket] = min(max(value, low), high)
    return below, above


@jit
def _groups(
    keys: U64, sigma: F64, length: F64, low: float, high: float, words: U64, z: F64, factor: F64, below: I64, above: I64
) -> None:
    for group in range(keys.size):
        philox_lanes(0, words.shape[1], 0, keys[group], words[0], words[1])
        _walk(words[0], words[1], sigma[group], length[group], z[group])
        below[group], above[group] = _factor(z[group], sigma[group], low, high, factor[group])


def latent_field(
    keys: U64, sigma: F64, length: F64, *, buckets: int, mode: str, clip: tuple[float, float]
) -> LatentField:
    """Latent field of a slice of groups over buckets [0, ``buckets``).

    ``keys`` ``ndarray(uint64, ndim=1)``, one key of S2.latent_vector.v2 per group; ``sigma`` in [0, 5] and
    ``length`` > 0 in buckets, ``ndarray(float64, ndim=1)``; ``mode`` one of LATENT_MODES; ``clip`` the bounds
    (low, high) of the factor, 0 < low ≤ 1 ≤ high. Raises InputError. Method: exact update of the
    Ornstein-Uhlenbeck process (Gillespie, Phys. Rev. E 54, 1996).
    """
    _check(keys, sigma, length, buckets, mode, clip)
    groups = keys.size
    below, above = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    if mode == NONE:
        return LatentField(np.zeros((groups, buckets)), np.ones((groups, buckets)), below, above)
    z, factor = np.empty((groups, buckets)), np.empty((groups, buckets))
    memory = length if mode == OU else np.zeros(groups)
    _groups(keys, sigma, memory, clip[0], clip[1], np.empty((2, buckets), np.uint64), z, factor, below, above)
    return LatentField(z, factor, below, above)


def _check(keys: U64, sigma: F64, length: F64, buckets: int, mode: str, clip: tuple[float, float]) -> None:
    check_array("keys", keys, np.uint64, (None,))
    check_array("sigma", sigma, np.float64, keys.shape)
    check_array("length", length, np.float64, keys.shape)
    check_range("sigma", sigma, 0.0, 5.0)
    check_range("length", length, np.finfo(np.float64).tiny, np.finfo(np.float64).max)
    check_range("buckets", buckets, 1, np.iinfo(np.int32).max)
    check_range("lower clip bound", clip[0], np.finfo(np.float64).tiny, 1.0)
    check_range("upper clip bound", clip[1], 1.0, np.finfo(np.float64).max)
    if mode not in LATENT_MODES:
        raise InputError("5B.KERNEL.LATENT_MODE", "there is no such latent field", expected=LATENT_MODES, found=mode)
