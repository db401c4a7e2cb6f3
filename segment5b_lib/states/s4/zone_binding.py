"""What decides an arrival's zone: its own row (`by_row`), or a draw from 2B's weights (`by_group`).

Either gives the site pools and the zone draws of a scenario, so that nothing after it asks which of the two it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.contract.policies import RoutingPolicy
from segment5b_lib.kernel.arrival_tables import DRAWN, VIRTUAL, ZoneDraws
from segment5b_lib.model.pools import MERCHANT_COUNTRY_ZONE, MERCHANT_ZONE, SitePools, build_pools
from segment5b_lib.model.sites import SITE_KEY
from segment5b_lib.model.zone_draws import no_zone_draws, zone_draws
from segment5b_lib.states.s4.merchants import MerchantRouting
from segment5b_lib.states.series import SeriesDomain


@dataclass(frozen=True)
class ZoneBinding:
    """Site pools of a scenario, and what leads to them.

    `series_pool` int32 [series] is the pool of a series' physical arrivals, or DRAWN; `draws` are the zone tables by
    merchant and day; `missing_weights` counts merchant-days that need zone weights and have none.
    """

    pools: SitePools
    series_pool: NDArray[np.int32]
    draws: ZoneDraws
    missing_weights: int


def by_row(
    policy: RoutingPolicy, domain: SeriesDomain, routing: MerchantRouting, sites: pl.DataFrame, days: int
) -> ZoneBinding:
    """The zone is the row's own: one pool per (merchant, country, zone) of the series, no draw."""
    series = domain.frame.rename({"zone_representation": "tzid"})
    pools = _pools(policy, series, MERCHANT_COUNTRY_ZONE, routing, sites)
    numbered = pools.keys.select(MERCHANT_COUNTRY_ZONE).with_row_index("pool")
    pool = series.join(numbered, on=MERCHANT_COUNTRY_ZONE, how="left", maintain_order="left")["pool"]
    series_pool = pool.cast(pl.Int32).fill_null(DRAWN).to_numpy()
    return ZoneBinding(pools, series_pool, no_zone_draws(routing.merchants.height, days), 0)


def by_group(
    policy: RoutingPolicy,
    domain: SeriesDomain,
    routing: MerchantRouting,
    sites: pl.DataFrame,
    weights: pl.DataFrame,
    days: list[str],
    arrivals: NDArray[np.int64],
) -> ZoneBinding:
    """The zone is drawn per arrival from 2B's weights of (merchant, UTC day); one pool per (merchant, zone) of them.

    `weights` as `routing_inputs.load_group_weights` gives them; `days` are YYYY-MM-DD; `arrivals` is int64
    [merchant, day].
    """
    pools = _pools(policy, weights, MERCHANT_ZONE, routing, sites)
    physical = (routing.merchants["mode"] != VIRTUAL).to_numpy()
    busy = (arrivals > 0) & physical[:, None]
    draws = zone_draws(
        weights,
        pools.keys.select(MERCHANT_ZONE),
        routing.merchants["merchant_id"].to_numpy(),
        days,
        busy,
        policy.concentration_temper,
        policy.fail_closed_rules,
    )
    series_pool = np.full(len(domain), DRAWN, np.int32)
    return ZoneBinding(pools, series_pool, draws, int((busy & (draws.size == 0)).sum()))


def _pools(
    policy: RoutingPolicy, rows: pl.DataFrame, key: list[str], routing: MerchantRouting, sites: pl.DataFrame
) -> SitePools:
    """Pools of the distinct keys of `rows` whose merchants may have physical arrivals."""
    wanted = rows.select(key).unique().sort(key).join(routing.physical, on="merchant_id", maintain_order="left")
    numbered = routing.sites.select(SITE_KEY).with_row_index("row")
    everywhere = sites.join(numbered, on=SITE_KEY, how="left", maintain_order="left")
    redirect = policy.fail_closed_rules.site_missing_in_zone == "anomaly"
    return build_pools(wanted.select(key), key, everywhere, redirect=redirect)
