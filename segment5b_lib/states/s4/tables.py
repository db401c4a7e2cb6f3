"""All that the expansion of one scenario reads, brought together in flat tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.contract.policies import RoutingPolicy
from segment5b_lib.kernel.arrival_tables import (
    DRAWN,
    VIRTUAL,
    Grid,
    Pools,
    SeriesTable,
    Tables,
    ZoneDraws,
)
from segment5b_lib.kernel.streams import ARRIVAL_EDGE_PICK, ARRIVAL_SITE_PICK, ARRIVAL_TIME, stream_keys
from segment5b_lib.model.pools import MERCHANT_COUNTRY_ZONE, MERCHANT_ZONE, SitePools, build_pools
from segment5b_lib.model.sites import SITE_KEY
from segment5b_lib.model.zone_draws import days_of_buckets, no_zone_draws, zone_draws
from segment5b_lib.states.context import Context
from segment5b_lib.states.s4.civil_time import check_zones, zone_offsets
from segment5b_lib.states.s4.codes import Codes, dictionary, encode
from segment5b_lib.states.s4.counts import CountFiles
from segment5b_lib.states.s4.merchants import (
    MerchantRouting,
    check_online,
    edge_table,
    merchant_routing,
    merchant_table,
    site_table,
)
from segment5b_lib.states.s4.upstream import Upstream, load_group_weights
from segment5b_lib.states.series import SeriesDomain


@dataclass(frozen=True)
class ScenarioTables:
    """Kernel tables of one scenario, the dictionaries behind their codes, and the keys of the pools.

    `active` are the zones that an arrival can lie in; `missing_group_weights` counts merchant-days that need
    zone weights and have none.
    """

    tables: Tables
    codes: Codes
    pool_keys: pl.DataFrame
    active: tuple[str, ...]
    missing_group_weights: int

    def zone_used(self, series_key: Mapping[str, Any], tzid: str) -> str | None:
        """The zone whose sites a series' arrivals in `tzid` get; None where there is no site for them."""
        key = {**series_key, "tzid": tzid}
        names = [name for name in MERCHANT_COUNTRY_ZONE if name in self.pool_keys.columns]
        pools = self.pool_keys.filter(*(pl.col(name) == key[name] for name in names))
        used: str | None = pools["tzid_used"][0]
        return used


def build_tables(
    context: Context, upstream: Upstream, domain: SeriesDomain, grid: Grid, counts: CountFiles
) -> ScenarioTables:
    """Tables of one scenario, with every rule enforced that can be before compute."""
    policy = context.policies.routing
    routing = merchant_routing(domain, upstream.sites, upstream.online)
    check_online(routing, np.asarray(counts.cell.any(axis=1)), policy.fail_closed_rules)
    check_zones(upstream.cache, routing.active_zones, policy)
    weights = _group_weights(context, routing)
    codes = Codes(
        dictionary(domain.frame["legal_country_iso"], routing.sites["legal_country_iso"]),
        dictionary(domain.frame["zone_representation"], weights["tzid"], routing.active_zones),
        dictionary(domain.frame["channel_group"]),
    )
    pools = _pools(policy, domain, routing, upstream.sites, weights)
    days, day = days_of_buckets(grid, domain.buckets)
    busy = _drawn_days(policy, routing, day, counts)
    zones = _zone_tables(policy, routing, weights, pools, days, busy)
    tables = Tables(
        grid=grid,
        merchants=merchant_table(domain, routing, codes),
        series=_series_table(context, domain, pools, codes),
        sites=site_table(routing, codes),
        pools=_pool_table(pools, codes),
        zones=zones,
        edges=edge_table(routing, codes),
        offsets=zone_offsets(upstream.cache, codes.zones, routing.active_zones, grid, domain.buckets),
        day=day,
        p_virtual=policy.hybrid_policy.p_virtual_hybrid,
    )
    missing = int((busy & (zones.size == 0)).sum())
    return ScenarioTables(tables, codes, pools.keys, routing.active_zones, missing)


def _group_weights(context: Context, routing: MerchantRouting) -> pl.DataFrame:
    drawn = context.policies.routing.physical_router.zone_binding == "group_weights"
    return load_group_weights(context.world, routing.physical.filter(drawn)["merchant_id"])


def _pools(
    policy: RoutingPolicy,
    domain: SeriesDomain,
    routing: MerchantRouting,
    sites: pl.DataFrame,
    weights: pl.DataFrame,
) -> SitePools:
    """Pools of every (merchant, country, zone) of the series, or every (merchant, zone) of the zone weights."""
    key = MERCHANT_COUNTRY_ZONE if policy.physical_router.zone_binding == "row_zone" else MERCHANT_ZONE
    rows = domain.frame.rename({"zone_representation": "tzid"}) if key == MERCHANT_COUNTRY_ZONE else weights
    wanted = rows.select(key).unique().sort(key).join(routing.physical, on="merchant_id", maintain_order="left")
    numbered = routing.sites.select(SITE_KEY).with_row_index("row")
    everywhere = sites.join(numbered, on=SITE_KEY, how="left", maintain_order="left")
    redirect = policy.fail_closed_rules.site_missing_in_zone == "anomaly"
    return build_pools(wanted.select(key), key, everywhere, redirect=redirect)


def _pool_table(pools: SitePools, codes: Codes) -> Pools:
    return Pools(
        start=pools.keys["start"].to_numpy(),
        size=pools.keys["size"].cast(pl.Int32).to_numpy(),
        zone=encode(pools.keys["tzid"], codes.zones),
        astray=pools.keys["unroutable"].to_numpy(),
        share=pools.share,
        choice=pools.choice,
    )


def _series_table(context: Context, domain: SeriesDomain, pools: SitePools, codes: Codes) -> SeriesTable:
    frame = domain.frame.rename({"zone_representation": "tzid"})
    pool = np.full(len(domain), DRAWN, np.int32)
    if "legal_country_iso" in pools.keys.columns:
        numbered = pools.keys.select(MERCHANT_COUNTRY_ZONE).with_row_index("pool")
        bound = frame.join(numbered, on=MERCHANT_COUNTRY_ZONE, how="left", maintain_order="left")["pool"]
        pool = bound.cast(pl.Int32).fill_null(DRAWN).to_numpy()
    keys = domain.keys()
    time_key, pick_key, edge_key = (
        stream_keys(family, context.rng_root, context.seed, domain.scenario_id, keys)
        for family in (ARRIVAL_TIME, ARRIVAL_SITE_PICK, ARRIVAL_EDGE_PICK)
    )
    return SeriesTable(
        country=encode(frame["legal_country_iso"], codes.countries),
        zone=encode(frame["tzid"], codes.zones),
        channel=encode(frame["channel_group"], codes.channels),
        pool=pool,
        time_key=time_key,
        pick_key=pick_key,
        edge_key=edge_key,
    )


def _drawn_days(
    policy: RoutingPolicy, routing: MerchantRouting, day: NDArray[np.int32], counts: CountFiles
) -> NDArray[np.bool_]:
    """Merchant-days, bool [merchant, day], on which zones will be drawn."""
    first_bucket = np.flatnonzero(np.diff(day, prepend=-1))
    arrivals = np.add.reduceat(counts.cell, first_bucket, axis=1, dtype=np.int64)
    drawn = policy.physical_router.zone_binding == "group_weights"
    physical = (routing.merchants["mode"] != VIRTUAL).to_numpy()
    return np.asarray((arrivals > 0) & physical[:, None] & drawn, dtype=np.bool_)


def _zone_tables(
    policy: RoutingPolicy,
    routing: MerchantRouting,
    weights: pl.DataFrame,
    pools: SitePools,
    days: list[str],
    busy: NDArray[np.bool_],
) -> ZoneDraws:
    if policy.physical_router.zone_binding == "row_zone":
        return no_zone_draws(*busy.shape)
    return zone_draws(
        weights,
        pools.keys.select(MERCHANT_ZONE),
        routing.merchants["merchant_id"].to_numpy(),
        days,
        busy,
        policy.concentration_temper,
        policy.fail_closed_rules,
    )
