"""What 3B writes: how merchants are served, where online trade settles, edges and their alias tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.identity import sha256_hex, site_id
from segment5b_lib.store.alias_blob import encode_slices
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.stage import Stage, named


def write_3b(plan: Plan, stage: Stage) -> None:
    """3B: classification, settlement, edges and their alias tables. The universe hash is over all of them."""
    merchants, rules, edges = plan.merchants, plan.rules, plan.edges
    modes = [rule.mode for rule in rules]
    stage.table(
        "virtual_classification_3B",
        {
            "merchant_id": merchants.ids,
            "is_virtual": [mode != VirtualMode.NON_VIRTUAL for mode in modes],
            "virtual_mode": [mode.value for mode in modes],
            "decision_reason": [f"mcc {e.mcc}, {e.channel_group}" for e in merchants.category],
            "rule_id": [rule.rule_id for rule in rules],
        },
    )
    _write_settlement(plan, stage)
    places = plan.cells.places
    stage.table(
        "edge_catalogue_3B",
        {
            "merchant_id": merchants.ids[edges.merchant],
            "edge_id": [f"{value:016x}" for value in edges.edge_id.tolist()],
            "edge_seq_index": edges.seq,
            "country_iso": named(plan.cells.country, edges.cell),
            "lat_deg": places.lat_deg[edges.place],
            "lon_deg": places.lon_deg[edges.place],
            "tzid_operational": named(plan.cells.tzid, edges.cell),
            "edge_weight": edges.weight,
        },
    )
    _write_edge_alias(plan, stage)
    stage.config("3B", plan.spec.upstream.s3B.model_dump(mode="json"))
    counts = {mode.value: modes.count(mode) for mode in VirtualMode}
    stage.member("3B", "summary.json", {"edges": len(edges.weight), "merchants": counts})


def _write_settlement(plan: Plan, stage: Stage) -> None:
    """Online trade settles at the first site of the head office."""
    merchants, series, cells, sites = plan.merchants, plan.series, plan.cells, plan.sites
    served = [m for m, rule in enumerate(plan.rules) if rule.mode != VirtualMode.NON_VIRTUAL]
    at_home = np.flatnonzero(series.cell == merchants.home[series.merchant])
    own = at_home[np.searchsorted(series.merchant[at_home], served)]
    first = np.searchsorted(sites.series, own)
    home = merchants.home[served]
    ids = [
        site_id(int(merchants.ids[m]), cells.country[c], int(order))
        for m, c, order in zip(served, home, sites.order[first], strict=True)
    ]
    stage.table(
        "virtual_settlement_3B",
        {
            "merchant_id": merchants.ids[served],
            "settlement_site_id": pa.array(ids, pa.uint64()),
            "lat_deg": sites.lat_deg[first],
            "lon_deg": sites.lon_deg[first],
            "tzid_settlement": named(cells.tzid, home),
            "tz_source": ["site_timezones"] * len(served),
        },
    )


def _write_edge_alias(plan: Plan, stage: Stage) -> None:
    edges = plan.edges
    blob, slices = encode_slices(*edges.alias_tables(), edges.starts)
    stage.file("edge_alias_blob_3B").write_bytes(blob)
    merchants = plan.merchants.ids[edges.merchant[edges.starts[:-1]]].tolist()
    rows = len(edges.weight)
    stage.table(
        "edge_alias_index_3B",
        {
            "scope": ["GLOBAL", *["MERCHANT"] * len(slices)],
            "merchant_id": [None, *merchants],
            "blob_offset_bytes": [None, *(s.offset for s in slices)],
            "blob_length_bytes": [len(blob), *(s.length for s in slices)],
            "edge_count_total": [rows, *(s.rows for s in slices)],
            "alias_table_length": [None, *(s.rows for s in slices)],
            "merchant_alias_checksum": [None, *(s.checksum for s in slices)],
            "blob_sha256_hex": [sha256_hex(blob), *[None] * len(slices)],
        },
    )
