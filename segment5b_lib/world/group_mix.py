"""Segment 2B, daily part: from which zone a merchant's physical arrivals come on each UTC day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segment5b_lib.arrays import F64, I64, Flags
from segment5b_lib.world.cells import Cells
from segment5b_lib.world.footprint import Series
from segment5b_lib.world.merchants import PlannedMerchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.sharing import owner_slices
from segment5b_lib.world.sites import SiteWeights
from segment5b_lib.world.spec import GroupMix, WorldSpec

_GRID = 2.0**40
_BISECTIONS = 48


@dataclass(frozen=True, eq=False)
class GroupWeights:
    """Zone weights of merchants, one row per (merchant, zone) in key order, one column per day.

    `base_share` has the site weights of the zone. `gamma` [row, day] is the day's noise, mean 1; `p_group` [row, day]
    sums to 1 over a merchant's rows on every day. Merchant `m` owns rows [starts[m], starts[m + 1]).
    """

    merchant: I64
    tzid: tuple[str, ...]
    base_share: F64
    gamma: F64
    p_group: F64
    starts: I64


def build_group_weights(
    spec: WorldSpec,
    cells: Cells,
    merchants: PlannedMerchants,
    series: Series,
    weights: SiteWeights,
    randomness: Randomness,
) -> GroupWeights:
    """Weights of a zone's sites, times the day's noise, kept from collapsing into one zone by the mix."""
    zones, zone_of = np.unique(np.array(cells.tzid), return_inverse=True)
    pair = series.merchant * len(zones) + zone_of[series.cell]
    pairs, row = np.unique(pair, return_inverse=True)
    merchant = pairs // len(zones)
    starts = np.searchsorted(merchant, np.arange(len(merchants) + 1))
    base = np.bincount(row, weights=weights.series_share).astype(np.float64)
    days, sigma = spec.horizon.days, spec.site_weights.day_sigma
    normal = randomness.normals("day_effects", merchants.ids, np.diff(starts) * days)
    gamma = np.exp(sigma * normal - sigma**2 / 2).reshape(-1, days)  # log-normal with mean 1
    raw = base[:, None] * gamma
    sites = np.bincount(row, weights=series.sites).astype(np.float64)
    p = np.concatenate(
        [
            mixed(raw[own] / raw[own].sum(axis=0), sites[own] / sites[own].sum(), spec.upstream.s2B)
            for own in owner_slices(starts)
        ]
    )
    return GroupWeights(merchant, tuple(zones[pairs % len(zones)].tolist()), base, gamma, _closed(p, starts), starts)


def mixed(share: F64, even: F64, mix: GroupMix) -> F64:
    """Keep the zone shares of one merchant from collapsing into one zone.

    First a blend by `strength` with treating all its sites alike. Then a blend with equal shares of all
    zones, until the largest share is down at the soft cap; then the same until the entropy, in nats, reaches
    the floor. A cap or floor beyond equal shares gives equal shares.

    `share` [zone, day] sums to 1 on each day; `even` is the part of the merchant's sites in each zone.
    """
    if len(share) == 1:
        return share
    share = (1 - mix.strength) * share + mix.strength * even[:, None]
    share = _levelled_until(share, lambda s: s.max(axis=0) <= mix.soft_cap)
    return _levelled_until(share, lambda s: _entropy(s) >= mix.entropy_floor)


def _levelled(share: F64, part: F64) -> F64:
    return (1 - part) * share + part / len(share)


def _levelled_until(share: F64, enough: Callable[[F64], Flags]) -> F64:
    """The smallest levelling for which `enough` holds, by bisection per day; equal shares if none does."""
    fine = enough(share)
    if fine.all():
        return share
    low, high = np.zeros(share.shape[1]), np.ones(share.shape[1])
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        reached = enough(_levelled(share, middle))
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return _levelled(share, np.where(fine, 0.0, high))


def _entropy(share: F64) -> F64:
    entropy: F64 = -(share * np.log(np.maximum(share, 1e-300))).sum(axis=0)
    return entropy


def _closed(p: F64, starts: I64) -> F64:
    """Rounded to a grid of 2^-40, the largest share of each merchant and day closing the sum to exactly 1."""
    steps = np.rint(p * _GRID)
    missing = _GRID - np.add.reduceat(steps, starts[:-1], axis=0)
    for m, own in enumerate(owner_slices(starts)):
        largest = own.start + np.argmax(steps[own], axis=0)
        steps[largest, np.arange(p.shape[1])] += missing[m]
    return steps / _GRID
