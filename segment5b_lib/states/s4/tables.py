"""All that the expansion of one scenario reads, brought together in flat tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.kernel.arrival_tables import Grid, Pools, SeriesTable, Tables
from segment5b_lib.kernel.streams import ARRIVAL_EDGE_PICK, ARRIVAL_SITE_PICK, ARRIVAL_TIME, stream_keys
from segment5b_lib.model.pools import SitePools
from segment5b_lib.model.zone_draws import days_of_buckets
from segment5b_lib.states.context import Context
from segment5b_lib.states.s4.civil_time import check_zones, zone_offsets
from segment5b_lib.states.s4.counts import CountFiles
from segment5b_lib.states.s4.merchants import (
    Codes,
    check_online,
    edge_table,
    merchant_routing,
    merchant_table,
    site_table,
)
from segment5b_lib.states.s4.routing_inputs import RoutingInputs, load_group_weights
from segment5b_lib.states.s4.zone_binding import by_group, by_row
from segment5b_lib.states.series import SeriesDomain
from segment5b_lib.store.columns import dictionary, encode


@dataclass(frozen=True)
class ScenarioTables:
    """Kernel tables of one scenario, the dictionaries behind their codes, and the site pools.

    `active` are the zones that an arrival can lie in; `missing_group_weights` counts merchant-days that need
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
    """Tables of one scenario, with every rule enforced that can be before compute."""
    policy = context.run.policies.routing
    routing = merchant_routing(domain, inputs.sites, inputs.online)
    check_online(routing, np.asarray(counts.cell.any(axis=1)), policy.fail_closed_rules)
    check_zones(inputs.cache, routing.active_zones, policy)
    days, day = days_of_buckets(grid, domain.buckets)
    if policy.physical_router.zone_binding == "row_zone":
        binding = by_row(policy, domain, routing, inputs.sites, len(days))
    else:
        weights = load_group_weights(context.run.world, routing.physical["merchant_id"])
        binding = by_group(policy, domain, routing, inputs.sites, weights, days, _by_day(counts, day))
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


def _by_day(counts: CountFiles, day: NDArray[np.int32]) -> NDArray[np.int64]:
    """Arrivals int64 [merchant, day]; `day` is that of each bucket."""
    first_bucket = np.flatnonzero(np.diff(day, prepend=-1))
    return np.add.reduceat(counts.cell, first_bucket, axis=1, dtype=np.int64)


def _pool_table(pools: SitePools, codes: Codes) -> Pools:
    return Pools(
        start=pools.keys["start"].to_numpy(),
        size=pools.keys["size"].cast(pl.Int32).to_numpy(),
        zone=encode(pools.keys["tzid"], codes.zones),
        unroutable=pools.keys["unroutable"].to_numpy(),
        share=pools.share,
        choice=pools.choice,
    )


def _series_table(context: Context, domain: SeriesDomain, pool: NDArray[np.int32], codes: Codes) -> SeriesTable:
    frame = domain.frame.rename({"zone_representation": "tzid"})
    keys = domain.keys()
    time_key, pick_key, edge_key = (
        stream_keys(family, context.run.receipt.rng_root, context.run.receipt.seed, domain.scenario_id, keys)
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
