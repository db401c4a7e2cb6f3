"""All that the expansion of one scenario reads, in flat tables.

An arrival's zone is that of its row (`_by_row`), or drawn from 2B's weights (`_by_group`). Either gives site pools and
zone draws, so that no later step distinguishes the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from segment5b_lib.arrays import I32, I64
from segment5b_lib.contract.policies import RoutingPolicy
from segment5b_lib.contract.upstream import SITE_KEY
from segment5b_lib.kernel.arrival_tables import VIRTUAL, ZONE_DRAWN, Grid, Pools, SeriesTable, Tables, ZoneDraws
from segment5b_lib.kernel.streams import ARRIVAL_EDGE_PICK, ARRIVAL_SITE_PICK, ARRIVAL_TIME, stream_keys
from segment5b_lib.model.pools import MERCHANT_COUNTRY_ZONE, MERCHANT_ZONE, SitePools, build_pools
from segment5b_lib.model.zones import days_of_buckets, no_zone_draws, zone_draws
from segment5b_lib.states.context import Context
from segment5b_lib.states.s4.civil_time import check_zones, zone_offsets
from segment5b_lib.states.s4.counts import CountFiles
from segment5b_lib.states.s4.merchants import (
    Codes,
    MerchantRouting,
    check_virtual,
    edge_table,
    merchant_routing,
    merchant_table,
    site_table,
)
from segment5b_lib.states.s4.routing_inputs import RoutingInputs, load_group_weights
from segment5b_lib.states.series import SeriesDomain
from segment5b_lib.store.columns import dictionary, word_codes


@dataclass(frozen=True)
class ZoneBinding:
    """Site pools of a scenario, and how an arrival gets its pool.

    `series_pool` int32 [series] is the pool of a series' physical arrivals, or ZONE_DRAWN; `draws` are the zone tables
    by merchant and day; `missing_weights` counts merchant-days that need zone weights and have none.
    """

    pools: SitePools
    series_pool: I32
    draws: ZoneDraws
    missing_weights: int


def _by_row(
    policy: RoutingPolicy, domain: SeriesDomain, routing: MerchantRouting, sites: pl.DataFrame, days: int
) -> ZoneBinding:
    """The zone is the row's own: one pool per (merchant, country, zone) of the series, no draw."""
    series = domain.frame.rename({"zone_representation": "tzid"})
    pools = _pools(policy, series, MERCHANT_COUNTRY_ZONE, routing, sites)
    numbered = pools.keys.select(MERCHANT_COUNTRY_ZONE).with_row_index("pool")
    pool = series.join(numbered, on=MERCHANT_COUNTRY_ZONE, how="left", maintain_order="left")["pool"]
    series_pool = pool.cast(pl.Int32).fill_null(ZONE_DRAWN).to_numpy()
    return ZoneBinding(pools, series_pool, no_zone_draws(routing.merchants.height, days), 0)


def _by_group(
    policy: RoutingPolicy,
    domain: SeriesDomain,
    routing: MerchantRouting,
    sites: pl.DataFrame,
    weights: pl.DataFrame,
    days: list[str],
    arrivals: I64,
) -> ZoneBinding:
    """The zone is drawn per arrival from 2B's weights of (merchant, UTC day); one pool per (merchant, zone) of them.

    `weights` as `routing_inputs.load_group_weights` gives them; `days` are YYYY-MM-DD; `arrivals` is int64
    [merchant, day].
    """
    pools = _pools(policy, weights, MERCHANT_ZONE, routing, sites)
    busy = (arrivals > 0) & (routing.merchants["mode"] != VIRTUAL).to_numpy()[:, None]
    keys, merchants = pools.keys.select(MERCHANT_ZONE), routing.merchants["merchant_id"].to_numpy()
    tilt, rules = policy.concentration_temper, policy.fail_closed_rules
    draws = zone_draws(weights, keys, merchants, days, busy, tilt, rules)
    series_pool = np.full(len(domain), ZONE_DRAWN, np.int32)
    return ZoneBinding(pools, series_pool, draws, int((busy & (draws.size == 0)).sum()))


def _pools(
    policy: RoutingPolicy, rows: pl.DataFrame, key: list[str], routing: MerchantRouting, sites: pl.DataFrame
) -> SitePools:
    """Pools of the distinct keys of `rows` whose merchants may have physical arrivals."""
    keys = rows.select(key).unique().sort(key).join(routing.physical, on="merchant_id", maintain_order="left")
    numbered = routing.sites.select(SITE_KEY).with_row_index("row")
    all_sites = sites.join(numbered, on=SITE_KEY, how="left", maintain_order="left")
    redirect = policy.fail_closed_rules.site_missing_in_zone == "anomaly"
    return build_pools(keys.select(key), key, all_sites, redirect=redirect)


@dataclass(frozen=True)
class ScenarioTables:
    """Kernel tables of one scenario, the dictionaries behind their codes, and the site pools.

    `active` are the zones of arrivals and of settlement; `missing_group_weights` counts merchant-days that need
    zone weights and have none.
    """

    tables: Tables
    codes: Codes
    pools: SitePools
    active: tuple[str, ...]
    missing_group_weights: int


def build_tables(
    context: Context, inputs: RoutingInputs, domain: SeriesDomain, grid: Grid, counts: CountFiles
) -> ScenarioTables:
    """Tables of one scenario; every rule that can be checked before compute is."""
    policy = context.run.policies.routing
    routing = merchant_routing(domain, inputs.sites, inputs.virtual)
    check_virtual(routing, np.asarray(counts.cell.any(axis=1)), policy.fail_closed_rules)
    check_zones(inputs.cache, routing.active_zones, policy)
    days, day = days_of_buckets(grid, domain.buckets)
    if policy.bound_to_row:
        binding = _by_row(policy, domain, routing, inputs.sites, len(days))
    else:
        weights = load_group_weights(context.run.world, routing.physical["merchant_id"])
        binding = _by_group(policy, domain, routing, inputs.sites, weights, days, _by_day(counts, day))
    codes = Codes(
        dictionary(domain.frame["legal_country_iso"], routing.sites["legal_country_iso"]),
        dictionary(domain.frame["zone_representation"], binding.pools.keys["tzid"], routing.active_zones),
        dictionary(domain.frame["channel_group"]),
    )
    tables = Tables(
        grid=grid,
        merchants=merchant_table(domain, routing, codes),
        series=_series_table(context, domain, binding.series_pool, codes),
        sites=site_table(routing, codes),
        pools=_pool_table(binding.pools, codes),
        zones=binding.draws,
        edges=edge_table(routing, codes),
        offsets=zone_offsets(inputs.cache, codes.zones, routing.active_zones, grid, domain.buckets),
        day=day,
        p_virtual=policy.hybrid_policy.p_virtual_hybrid,
    )
    return ScenarioTables(tables, codes, binding.pools, routing.active_zones, binding.missing_weights)


def _by_day(counts: CountFiles, day: I32) -> I64:
    """Arrivals int64 [merchant, day]; `day` is int32 [bucket]."""
    first_bucket = np.flatnonzero(np.diff(day, prepend=-1))
    return np.add.reduceat(counts.cell, first_bucket, axis=1, dtype=np.int64)


def _pool_table(pools: SitePools, codes: Codes) -> Pools:
    return Pools(
        start=pools.keys["start"].to_numpy(),
        size=pools.keys["size"].cast(pl.Int32).to_numpy(),
        zone=word_codes(pools.keys["tzid"], codes.zones),
        unroutable=pools.keys["unroutable"].to_numpy(),
        share=pools.share,
        choice=pools.choice,
    )


def _series_table(context: Context, domain: SeriesDomain, pool: I32, codes: Codes) -> SeriesTable:
    frame = domain.frame.rename({"zone_representation": "tzid"})
    keys = domain.keys()
    time_key, pick_key, edge_key = (
        stream_keys(family, context.run.receipt.rng_root, context.run.receipt.seed, domain.scenario_id, keys)
        for family in (ARRIVAL_TIME, ARRIVAL_SITE_PICK, ARRIVAL_EDGE_PICK)
    )
    return SeriesTable(
        country=word_codes(frame["legal_country_iso"], codes.countries),
        zone=word_codes(frame["tzid"], codes.zones),
        channel=word_codes(frame["channel_group"], codes.channels),
        pool=pool,
        time_key=time_key,
        pick_key=pick_key,
        edge_key=edge_key,
    )
