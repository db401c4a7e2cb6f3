"""The random laws of a scenario's series: σ and L of each group's latent field, and κ of each series' counts.

Also the mean and the variety that the latent factors must have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.arrays import F64
from segment5b_lib.contract.policies import CountConfig, LgcpConfig, ScaledByBand


@dataclass(frozen=True)
class Groups:
    """The groups of a scenario by name, with the law of each one's latent field."""

    names: list[str]
    of_series: NDArray[np.intp]
    sigma: F64
    length: F64


def groups_of(series: pl.DataFrame, band: str, policy: LgcpConfig) -> Groups:
    """The distinct groups of a scenario in order of their names, with σ and L from the policy.

    `series` has one row per series with group_id, demand_class, channel_group and virtual_band.
    """
    distinct = series.unique("group_id").sort("group_id")
    names = distinct["group_id"].to_list()
    position = {name: index for index, name in enumerate(names)}
    rows = distinct.select("demand_class", "channel_group", "virtual_band").rows()
    sigma = [
        scaled(policy.sigma, band, demand, _sigma_multiplier(policy, channel, virtual))
        for demand, channel, virtual in rows
    ]
    length = [scaled(policy.length_buckets, band, demand) for demand, _, _ in rows]
    of_series = np.array([position[name] for name in series["group_id"]], dtype=np.intp)
    return Groups(names, of_series, np.array(sigma), np.array(length))


def _sigma_multiplier(policy: LgcpConfig, channel: Any, virtual: str) -> float:
    multiplier = policy.sigma.channel_group[channel]
    return multiplier * (policy.sigma.virtual_multiplier if virtual == "virtual" else 1.0)


def scaled(law: ScaledByBand, band: str, demand: Any, multiplier: float = 1.0) -> float:
    """clamp(base[band] · class · multiplier, min, max): how σ, L and κ follow from the policy."""
    value = float(getattr(law.base, band)) * law.demand_class[demand] * multiplier
    return min(max(value, law.min), law.max)


def mean_factor_law(groups: Groups, buckets: int, policy: LgcpConfig) -> tuple[float, float]:
    """Mean of the clipped log-normal factor over all groups, and the standard error of its realised mean."""
    if policy.mode == "none":
        return 1.0, 0.0
    low, high = policy.factor_clip.min, policy.factor_clip.max
    means = [clipped_mean(sigma, low, high) for sigma in groups.sigma]
    memory = np.exp(-1.0 / groups.length) if policy.mode == "log_gaussian_ou_v1" else np.zeros_like(groups.sigma)
    variance = np.expm1(groups.sigma**2) * (1 + memory) / (1 - memory) / buckets
    return float(np.mean(means)), float(np.sqrt(variance.sum()) / len(means))


def clipped_mean(sigma: float, low: float, high: float) -> float:
    """E[min(max(F, low), high)] of F = exp(σ n − σ²/2), n standard normal."""

    def phi(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    a, b = (math.log(low) + sigma**2 / 2) / sigma, (math.log(high) + sigma**2 / 2) / sigma
    return low * phi(a) + phi(b - sigma) - phi(a - sigma) + high * (1 - phi(b))


def below_floors(groups: Groups, band: str, policy: LgcpConfig) -> str:
    """Properties below the policy's minimum variety, as text; empty if there is none."""
    floors = policy.floors
    distinct, median = len(np.unique(groups.sigma)), float(np.median(groups.length))
    problems = []
    if distinct < floors.min_distinct_sigma:
        problems.append(f"{distinct} distinct sigma, at least {floors.min_distinct_sigma} wanted")
    if not floors.median_length_buckets.min <= median <= floors.median_length_buckets.max:
        problems.append(f"median length {median:g} buckets")
    share = float((groups.sigma >= floors.stress_sigma).mean())
    if band == "stress" and share < floors.stress_min_group_share:
        problems.append(f"{share:.3f} of the groups have sigma ≥ {floors.stress_sigma}")
    return "; ".join(problems)


def dispersion(demand_classes: pl.Series, band: str, policy: CountConfig) -> F64:
    """κ of every series, ndarray(float64, ndim=1); a count of mean μ has variance μ + μ²/κ."""
    return np.array([scaled(policy.kappa, band, name) for name in demand_classes], np.float64)
