"""Site pools: the sites that one answer to "which zone" leads to, as alias tables in flat arrays.

Under `group_weights` a pool is a merchant's sites in a zone, in all countries; under `row_zone` its sites in
one country and zone. Within a pool a site's chance is its p_weight, renormalised; sites are in (country,
site_order) order. A site without weight is no site to route to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.kernel.alias import build_alias_slices, picking
from segment5b_lib.kernel.arrival_tables import Pools
from segment5b_lib.states.s4.codes import encode
from segment5b_lib.states.s4.nearest_zone import nearest_zones

ZONE: Final = ["merchant_id", "tzid"]
ROW: Final = ["merchant_id", "legal_country_iso", "tzid"]


@dataclass(frozen=True)
class PoolTable:
    """The pools, and `keys`: one row per pool with its key columns, `tzid_used` (null: none) and `size`."""

    pools: Pools
    keys: pl.DataFrame


@dataclass(frozen=True)
class _Slices:
    """Sites in pool order with their alias tables; `frame` has key columns, `start`, `size`."""

    frame: pl.DataFrame
    share: NDArray[np.float64]
    choice: NDArray[np.int32]


def build_pools(
    wanted: pl.DataFrame, key: list[str], sites: pl.DataFrame, zones: tuple[str, ...], *, redirect: bool
) -> PoolTable:
    """One pool per row of `wanted`, which has the columns `key` and no row twice.

    `sites` are all sites of the world with their row in the site table in `row` (null for merchants without
    series); `zones` is the dictionary of zone codes. Where a key has no site its pool is astray: with
    `redirect` it holds the merchant's sites in the nearest of its zones, if it has any; otherwise it is
    empty.
    """
    routable = sites.filter((pl.col("p_weight") > 0) & pl.col("row").is_not_null())
    exact, by_zone = _slices(routable, key), _slices(routable, ZONE)
    keys = wanted.join(exact.frame, on=key, how="left", maintain_order="left").with_columns(
        tzid_used=pl.when(pl.col("size").is_not_null()).then("tzid")
    )
    astray = keys["size"].is_null()
    if redirect and astray.any():
        keys = _redirected(keys, by_zone.frame, sites, routable, len(exact.share))
    pools = Pools(
        start=keys["start"].fill_null(0).to_numpy().astype(np.int64),
        size=keys["size"].fill_null(0).to_numpy().astype(np.int32),
        zone=encode(keys["tzid"], zones),
        astray=astray.to_numpy().astype(np.bool_),
        share=np.concatenate([exact.share, by_zone.share]),
        choice=np.concatenate([exact.choice, by_zone.choice]),
    )
    return PoolTable(pools, keys)


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
    """Keys with the slice of the nearest zone where they have none of their own."""
    lost = keys.filter(pl.col("size").is_null())
    nearest = lost.with_columns(nearest=nearest_zones(lost, sites, routable)).join(
        by_zone, left_on=["merchant_id", "nearest"], right_on=ZONE, how="left", suffix="_near", maintain_order="left"
    )
    names = [name for name in keys.columns if name not in ("start", "size", "tzid_used")]
    found = nearest.select(*names, start=pl.col("start_near") + offset, size="size_near", tzid_used="nearest")
    return keys.update(found, on=names, how="left", maintain_order="left")
