"""Sites at real cities, in the zone of the nearest one, and their routing weights (2B, static part)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment5b_lib.arrays import F64, I64, Flags
from segment5b_lib.kernel.alias import GRID, GRID_BITS, quantise
from segment5b_lib.world.cells import Cells
from segment5b_lib.world.footprint import Series
from segment5b_lib.world.merchants import PlannedMerchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.sharing import owner_slices
from segment5b_lib.world.spec import WorldSpec

KM_PER_DEGREE = 111.195
"""Length of a degree of latitude."""
QUANTISED_BITS = GRID_BITS
"""Weights are whole multiples of 2^-24, so that they sum to exactly 1 and an alias table decodes to them."""
_WITHIN_ROOM = 0.8


@dataclass(frozen=True, eq=False)
class PlannedSites:
    """One row per site, in ascending (merchant, country, site_order).

    `series` indexes Series, ascending; `order` counts 1..N within merchant and country; degrees have six decimals.
    """

    series: I64
    order: I64
    lat_deg: F64
    lon_deg: F64
    hand_made: Flags

    def __len__(self) -> int:
        return len(self.series)


def build_sites(
    spec: WorldSpec, cells: Cells, merchants: PlannedMerchants, series: Series, randomness: Randomness
) -> PlannedSites:
    """A site stands near a city of its cell, so near that no other city is nearer: its zone is the cell's."""
    per_merchant = np.add.reduceat(series.sites, series.starts[:-1])
    u = randomness.uniforms("sites", merchants.ids, 3 * per_merchant).reshape(-1, 3)
    of_series = np.repeat(np.arange(len(series)), series.sites)
    cell = series.cell[of_series]
    at = cells.pick_places(cell, u[:, 0], spec.geography.city_population_exponent)
    lat, lon = _nearby(cells, at, u[:, 1], u[:, 2])
    return PlannedSites(of_series, _site_order(cells, series, of_series), lat, lon, cells.hand_made[cell])


def _nearby(cells: Cells, at: I64, u_radius: F64, u_angle: F64) -> tuple[F64, F64]:
    """A point within the free distance around a place, uniform over the disc."""
    places = cells.places
    radius = _WITHIN_ROOM * places.room_km[at] * np.sqrt(u_radius) / KM_PER_DEGREE
    angle = 2 * np.pi * u_angle
    lat = places.lat_deg[at] + radius * np.sin(angle)
    shrink = np.maximum(np.cos(np.radians(places.lat_deg[at])), 0.01)
    lon = places.lon_deg[at] + radius * np.cos(angle) / shrink
    return np.round(lat, 6), np.round((lon + 180) % 360 - 180, 6)


def _site_order(cells: Cells, series: Series, of_series: I64) -> I64:
    country = np.unique(np.array(cells.country), return_inverse=True)[1][series.cell]
    owner = (series.merchant * (int(country.max()) + 1) + country)[of_series]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    sizes = np.diff(first, append=len(owner))
    return np.arange(len(owner)) - np.repeat(first, sizes) + 1


@dataclass(frozen=True, eq=False)
class SiteWeights:
    """Routing weights of sites, which sum to exactly 1 over a merchant; `series_share` sums them over each series.

    `floored` are lifted to one grid step so that the site can be picked. Merchant `m` owns sites
    [starts[m], starts[m + 1]).
    """

    weight: F64
    floored: Flags
    series_share: F64
    starts: I64


def build_site_weights(
    spec: WorldSpec,
    cells: Cells,
    merchants: PlannedMerchants,
    series: Series,
    sites: PlannedSites,
    randomness: Randomness,
) -> SiteWeights:
    """A site trades more where demand is and where its merchant is at home, with noise of cell and of site."""
    law = spec.site_weights
    noise = randomness.normals("cell_weights", merchants.ids, np.diff(series.starts))
    pull = cells.demand[series.cell] ** law.cell_demand_exponent * np.exp(law.cell_sigma * noise)
    pull = np.where(series.cell == merchants.home[series.merchant], law.home_pull, 1.0) * pull
    starts = np.searchsorted(series.merchant[sites.series], np.arange(len(merchants) + 1))
    noise = randomness.normals("site_weights", merchants.ids, np.diff(starts))
    raw = pull[sites.series] * np.exp(law.site_sigma * noise)
    masses, floored = gridded(raw, starts)
    weight = masses / GRID
    share: F64 = np.bincount(sites.series, weights=weight).astype(np.float64)
    return SiteWeights(weight, floored, share, starts)


def gridded(raw: F64, starts: I64) -> tuple[I64, Flags]:
    """Masses that sum to 2^24 in each block, at least 1 everywhere; which were lifted to that 1.

    What the lifted ones need is taken from the block's largest mass.
    """
    masses = np.concatenate([np.empty(0, np.int64), *(quantise(raw[own]) for own in owner_slices(starts))])
    floored = masses == 0
    for own in owner_slices(starts):
        if floored[own].any():
            largest = own.start + int(np.argmax(masses[own]))
            masses[own][floored[own]] = 1
            masses[largest] -= int(floored[own].sum())
    return masses, floored
