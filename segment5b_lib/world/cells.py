"""Cells: the (country, time zone) pairs of the world, how much demand each draws, and the places in them.

Most cells are a country under one of its own clocks. Border cells are the points of a country that are
nearest to a city under a neighbour's clock: their sites belong to the country by law and to the neighbour
by the clock, which is why one merchant and zone can have several components.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from segment5b_lib.arrays import F64, I64, Flags
from segment5b_lib.errors import PolicyError
from segment5b_lib.world.cities import Cities, PopulatedPlaces
from segment5b_lib.world.spec import Geography


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells in ascending (country, tzid); `places` is grouped by cell in the same order.

    `continent` is GeoNames' code of the country, `demand` the share of the world's demand, which sums to 1. Cell `c`
    owns places [starts[c], starts[c + 1]).
    """

    country: tuple[str, ...]
    tzid: tuple[str, ...]
    continent: tuple[str, ...]
    demand: F64
    is_border: Flags
    hand_made: Flags
    places: PopulatedPlaces
    starts: I64

    def __len__(self) -> int:
        return len(self.country)

    def pick_places(self, cell: I64, u: F64, population_exponent: float) -> I64:
        """Index into `places`, drawn within each given cell in proportion to population^exponent.

        `cell` and `u` have one length; `u` are uniforms of [0, 1).
        """
        weight = self.places.population.astype(np.float64) ** population_exponent
        running = np.cumsum(weight)
        before = np.concatenate([[0.0], running])[self.starts]
        target = before[cell] + u * (before[cell + 1] - before[cell])
        position = np.searchsorted(running, target, side="right")
        picked: I64 = np.clip(position, self.starts[cell], self.starts[cell + 1] - 1)
        return picked


def build_cells(cities: Cities, geography: Geography) -> Cells:
    """The cells of the zones in use, with their demand and places."""
    zones = tuple(sorted({*cities.zones, *(place.tzid for place in geography.hand_made)}))
    places, border, hand_made = _all_places(cities, zones, geography)
    code = places.country * len(zones) + places.zone
    pair = np.unique(code, return_inverse=True)[1]
    people = np.bincount(pair, weights=places.population)[pair]
    # Border points of pairs that are not a country under its own clock, with enough people.
    keep = ~border | (~np.isin(code, code[~border]) & (people >= geography.border_people))
    order = np.flatnonzero(keep)[np.argsort(code[keep], kind="stable")]
    places, border, hand_made, code = places.take(order), border[order], hand_made[order], code[order]
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    demand = _demand(places, starts, border[starts], cities, geography)
    used = np.isin(places.zone[starts], _zones_in_use(places.zone[starts], demand, zones, geography))
    sizes = np.diff(starts, append=len(code))
    first = starts[used]
    return Cells(
        country=tuple(cities.countries[c] for c in places.country[first]),
        tzid=tuple(zones[z] for z in places.zone[first]),
        continent=tuple(cities.continents[c] for c in places.country[first]),
        demand=demand[used] / demand[used].sum(),
        is_border=border[first],
        hand_made=hand_made[first],
        places=places.take(np.flatnonzero(np.repeat(used, sizes))),
        starts=np.concatenate([[0], np.cumsum(sizes[used])]),
    )


def country_demand(population: F64, countries: tuple[str, ...], geography: Geography) -> F64:
    """Each country's share of the world's demand: the listed ones as given, the others by population.

    `population` is ndarray(float64, ndim=1), one entry per name in `countries`.
    """
    listed = geography.country_demand
    if unknown := sorted(set(listed) - set(countries)):
        raise _unknown_country("key geography.country_demand", unknown[0])
    given = np.array([listed.get(code, 0.0) for code in countries])
    pull = np.where(given > 0, 0.0, population**geography.other_countries_population_exponent)
    raw = given + geography.other_countries_demand * pull / max(float(pull.sum()), 1.0)
    demand: F64 = raw / raw.sum()
    return demand


def _unknown_country(where: str, code: str) -> PolicyError:
    return PolicyError(
        "5B.WORLD.UNKNOWN_COUNTRY",
        "a country has no city",
        where=where,
        expected="ISO 3166 alpha-2 codes of the city list",
        found=code,
    )


def _all_places(cities: Cities, zones: tuple[str, ...], geography: Geography) -> tuple[PopulatedPlaces, Flags, Flags]:
    """Cities, border points within reach and hand-made places; which are border, which hand-made."""
    zone_codes = np.array([zones.index(zone) for zone in cities.zones])
    near = cities.borders.take(np.flatnonzero(cities.borders.border_km <= geography.border_km))
    made = geography.hand_made
    if unknown := [place.country for place in made if place.country not in cities.countries]:
        raise _unknown_country("key geography.hand_made", unknown[0])
    zeros = np.zeros(len(made))
    by_hand = PopulatedPlaces(
        np.array([cities.countries.index(place.country) for place in made], np.int64),
        np.array([zones.index(place.tzid) for place in made], np.int64),
        np.array([place.lat_deg for place in made], np.float64),
        np.array([place.lon_deg for place in made], np.float64),
        np.array([place.population for place in made], np.int64),
        zeros,
        zeros,
    )
    parts = [*(replace(part, zone=zone_codes[part.zone]) for part in (cities.cities, near)), by_hand]
    sizes = [len(part.country) for part in parts]
    places = parts[0].followed_by(parts[1]).followed_by(parts[2])
    return places, np.repeat([False, True, False], sizes), np.repeat([False, False, True], sizes)


def _zones_in_use(zone: I64, demand: F64, zones: tuple[str, ...], geography: Geography) -> I64:
    """The required zones, then those that draw the most demand, up to the number in use."""
    pull = np.bincount(zone, weights=demand, minlength=len(zones))
    if missing := [name for name in geography.required_zones if name not in zones]:
        raise PolicyError(
            "5B.WORLD.ZONE_WITHOUT_PLACE",
            "a required zone has no city and no hand-made place",
            where="key geography.required_zones",
            expected="a zone of the city list, or an entry in geography.hand_made",
            found=missing[0],
        )
    if geography.zones_in_use > len(zones):
        raise PolicyError(
            "5B.WORLD.TOO_MANY_ZONES",
            "more zones are asked for than have places",
            where="key geography.zones_in_use",
            expected=f"at most {len(zones)}",
            found=geography.zones_in_use,
        )
    required = [zones.index(name) for name in geography.required_zones]
    ranked = [z for z in np.argsort(-pull, kind="stable").tolist() if z not in required]
    return np.array([*required, *ranked][: geography.zones_in_use])


def _demand(places: PopulatedPlaces, starts: I64, border: Flags, cities: Cities, geography: Geography) -> F64:
    """Demand of each cell: its country's, by zone; a border cell draws its people's part, times a pull."""
    population = np.add.reduceat(places.population.astype(np.float64), starts)
    country = places.country[starts]
    of_country = np.bincount(country[~border], weights=population[~border], minlength=len(cities.countries))
    by_country = country_demand(of_country.astype(np.float64), cities.countries, geography)[country]
    pull = np.where(border, 0.0, population**geography.zone_population_exponent)
    own = pull / np.bincount(country, weights=pull, minlength=len(cities.countries))[country]
    abroad = geography.border_pull * population / of_country[country]
    demand: F64 = by_country * np.where(border, abroad, own)
    return demand
