"""Where arrivals can go: modes, edges and zone weights, of a sealed world or of one that is only thought of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.civil_time.cache import TzCache
from segment5b_lib.model.pools import SITE_COLUMNS, joined_sites
from segment5b_lib.store.worlds import World
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.reopen import reopened_spec

Changes = Mapping[str, Mapping[str, Any]]
"""Knobs of upstream segments: segment to dotted key to value, as `segment5b world reopen --set` takes them."""


@dataclass(frozen=True, eq=False)
class RoutingTables:
    """What routing reads of 2A, 2B and 3B.

    `modes` has merchant_id (u64), virtual_mode; `edges` merchant_id, tzid, share (of the merchant's online
    arrivals); `zones` are all names that an arrival can have. `group_weights` has merchant_id, utc_day, tzid,
    p_group and, like `sites` (`model.pools.joined_sites`), is made when first asked for: few policies do. `plan` is
    that of a world that is only thought of.
    """

    modes: pl.DataFrame
    edges: pl.DataFrame
    cache: TzCache
    zones: tuple[str, ...]
    world: World
    plan: Plan | None = None

    @cached_property
    def group_weights(self) -> pl.DataFrame:
        """2B's zone weights per merchant and UTC day: those of the plan, else as they were sealed."""
        if self.plan is not None:
            return _planned_weights(self.plan)
        columns = ["merchant_id", "utc_day", "tz_group_id", "p_group"]
        return self.world.frame("s4_group_weights", columns).rename({"tz_group_id": "tzid"})

    @cached_property
    def sites(self) -> pl.DataFrame:
        """All sites with their zones, weights and places; no reopening changes them."""
        return joined_sites({name: self.world.frame(name, columns) for name, columns in SITE_COLUMNS.items()})


def tables_of_world(world: World) -> RoutingTables:
    """The tables as they were sealed."""
    edges = world.frame("edge_catalogue_3B", ["merchant_id", "tzid_operational", "edge_weight"])
    sites = world.frame("site_timezones", ["tzid"])
    (path,) = world.files("tz_timetable_cache")
    return RoutingTables(
        modes=world.frame("virtual_classification_3B", ["merchant_id", "virtual_mode"]),
        edges=_shares(edges.rename({"tzid_operational": "tzid", "edge_weight": "weight"})),
        cache=tz_cache.decode(path.read_bytes(), f"tz_timetable_cache: {path.name}"),
        zones=tuple(sorted({*sites["tzid"].unique(), *edges["tzid_operational"].unique()})),
        world=world,
    )


def tables_reopened(world: World, changes: Changes) -> RoutingTables:
    """The tables that the world would have with 2A, 2B or 3B reopened; nothing is written.

    They are those that `world.reopen.reopen_world` seals: edges and weights are drawn from streams that are keyed
    by merchant, so a change of the rules leaves those of other merchants as they are.
    """
    spec = reopened_spec(world, changes)
    plan = Plan(spec)
    tzids, ids = np.array(plan.cells.tzid), plan.merchants.ids
    edges = pl.DataFrame(
        {"merchant_id": ids[plan.edges.merchant], "tzid": tzids[plan.edges.cell], "weight": plan.edges.weight},
        schema_overrides={"merchant_id": pl.UInt64, "tzid": pl.String},
    )
    modes = [rule.mode.value for rule in plan.rules]
    zones = tuple(sorted(set(plan.cells.tzid)))
    return RoutingTables(
        modes=pl.DataFrame({"merchant_id": ids, "virtual_mode": modes}, schema_overrides={"merchant_id": pl.UInt64}),
        edges=_shares(edges),
        cache=tz_cache.compile_zones(zones, spec.upstream.s2A.last_transition_year),
        zones=zones,
        world=world,
        plan=plan,
    )


def _planned_weights(plan: Plan) -> pl.DataFrame:
    groups, days = plan.group_weights, plan.spec.horizon.utc_days
    rows = len(groups.tzid)
    return pl.DataFrame(
        {
            "merchant_id": np.repeat(plan.merchants.ids[groups.merchant], len(days)),
            "utc_day": np.tile(np.array(days), rows),
            "tzid": np.repeat(np.array(groups.tzid), len(days)),
            "p_group": groups.p_group.ravel(),
        },
        schema_overrides={"merchant_id": pl.UInt64},
    )


def _shares(edges: pl.DataFrame) -> pl.DataFrame:
    """Weights of edges added up by zone, as shares of the merchant's total, in key order."""
    by_zone = edges.group_by("merchant_id", "tzid").agg(pl.col("weight").sum()).sort("merchant_id", "tzid")
    share = pl.col("weight") / pl.col("weight").sum().over("merchant_id")
    return by_zone.select("merchant_id", "tzid", share=share)
