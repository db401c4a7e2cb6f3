"""Where the arrivals of one series in one bucket happen: at a site, or at an edge.

Uniforms of draw j in bucket b, from block (j, b) of the family:

    S4.arrival_site_pick   u0  the hybrid coin, virtual where u0 < p; else u0' = (u0 − p)/(1 − p) goes on
                           u0  the zone, where it is drawn and not given
                           u1  the site within the zone
    S4.arrival_edge_pick   u0  the edge of a virtual arrival

A series of a merchant that is only virtual draws no site block.
"""

from __future__ import annotations

import numpy as np

from segment5b_lib.arrays import I32, U64
from segment5b_lib.kernel._jit import inner_jit
from segment5b_lib.kernel.alias import pick
from segment5b_lib.kernel.arrival_tables import HYBRID, VIRTUAL, ZONE_DRAWN, Edges, Pools, ZoneDraws
from segment5b_lib.kernel.philox import philox2x64, philox_lanes, u01

NO_SITE = -1
"""Status: an arrival has no site to go to."""
LEAST_U = 2.0**-53
GREATEST_U = 1.0 - 2.0**-53


@inner_jit
def draw_edge(draw: int, bucket: int, key: np.uint64, edges: Edges, merchant: int) -> int:
    word, _ = philox2x64(np.uint64(draw), np.uint64(bucket), key)
    return pick(u01(word), edges.share, edges.choice, edges.start[merchant], edges.size[merchant])


@inner_jit
def draw_pool(u: float, zones: ZoneDraws, merchant: int, day: int) -> int:
    """Pool of the zone that a merchant's arrival has on a day."""
    return pick(u, zones.share, zones.choice, zones.start[merchant, day], zones.size[merchant, day])


@inner_jit
def draw_site(u: float, pools: Pools, pool: int) -> int:
    """Row of the site within a pool that is not empty."""
    return pick(u, pools.share, pools.choice, pools.start[pool], pools.size[pool])


@inner_jit
def rescale(u: float, p: float) -> float:
    """What is left of a uniform ``u`` ≥ ``p`` after the coin, clamped into the open interval."""
    return min(max((u - p) / (1.0 - p), LEAST_U), GREATEST_U)


@inner_jit
def place_series(
    count: int,
    bucket: int,
    day: int,
    merchant: int,
    mode: int,
    p_virtual: float,
    bound_pool: int,
    pick_key: np.uint64,
    edge_key: np.uint64,
    zones: ZoneDraws,
    pools: Pools,
    edges: Edges,
    lane0: U64,
    lane1: U64,
    places: I32,
    unroutable: I32,
) -> int:
    """Fill ``places[:count]`` with site rows, or ~edge row for virtual arrivals; return how many are virtual.

    ``unroutable``, by zone code, counts arrivals whose zone has no site of the merchant. Returns NO_SITE as
    soon as such an arrival's pool is empty; places are undefined then. The lanes are working memory.
    """
    if mode == VIRTUAL:
        for j in range(count):
            places[j] = ~draw_edge(j, bucket, edge_key, edges, merchant)
        return count
    virtual = 0
    for first in range(0, count, lane0.size):
        blocks = min(lane0.size, count - first)
        philox_lanes(first, blocks, bucket, pick_key, lane0, lane1)
        for i in range(blocks):
            u = u01(lane0[i])
            if mode == HYBRID:
                if u < p_virtual:
                    places[first + i] = ~draw_edge(first + i, bucket, edge_key, edges, merchant)
                    virtual += 1
                    continue
                u = rescale(u, p_virtual)
            pool = draw_pool(u, zones, merchant, day) if bound_pool == ZONE_DRAWN else bound_pool
            if pools.unroutable[pool]:
                unroutable[pools.zone[pool]] += 1
                if pools.size[pool] == 0:
                    return NO_SITE
            places[first + i] = draw_site(u01(lane1[i]), pools, pool)
    return virtual
