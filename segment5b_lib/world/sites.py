"""Sites: where each merchant's outlets stand, at real cities and in the zone of the nearest one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segment5b_lib.world.cells import Cells
from segment5b_lib.world.footprint import Series
from segment5b_lib.world.merchants import Merchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.sharing import Floats, Ints
from segment5b_lib.world.spec import WorldSpec

KM_PER_DEGREE = 111.195
"""Length of a degree of latitude."""
_WITHIN_ROOM = 0.8


@dataclass(frozen=True, eq=False)
class Sites:
    """One row per site, in ascending (merchant, country, site_order).

    Attributes
    ----------
    series : ndarray(int64, ndim=1), index into Series, ascending
    order : ndarray(int64, ndim=1), 1..N within merchant and country
    lat_deg, lon_deg : ndarray(float64, ndim=1), degrees, to six decimals
    hand_made : ndarray(bool, ndim=1), stands at a hand-made place
    """

    series: Ints
    order: Ints
    lat_deg: Floats
    lon_deg: Floats
    hand_made: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.series)


def build_sites(spec: WorldSpec, cells: Cells, merchants: Merchants, series: Series, randomness: Randomness) -> Sites:
    """A site stands near a city of its cell, so near that no other city is nearer: its zone is the cell's."""
    per_merchant = np.add.reduceat(series.sites, series.starts[:-1])
    u = randomness.uniforms("sites", merchants.ids, 3 * per_merchant).reshape(-1, 3)
    of_series = np.repeat(np.arange(len(series)), series.sites)
    cell = series.cell[of_series]
    at = cells.pick_places(cell, u[:, 0], spec.geography.city_population_exponent)
    lat, lon = _nearby(cells, at, u[:, 1], u[:, 2])
    return Sites(of_series, _site_order(cells, series, of_series), lat, lon, cells.hand_made[cell])


def _nearby(cells: Cells, at: Ints, u_radius: Floats, u_angle: Floats) -> tuple[Floats, Floats]:
    """A point within the room around a place, uniform over the disc."""
    places = cells.places
    radius = _WITHIN_ROOM * places.room_km[at] * np.sqrt(u_radius) / KM_PER_DEGREE
    angle = 2 * np.pi * u_angle
    lat = places.lat_deg[at] + radius * np.sin(angle)
    shrink = np.maximum(np.cos(np.radians(places.lat_deg[at])), 0.01)
    lon = places.lon_deg[at] + radius * np.cos(angle) / shrink
    return np.round(lat, 6), np.round((lon + 180) % 360 - 180, 6)


def _site_order(cells: Cells, series: Series, of_series: Ints) -> Ints:
    country = np.unique(np.array(cells.country), return_inverse=True)[1][series.cell]
    owner = (series.merchant * (int(country.max()) + 1) + country)[of_series]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    sizes = np.diff(first, append=len(owner))
    return np.arange(len(owner)) - np.repeat(first, sizes) + 1
