"""Places of arrivals: every site and edge of the world with its merchant and zone, and settlement zones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow.compute as pc

from segment5b_lib.arrays import I32, U64, Flags
from segment5b_lib.contract.upstream import SITE_KEY
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.identity import site_id
from segment5b_lib.store.columns import distinct, word_codes
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.worlds import World

READS: Final = (
    "site_locations",
    "site_timezones",
    "zone_alloc",
    "virtual_classification_3B",
    "virtual_settlement_3B",
    "edge_catalogue_3B",
    "edge_universe_hash_3B",
)


@dataclass(frozen=True)
class Directory:
    """Places by id: ascending `ids` u64, and for each its `merchants` u64 and `zones`, a position in `tzids`."""

    ids: U64
    merchants: U64
    zones: I32

    def foreign(self, ids: U64, merchants: U64, zones: I32) -> Flags:
        """Which of these arrivals are at no place of their merchant, or carry another zone than the place's."""
        if self.ids.size == 0:
            return np.ones(ids.size, np.bool_)
        code, values = distinct(ids)
        place = np.minimum(np.searchsorted(self.ids, values), self.ids.size - 1)
        known = self.ids[place] == values
        return np.asarray(
            ~known[code] | (self.merchants[place][code] != merchants) | (self.zones[place][code] != zones)
        )


@dataclass(frozen=True)
class PlaceDirectory:
    """All places of a world; zones are positions in `tzids`, the active zones in ascending order."""

    tzids: tuple[str, ...]
    sites: Directory
    edges: Directory
    settlement: Directory
    only_virtual: U64
    physical_universes: frozenset[str]
    virtual_universe: str

    @property
    def primary_tzids(self) -> tuple[str, ...]:
        """Zones that tzid_primary may name: those of sites and edges."""
        used = np.unique(np.concatenate([self.sites.zones, self.edges.zones]))
        return tuple(self.tzids[code] for code in used)


def load_places(world: World) -> PlaceDirectory:
    settled = world.frame("virtual_settlement_3B", ["merchant_id", "tzid_settlement"])
    # The id of a settlement is its merchant.
    frames = _sites(world), _edges(world), settled.select("merchant_id", tzid="tzid_settlement", id="merchant_id")
    tzids = tuple(sorted({tzid for frame in frames for tzid in frame["tzid"]}))
    sites, edges, settlements = (_directory(frame, tzids) for frame in frames)
    modes = world.table("virtual_classification_3B", ["merchant_id", "virtual_mode"])
    only = pc.equal(modes["virtual_mode"], VirtualMode.VIRTUAL_ONLY.value)
    universes = pc.unique(world.table("zone_alloc", ["routing_universe_hash"])["routing_universe_hash"])
    return PlaceDirectory(
        tzids,
        sites,
        edges,
        settlements,
        np.sort(modes.filter(only)["merchant_id"].to_numpy()),
        frozenset(universes.to_pylist()),
        str(read_json(world.files("edge_universe_hash_3B")[0])["universe_hash"]),
    )


def _sites(world: World) -> pl.DataFrame:
    """Sites that 1B located, with 2A's zone; no arrival matches a site without a zone."""
    located = world.frame("site_locations", SITE_KEY)
    zones = world.frame("site_timezones", [*SITE_KEY, "tzid"])
    sites = located.join(zones, on=SITE_KEY, how="inner")
    ids = [site_id(*key) for key in sites.select(SITE_KEY).iter_rows()]
    return sites.select("merchant_id", "tzid", id=pl.Series(ids, dtype=pl.UInt64))


def _edges(world: World) -> pl.DataFrame:
    edges = world.frame("edge_catalogue_3B", ["merchant_id", "edge_id", "tzid_operational"])
    ids = pl.Series([int(text, 16) for text in edges["edge_id"]], dtype=pl.UInt64)
    return edges.select("merchant_id", tzid="tzid_operational", id=ids)


def _directory(frame: pl.DataFrame, tzids: tuple[str, ...]) -> Directory:
    ordered = frame.sort("id")
    zones = word_codes(ordered["tzid"], tzids)
    return Directory(ordered["id"].to_numpy(), ordered["merchant_id"].to_numpy(), zones)
