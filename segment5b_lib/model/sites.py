"""Sites that arrivals can be routed to: 2A's zone and 2B's weight of every site that 1B located."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from segment5b_lib.errors import InputError
from segment5b_lib.identity import site_id

SITE_KEY: Final = ["merchant_id", "legal_country_iso", "site_order"]
SITE_COLUMNS: Final = {
    "site_timezones": [*SITE_KEY, "tzid"],
    "s1_site_weights": [*SITE_KEY, "p_weight"],
    "site_locations": [*SITE_KEY, "lat_deg", "lon_deg"],
}
"""What is read of each dataset to make the sites."""


def joined_sites(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row per site in key order: key, tzid, p_weight, lat_deg, lon_deg, site_id (u64).

    `frames` has the columns `SITE_COLUMNS` of each dataset, rows in any order.

    Raises
    ------
    InputError : ``5B.S4.ROUTING_ROW_MISSING`` for a site that one of the three datasets does not have
    """
    sites = frames["site_timezones"].sort(SITE_KEY)
    for name, frame in frames.items():
        _same_keys(sites, frame.sort(SITE_KEY), name)
        if name != "site_timezones":
            sites = sites.join(frame, on=SITE_KEY, validate="1:1", maintain_order="left")
    ids = [site_id(*key) for key in sites.select(SITE_KEY).iter_rows()]
    return sites.with_columns(site_id=pl.Series(ids, dtype=pl.UInt64))


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
