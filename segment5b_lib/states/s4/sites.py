"""Sites that arrivals can be routed to: 2A's zone and 2B's weight of every site that 1B located."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.policies import FailClosedRules
from segment5b_lib.errors import InputError
from segment5b_lib.identity import site_id
from segment5b_lib.store.worlds import World

SITE_KEY: Final = ["merchant_id", "legal_country_iso", "site_order"]
_PARTS: Final = {
    "site_timezones": ["tzid"],
    "s1_site_weights": ["p_weight"],
    "site_locations": ["lat_deg", "lon_deg"],
}


def load_sites(world: World) -> pl.DataFrame:
    """One row per site in key order: key, tzid, p_weight, lat_deg, lon_deg, site_id (u64).

    Raises
    ------
    InputError : ``5B.S4.ROUTING_ROW_MISSING`` for a site that one of the three datasets does not have
    """
    frames = {name: _table(world, name, columns) for name, columns in _PARTS.items()}
    sites = frames["site_timezones"]
    for name, frame in frames.items():
        _same_keys(sites, frame, name)
        if name != "site_timezones":
            sites = sites.join(frame, on=SITE_KEY, validate="1:1", maintain_order="left")
    ids = [site_id(*key) for key in sites.select(SITE_KEY).iter_rows()]
    return sites.with_columns(site_id=pl.Series(ids, dtype=pl.UInt64))


def _table(world: World, dataset_id: str, columns: list[str]) -> pl.DataFrame:
    return world.frame(dataset_id, [*SITE_KEY, *columns]).sort(SITE_KEY)


def _same_keys(sites: pl.DataFrame, other: pl.DataFrame, name: str) -> None:
    for have, lack, lacking in ((sites, other, name), (other, sites, "site_timezones")):
        missing = have.join(lack, on=SITE_KEY, how="anti", maintain_order="left")
        if missing.height:
            raise InputError(
                "5B.S4.ROUTING_ROW_MISSING",
                "a site is not in every dataset that routing needs",
                where=f"{lacking}, key {missing.select(SITE_KEY).row(0)}",
                expected="one row per site in site_locations, site_timezones and s1_site_weights",
                found=f"{missing.height} sites without",
                next_step="the upstream segment must publish again; or rebuild the world",
            )


def routing_universe(world: World, rules: FailClosedRules) -> str:
    """3A's routing universe hash, which every row of zone_alloc carries."""
    column = world.table("zone_alloc", ["routing_universe_hash"])["routing_universe_hash"]
    hashes = sorted(set(column.to_pylist()))
    if len(hashes) != 1 and rules.routing_universe_mismatch == "error":
        raise InputError(
            "5B.S4.ROUTING_UNIVERSE_MISMATCH",
            "physical routing does not come from one universe",
            where="zone_alloc, column routing_universe_hash",
            expected="one hash in all rows",
            found=f"{len(hashes)}: {', '.join(hashes[:3])}",
            next_step="segment 3A must publish again; or rebuild the world",
        )
    return str(hashes[0])
