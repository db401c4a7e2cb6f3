"""Merchants: who they are, what they sell, and how much.

Sizes follow a law that is cut into equal slices of probability, one per merchant, so that a world of twelve
merchants has the same shape as one of nine hundred. Categories are handed out largest merchant first, each
to the category whose demand is least covered so far: shares of classes and channels are shares of demand,
and hold at every scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import iso18245
import numpy as np

from segment5b_lib.arrays import F64, I64, U64, Flags
from segment5b_lib.errors import PolicyError
from segment5b_lib.identity import sha256_hex
from segment5b_lib.world.cells import Cells
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.sharing import least_covered
from segment5b_lib.world.spec import Category, MerchantsSpec, SizeLaw, WorldSpec


@dataclass(frozen=True, eq=False)
class PlannedMerchants:
    """Merchants in ascending id: `volume` in expected arrivals over the baseline horizon, `online` for those that only
    exist online, `home` the cell of the head office.
    """

    ids: U64
    volume: F64
    category: tuple[Category, ...]
    online: Flags
    home: I64

    def __len__(self) -> int:
        return len(self.ids)


def build_merchants(spec: WorldSpec, cells: Cells, randomness: Randomness) -> PlannedMerchants:
    """All merchants of the world; a category that does not exist is a PolicyError."""
    law, count = spec.merchants, spec.merchants.count
    _check_categories((*law.categories, *law.online_categories))
    ids = _ids(count, spec.world_seed)
    noise = np.array([randomness.generator("merchant", int(i)).random(2) for i in ids])
    online = np.zeros(count, bool)
    online[np.argsort(noise[:, 0], kind="stable")[: law.online.count]] = True
    online_volume = law.online.volume_share * spec.arrivals_expected if online.any() else 0.0
    volume, category = np.empty(count), np.empty(count, dtype=object)
    for kind, sizes, total in (
        (~online, _sizes_with_tail(int((~online).sum()), law.size), spec.arrivals_expected - online_volume),
        (online, _sizes(int(online.sum()), law.online.size_sigma), online_volume),
    ):
        members = np.flatnonzero(kind)
        members = members[np.argsort(noise[members, 1], kind="stable")]
        volume[members] = total * sizes / (sizes.sum() or 1.0)
        category[members] = _taken(sizes, law.online_categories) if kind is online else _categories(sizes, law)
    return PlannedMerchants(ids, volume, tuple(category), online, _homes(cells, volume))


def _ids(count: int, world_seed: int) -> U64:
    """19-digit ids, ascending."""
    drawn = {10**18 + int(sha256_hex(f"merchant:{world_seed}:{i}".encode())[:15], 16) for i in range(count)}
    if len(drawn) != count:
        raise PolicyError("5B.WORLD.ID_COLLISION", "two merchants got one id", next_step="choose another world_seed")
    return np.array(sorted(drawn), np.uint64)


def _check_categories(categories: Sequence[Category]) -> None:
    if missing := [entry.mcc for entry in categories if entry.mcc not in _iso_codes()]:
        raise PolicyError(
            "5B.WORLD.UNKNOWN_CATEGORY",
            "a merchant category code is not in ISO 18245",
            where="key merchants.categories",
            expected="a four-digit code of the iso18245 package",
            found=missing[0],
        )


@cache
def _iso_codes() -> frozenset[str]:
    """The codes of ISO 18245; the package looks each of them up in seven lists."""
    return frozenset(entry.mcc for entry in iso18245.get_all_mccs() if entry.iso_description)


def _slices(n: int) -> list[float]:
    """The middle of each of n equal slices of probability, descending: the largest merchant comes first."""
    return [1 - (i + 0.5) / n for i in range(n)]


def _sizes(n: int, sigma: float) -> F64:
    """Relative sizes, largest first: log-normal with median 1."""
    return np.array([np.exp(sigma * NormalDist().inv_cdf(u)) for u in _slices(n)])


def _sizes_with_tail(n: int, law: SizeLaw) -> F64:
    """As `_sizes`, continued by a bounded Pareto tail from quantile `tail_from` on, and a leader above it."""
    u = np.array(_slices(n))
    joint = np.exp(law.body_sigma * NormalDist().inv_cdf(law.tail_from))
    within = np.maximum(u - law.tail_from, 0) / (1 - law.tail_from)
    tail = joint * (1 - within * (1 - law.tail_reach**-law.tail_index)) ** (-1 / law.tail_index)
    sizes: F64 = np.where(u < law.tail_from, _sizes(n, law.body_sigma), tail)
    sizes[:1] *= law.leader
    return sizes


def _categories(sizes: F64, law: MerchantsSpec) -> list[Category]:
    """A category for each merchant. The Pareto tail keeps to the classes of large merchants; the smallest
    merchants trade in the long tail of demand and in one channel, whatever they sell.
    """
    large = np.array([entry.demand_class in law.largest_classes for entry in law.categories])
    in_tail = np.array(_slices(len(sizes))) >= law.size.tail_from
    chosen = _taken(sizes, law.categories, ~in_tail[:, None] | large[None, :])
    first_small = len(sizes) - int(law.low_volume_share * len(sizes))
    in_tail_class = {"demand_class": "low_volume_tail", "channel_group": law.low_volume_channel}
    small = [entry.model_copy(update=in_tail_class) for entry in chosen[first_small:]]
    return [*chosen[:first_small], *small]


def _taken(sizes: F64, categories: Sequence[Category], allowed: Flags | None = None) -> list[Category]:
    demand = np.array([entry.demand for entry in categories])
    return [categories[i] for i in least_covered(sizes, demand, allowed)]


def _homes(cells: Cells, volume: F64) -> I64:
    """Cell of each head office: among the countries' own cells, the one whose demand is least covered."""
    own = np.flatnonzero(~cells.is_border & ~cells.hand_made)
    largest_first = np.argsort(-volume, kind="stable")
    homes = np.empty(len(volume), np.int64)
    homes[largest_first] = own[least_covered(volume[largest_first], cells.demand[own])]
    return homes
