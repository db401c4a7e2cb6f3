"""The sites that arrivals can be routed to, and pools of them: the sites of one zone as alias tables in flat arrays.

A site is in 1B, with 2A's zone and 2B's weight. Under `group_weights` a pool is a merchant's sites in a zone, in all
countries; under `row_zone` its sites in one country and zone. Within a pool a site's chance is its p_weight,
renormalised; sites are in (country, site_order) order. No arrival is routed to a site without weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from segment5b_lib.arrays import F64, I32
from segment5b_lib.contract.upstream import SITE_KEY
from segment5b_lib.errors import InputError
from segment5b_lib.identity import site_id
from segment5b_lib.kernel.alias import build_alias_slices, picking

SITE_COLUMNS: Final = {
    "site_timezones": [*SITE_KEY, "tzid"],
    "s1_site_weights": [*SITE_KEY, "p_weight"],
    "site_locations": [*SITE_KEY, "lat_deg", "lon_deg"],
}
"""Columns that `joined_sites` reads of each dataset."""


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


MERCHANT_ZONE: Final = ["merchant_id", "tzid"]
"""Key of a pool under `group_weights`."""
MERCHANT_COUNTRY_ZONE: Final = ["merchant_id", "legal_country_iso", "tzid"]
"""Key of a pool under `row_zone`."""
_AXES: Final = ("x", "y", "z")


@dataclass(frozen=True)
class SitePools:
    """Pools with their alias tables.

    Attributes
    ----------
    key : names of the key columns
    keys : one row per pool with its key columns, `tzid_used` (the zone of its sites, null if it has none),
        `start`, `size` (i64) and `unroutable` (bool: the merchant has no site at the key itself)
    share : ndarray(float64, ndim=1), alias thresholds; a pool's are at [start, start + size)
    choice : ndarray(int32, ndim=1), rows of the site table, two per entry as of `kernel.alias.picking`
    """

    key: list[str]
    keys: pl.DataFrame
    share: F64
    choice: I32

    def zone_used(self, key: Mapping[str, Any]) -> str | None:
        """The zone of the sites in the pool of a key; None if it is empty. `key` may have further columns."""
        pools = self.keys.filter(*(pl.col(name) == key[name] for name in self.key))
        used: str | None = pools["tzid_used"][0]
        return used


@dataclass(frozen=True)
class _Slices:
    """Sites in pool order with their alias tables; `frame` has key columns, `start`, `size`."""

    frame: pl.DataFrame
    share: F64
    choice: I32


def build_pools(wanted: pl.DataFrame, key: list[str], sites: pl.DataFrame, *, redirect: bool) -> SitePools:
    """One pool per row of `wanted`, which has the columns `key` and no row twice.

    `sites` are all sites of the world with their row in the site table in `row` (null for merchants without
    series). A key without a site is unroutable: with `redirect` its pool holds the merchant's sites in the nearest
    of its zones, if it has any; otherwise it is empty.
    """
    routable = sites.filter((pl.col("p_weight") > 0) & pl.col("row").is_not_null())
    exact, by_zone = _slices(routable, key), _slices(routable, MERCHANT_ZONE)
    keys = wanted.join(exact.frame, on=key, how="left", maintain_order="left").with_columns(
        tzid_used=pl.when(pl.col("size").is_not_null()).then("tzid"), unroutable=pl.col("size").is_null()
    )
    if redirect and keys["unroutable"].any():
        keys = _redirected(keys, by_zone.frame, sites, routable, len(exact.share))
    return SitePools(
        key,
        keys.with_columns(pl.col("start", "size").fill_null(0)),
        np.concatenate([exact.share, by_zone.share]),
        np.concatenate([exact.choice, by_zone.choice]),
    )


def _slices(routable: pl.DataFrame, key: list[str]) -> _Slices:
    ordered = routable.sort([*key, "legal_country_iso", "site_order"])
    sizes = ordered.group_by(key, maintain_order=True).agg(size=pl.len().cast(pl.Int64))
    frame = sizes.with_columns(start=pl.col("size").cum_sum() - pl.col("size"))
    starts = np.append(frame["start"].to_numpy(), ordered.height).astype(np.int64)
    empty = np.empty(0, np.uint32)
    weights = ordered["p_weight"].to_numpy()
    tables = build_alias_slices(weights, starts) if ordered.height else (empty, empty)
    return _Slices(frame, *picking(*tables, starts, ordered["row"].cast(pl.Int32).to_numpy()))


def _redirected(
    keys: pl.DataFrame, by_zone: pl.DataFrame, sites: pl.DataFrame, routable: pl.DataFrame, offset: int
) -> pl.DataFrame:
    without = keys.filter("unroutable")
    nearest = without.with_columns(nearest=nearest_zones(without, sites, routable)).join(
        by_zone,
        left_on=["merchant_id", "nearest"],
        right_on=MERCHANT_ZONE,
        how="left",
        suffix="_near",
        maintain_order="left",
    )
    names = [name for name in keys.columns if name not in ("start", "size", "tzid_used", "unroutable")]
    redirected = nearest.select(*names, start=pl.col("start_near") + offset, size="size_near", tzid_used="nearest")
    return keys.update(redirected, on=names, how="left", maintain_order="left")


def destination_zones(wanted: pl.DataFrame, key: list[str], sites: pl.DataFrame) -> pl.Series:
    """For each row of `wanted`, which has the columns `key` and among them `tzid`, the zone of the sites that S4 uses.

    `sites` as `joined_sites` gives them. The row's own zone where the merchant has a site there, the nearest of its
    zones where it has none; where it has no site at all S4 refuses, and the row keeps its zone.
    """
    distinct = wanted.select(key).unique().sort(key)
    pools = build_pools(distinct, key, sites.with_row_index("row"), redirect=True)
    destination = wanted.join(pools.keys.select(*key, "tzid_used"), on=key, how="left", maintain_order="left")
    return destination.select(pl.coalesce("tzid_used", "tzid")).to_series()


def nearest_zones(wanted: pl.DataFrame, sites: pl.DataFrame, routable: pl.DataFrame) -> pl.Series:
    """For each wanted (merchant_id, tzid), the tzid among the merchant's own zones that is nearest, or null.

    Distance is the great circle between two centroids: of all sites in the wanted zone, of any merchant
    (`sites`), and of the merchant's own sites in a candidate zone (`routable`). The zone itself is nearest
    where the merchant has a site in it (in another country); among equals the first name is. Null where the
    merchant has no site at all, or no merchant has one in the wanted zone.
    """
    of_zone = _centroids(sites, ["tzid"])
    of_merchant = _centroids(routable, ["merchant_id", "tzid"])
    chosen: list[str | None] = []
    for merchant, tzid in wanted.select("merchant_id", "tzid").iter_rows():
        candidates = of_merchant.filter(pl.col("merchant_id") == merchant)
        target = of_zone.filter(pl.col("tzid") == tzid)
        if tzid in candidates["tzid"]:
            chosen.append(tzid)
        elif candidates.height and target.height:
            cosine = _directions(candidates) @ _directions(target)[0]
            chosen.append(candidates["tzid"][int(np.argmax(cosine))])
        else:
            chosen.append(None)
    return pl.Series(chosen, dtype=pl.String)


def _centroids(sites: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Mean of the sites' unit vectors per key, scaled to length 1, in key order."""
    ordered = sites.sort([*by, "lat_deg", "lon_deg"])
    starts = np.flatnonzero(ordered.select(pl.struct(by).rle_id()).to_series().diff().fill_null(1).to_numpy())
    lat, lon = np.radians(ordered["lat_deg"].to_numpy()), np.radians(ordered["lon_deg"].to_numpy())
    vectors = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    sums = np.add.reduceat(vectors, starts) if len(starts) else vectors
    unit = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return ordered.select(by)[starts].with_columns(*(pl.Series(name, unit[:, axis]) for axis, name in enumerate(_AXES)))


def _directions(centroids: pl.DataFrame) -> F64:
    return centroids.select(_AXES).to_numpy()
