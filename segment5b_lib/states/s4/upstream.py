"""The routing inputs of a world, read and verified: sites, zone weights, online routing, the transition cache."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from segment5b_lib.civil_time.cache import TzCache
from segment5b_lib.contract.policies import FailClosedRules
from segment5b_lib.errors import InputError
from segment5b_lib.model.sites import SITE_COLUMNS, joined_sites
from segment5b_lib.states.context import Context
from segment5b_lib.states.s4.civil_time import load_cache
from segment5b_lib.states.s4.online import OnlineRouting, load_online_routing
from segment5b_lib.store.worlds import World


@dataclass(frozen=True)
class Upstream:
    """The routing inputs of a world, the same for every scenario. `universes` are the hashes of 3A and 3B."""

    sites: pl.DataFrame
    online: OnlineRouting
    cache: TzCache
    universes: tuple[str, str]


def load_upstream(context: Context) -> Upstream:
    """Read and verify sites, online routing and the transition cache."""
    world, rules = context.run.world, context.run.policies.routing.fail_closed_rules
    online = load_online_routing(world, context.inputs, rules)
    universes = (routing_universe(world, rules), online.universe_hash)
    sites = joined_sites({name: _frame(world, name, columns) for name, columns in SITE_COLUMNS.items()})
    return Upstream(sites, online, load_cache(world), universes)


def _frame(world: World, dataset_id: str, columns: list[str]) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(world.table(dataset_id, columns)))


def load_group_weights(world: World, merchants: pl.Series) -> pl.DataFrame:
    """2B's zone weights of some merchants in key order: merchant_id, utc_day, tzid, p_group."""
    frame = _frame(world, "s4_group_weights", ["merchant_id", "utc_day", "tz_group_id", "p_group"])
    own = frame.filter(pl.col("merchant_id").is_in(merchants.implode()))
    return own.rename({"tz_group_id": "tzid"}).sort("merchant_id", "utc_day", "tzid")


def routing_universe(world: World, rules: FailClosedRules) -> str:
    """3A's routing universe hash, which every row of zone_alloc carries."""
    column = world.table("zone_alloc", ["routing_universe_hash"])["routing_universe_hash"]
    hashes = sorted(set(column.to_pylist()))
    if len(hashes) != 1 and rules.routing_universe_mismatch == "error":
        raise InputError(
            "5B.S4.ROUTING_UNIVERSE_MISMATCH",
            "physical routing does not come from one universe",
            where="zone_alloc, column routing_universe_hash",
            expected="one hash in all rows",
            found=f"{len(hashes)}: {', '.join(hashes[:3])}",
            next_step="segment 3A must publish again; or rebuild the world",
        )
    return str(hashes[0])
