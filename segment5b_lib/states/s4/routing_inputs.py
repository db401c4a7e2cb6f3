"""The routing inputs of a world, read and verified: sites, zone weights, virtual routing, the transition cache.

Virtual routing is what segment 3B sealed: modes, settlement zones, edges and their alias tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from segment5b_lib.arrays import U32
from segment5b_lib.civil_time.cache import TzCache
from segment5b_lib.contract.policies import FailClosedRules
from segment5b_lib.errors import InputError
from segment5b_lib.identity import sha256_hex
from segment5b_lib.model.pools import SITE_COLUMNS, joined_sites
from segment5b_lib.states.context import Context
from segment5b_lib.states.s4.civil_time import load_cache
from segment5b_lib.store.alias_blob import decode_slice
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.worlds import World

_EDGE_UNIVERSE: Final = ("edge_catalogue_3B", "edge_alias_index_3B", "edge_alias_blob_3B")
_INDEX_COLUMNS: Final = (
    "scope",
    "merchant_id",
    "blob_offset_bytes",
    "blob_length_bytes",
    "edge_count_total",
    "merchant_alias_checksum",
    "blob_sha256_hex",
)


@dataclass(frozen=True)
class RoutingInputs:
    """The routing inputs of a world, the same for every scenario. `universes` are the hashes of 3A and 3B."""

    sites: pl.DataFrame
    virtual: VirtualRouting
    cache: TzCache
    universes: tuple[str, str]


def load_routing_inputs(context: Context) -> RoutingInputs:
    world, rules = context.run.world, context.run.policies.routing.fail_closed_rules
    virtual = load_virtual_routing(world, context.inputs, rules)
    universes = (routing_universe(world, rules), virtual.universe_hash)
    sites = joined_sites({name: world.frame(name, columns) for name, columns in SITE_COLUMNS.items()})
    return RoutingInputs(sites, virtual, load_cache(world), universes)


def load_group_weights(world: World, merchants: pl.Series) -> pl.DataFrame:
    """2B's zone weights of some merchants in key order: merchant_id, utc_day, tzid, p_group."""
    frame = world.frame("s4_group_weights", ["merchant_id", "utc_day", "tz_group_id", "p_group"])
    rows = frame.filter(pl.col("merchant_id").is_in(merchants.implode()))
    return rows.rename({"tz_group_id": "tzid"}).sort("merchant_id", "utc_day", "tzid")


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


@dataclass(frozen=True)
class VirtualRouting:
    """Virtual routing as 3B sealed it.

    `modes` has merchant_id, virtual_mode; `settlement` merchant_id, tzid_settlement; `edges` merchant_id,
    edge_id (u64), tzid_operational in (merchant, edge id) order, with the rows of the alias tables in
    `prob_q` and `alias`, uint32, alias entries counting from the merchant's first edge.
    """

    modes: pl.DataFrame
    settlement: pl.DataFrame
    edges: pl.DataFrame
    prob_q: U32
    alias: U32
    universe_hash: str


def load_virtual_routing(world: World, digests: Mapping[str, str], rules: FailClosedRules) -> VirtualRouting:
    """Read and verify; `digests` are the sealed SHA-256 by path of the files.

    Raises
    ------
    InputError : ``5B.S4.ROUTING_UNIVERSE_MISMATCH``, ``5B.S4.EDGE_ALIAS_MISMATCH``
    """
    edges = _edges(world)
    prob_q, alias = _alias_tables(world, edges, rules)
    return VirtualRouting(
        modes=world.frame("virtual_classification_3B", ["merchant_id", "virtual_mode"]),
        settlement=world.frame("virtual_settlement_3B", ["merchant_id", "tzid_settlement"]),
        edges=edges,
        prob_q=prob_q,
        alias=alias,
        universe_hash=_universe_hash(world, digests, rules),
    )


def _edges(world: World) -> pl.DataFrame:
    edges = world.frame("edge_catalogue_3B", ["merchant_id", "edge_id", "tzid_operational"])
    number = pl.Series([int(text, 16) for text in edges["edge_id"]], dtype=pl.UInt64)
    return edges.with_columns(edge_id=number).sort("merchant_id", "edge_id")


def _universe_hash(world: World, digests: Mapping[str, str], rules: FailClosedRules) -> str:
    """3B's hash; the hash document, the routing policy and the files it is over must agree."""
    document = read_json(world.files("edge_universe_hash_3B")[0])
    policy = read_json(world.files("virtual_routing_policy_3B")[0])
    declared = document["universe_hash"]
    if policy["edge_universe_hash"] != declared and rules.routing_universe_mismatch == "error":
        raise _universe("virtual_routing_policy_3B", declared, policy["edge_universe_hash"])
    for dataset_id in _EDGE_UNIVERSE:
        declared_file = document.get("components", {}).get(dataset_id)
        for path in world.files(dataset_id):
            sealed = digests[path.relative_to(world.root).as_posix()]
            if sealed != declared_file and rules.routing_universe_mismatch == "error":
                raise _universe(dataset_id, declared_file, sealed)
    return str(declared)


def _universe(dataset_id: str, expected: object, found: object) -> InputError:
    return InputError(
        "5B.S4.ROUTING_UNIVERSE_MISMATCH",
        "edges and the universe hash that binds them do not belong together",
        where=f"edge_universe_hash_3B against {dataset_id}",
        expected=expected,
        found=found,
        next_step="segment 3B must publish again; or rebuild the world",
    )


def _alias_tables(world: World, edges: pl.DataFrame, rules: FailClosedRules) -> tuple[U32, U32]:
    """The alias rows of every merchant's edges in edge order, each slice verified against the catalogue."""
    blob = world.files("edge_alias_blob_3B")[0].read_bytes()
    index = world.frame("edge_alias_index_3B", list(_INDEX_COLUMNS))
    whole = index.filter(pl.col("scope") == "GLOBAL")["blob_sha256_hex"].to_list()
    if whole != [sha256_hex(blob)] and rules.edge_alias_mismatch == "error":
        raise _mismatch("edge_alias_blob_3B, GLOBAL row", whole, sha256_hex(blob))
    slices = {row["merchant_id"]: row for row in index.filter(pl.col("scope") == "MERCHANT").to_dicts()}
    owners = edges.group_by("merchant_id", maintain_order=True).len().rows()
    tables = [_table(blob, slices.get(merchant), merchant, count, rules) for merchant, count in owners]
    empty = np.empty(0, np.uint32)
    return (
        np.concatenate([empty, *(prob_q for prob_q, _ in tables)]),
        np.concatenate([empty, *(alias for _, alias in tables)]),
    )


def _table(
    blob: bytes, row: dict[str, Any] | None, merchant: int, edges: int, rules: FailClosedRules
) -> tuple[U32, U32]:
    where = f"edge_alias_index_3B, merchant {merchant}"
    if row is None:
        raise _mismatch(where, f"a slice of {edges} edges", "none")
    try:
        prob_q, alias = decode_slice(
            blob, row["blob_offset_bytes"], row["blob_length_bytes"], row["merchant_alias_checksum"], where
        )
    except InputError as error:
        raise _mismatch(where, error.expected, error.found) from error
    if not len(prob_q) == row["edge_count_total"] == edges and rules.edge_alias_mismatch == "error":
        raise _mismatch(where, f"{edges} edges, as in edge_catalogue_3B", f"{len(prob_q)} alias rows")
    return prob_q, alias


def _mismatch(where: str, expected: object, found: object) -> InputError:
    return InputError(
        "5B.S4.EDGE_ALIAS_MISMATCH",
        "an alias table is not the one that the edges were sealed with",
        where=where,
        expected=expected,
        found=found,
        next_step="segment 3B must publish again; or rebuild the world",
    )
