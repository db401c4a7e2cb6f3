"""Where arrivals land whose merchant has no site in the zone that they need, if the policy lets them go astray."""

from __future__ import annotations

import polars as pl

from segment5b_lib.states.s4.pools import build_pools


def landing_zones(wanted: pl.DataFrame, key: list[str], sites: pl.DataFrame, zones: tuple[str, ...]) -> pl.Series:
    """For each row of `wanted`, which has the columns `key` and among them `tzid`, the zone of the sites that S4 uses.

    `sites` as `states.s4.sites.load_sites` gives them. The row's own zone where the merchant has a site there, the
    nearest of its zones where it has none; where it has no site at all S4 refuses, and the row keeps its zone.
    """
    asked = wanted.select(key).unique().sort(key)
    pools = build_pools(asked, key, sites.with_row_index("row"), zones, redirect=True)
    found = wanted.join(pools.keys.select(*key, "tzid_used"), on=key, how="left", maintain_order="left")
    return found.select(pl.coalesce("tzid_used", "tzid")).to_series()
