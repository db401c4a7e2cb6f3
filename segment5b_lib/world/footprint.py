"""Footprints: in which cells each merchant trades (its series), and with how many sites in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment5b_lib.arrays import F64, I64
from segment5b_lib.errors import PolicyError
from segment5b_lib.world.cells import Cells
from segment5b_lib.world.merchants import PlannedMerchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.sharing import apportion
from segment5b_lib.world.spec import WorldSpec


@dataclass(frozen=True, eq=False)
class Series:
    """One row per (merchant, cell) in which the merchant trades, in key order, with the number of sites, at least 1.

    `merchant` and `cell` index PlannedMerchants and Cells; merchant `m` owns series [starts[m], starts[m + 1]).
    """

    merchant: I64
    cell: I64
    sites: I64
    starts: I64

    def __len__(self) -> int:
        return len(self.merchant)


def build_series(spec: WorldSpec, cells: Cells, merchants: PlannedMerchants, randomness: Randomness) -> Series:
    """Exactly `footprint.series` series over every zone in use, and exactly `footprint.sites` sites that sell.

    A merchant that exists online only sells at edges: it has a registered place in each of its cells, on top.
    """
    count = len(merchants)
    sites = _site_counts(spec, merchants, randomness)
    widths = _series_counts(spec, cells, sites)
    sites = np.where(merchants.online, widths, sites)
    chosen = [_ranked_cells(spec, cells, merchants, m, randomness)[: widths[m]] for m in range(count)]
    _cover_every_zone(chosen, cells)
    cell = np.concatenate([np.sort(own) for own in chosen])
    starts = np.concatenate([[0], np.cumsum(widths)])
    pull = cells.demand[cell] ** spec.footprint.sites_demand_exponent
    owned = [apportion(pull[starts[m] : starts[m + 1]], int(sites[m] - widths[m])) for m in range(count)]
    return Series(np.repeat(np.arange(count), widths), cell, 1 + np.concatenate(owned), starts)


def _site_counts(spec: WorldSpec, merchants: PlannedMerchants, randomness: Randomness) -> I64:
    """Sites of each merchant: as many as its size needs, give or take how busy its sites are.

    Those of merchants that sell in person sum to `footprint.sites`; online merchants, who only reach as far as
    others of their need, do not count.
    """
    law, count = spec.footprint, len(merchants)
    noise = randomness.normals("sites_per_merchant", merchants.ids, np.ones(count, np.int64))
    need = merchants.volume**law.sites_size_exponent * np.exp(law.sites_sigma * noise)
    outlets = need[~merchants.online]
    sites: I64 = np.maximum(1, np.rint(need / outlets.sum() * law.sites)).astype(np.int64)
    sites[~merchants.online] = apportion(outlets, law.sites, least=1)
    return sites


def _series_counts(spec: WorldSpec, cells: Cells, sites: I64) -> I64:
    """Series of each merchant: more with more sites, but at most its sites, the cells, the widest reach."""
    law = spec.footprint
    most = np.minimum(sites, min(law.most_series, len(cells)))
    if law.series > most.sum():
        raise PolicyError(
            "5B.WORLD.TOO_MANY_SERIES",
            "more series are asked for than the merchants' sites and reach allow",
            where="key footprint.series",
            expected=f"at most {int(most.sum())}",
            found=law.series,
        )
    return apportion(sites.astype(np.float64) ** law.series_sites_exponent, law.series, least=1, most=most)


def _ranked_cells(spec: WorldSpec, cells: Cells, merchants: PlannedMerchants, m: int, randomness: Randomness) -> I64:
    """Every cell in the order in which a merchant would open there: head office first.

    Sampling without replacement in proportion to demand, pulled towards the home country and continent, by
    Gumbel's trick: the order of log weight + Gumbel noise.
    """
    home = int(merchants.home[m])
    country, continent = np.array(cells.country), np.array(cells.continent)
    pull = np.where(continent == continent[home], spec.footprint.continent_pull, 1.0)
    pull = np.where(country == country[home], spec.footprint.home_pull, pull)
    u = randomness.generator("cells", int(merchants.ids[m])).random(len(cells))
    score: F64 = np.log(cells.demand * pull) - np.log(-np.log(u))
    score[home] = np.inf
    return np.argsort(-score, kind="stable")


def _cover_every_zone(chosen: list[I64], cells: Cells) -> None:
    """Open a series in each zone that no merchant serves from its own country, in place of one that can be spared.

    Merchants take turns, those with most to spare first; each gives its least attractive cell: a border cell,
    or one whose zone others also serve, but never its head office.
    """
    zones, zone_of = np.unique(np.array(cells.tzid), return_inverse=True)
    everyone = np.concatenate(chosen)
    served = np.bincount(zone_of[everyone[~cells.is_border[everyone]]], minlength=len(zones))
    given = np.zeros(len(chosen), np.int64)
    for zone in np.flatnonzero(served == 0):
        candidates = np.flatnonzero((zone_of == zone) & ~cells.is_border)
        can_spare = cells.is_border | (served[zone_of] > 1)
        spare = np.array([can_spare[own[1:]].sum() for own in chosen])
        if not spare.any():
            raise PolicyError(
                "5B.WORLD.TOO_FEW_SERIES",
                "there are not enough series to serve every zone in use",
                where="key footprint.series",
                expected="more series, or fewer geography.zones_in_use",
                found=sum(map(len, chosen)),
            )
        giver = np.lexsort((-spare, np.where(spare > 0, given, len(zones))))[0]
        own = chosen[giver]
        last = 1 + np.flatnonzero(can_spare[own[1:]])[-1]
        served[zone_of[own[last]]] -= not cells.is_border[own[last]]
        own[last] = candidates[np.argmax(cells.demand[candidates])]
        served[zone] += 1
        given[giver] += 1
