"""What 1A to 3B write: merchants, sites with clocks and weights, zones, and how online trade is served."""

from __future__ import annotations

import iso18245
import numpy as np
import pyarrow as pa

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.identity import canonical_json, sha256_hex, site_id
from segment5b_lib.kernel.alias import build_alias_slices
from segment5b_lib.store.alias_blob import ALIGNMENT, PROBABILITY_BITS, encode_slices
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.sites import QUANTISED_BITS
from segment5b_lib.world.stage import Stage, named, site_key, zone_key


def write_1a(plan: Plan, stage: Stage) -> None:
    """1A: the merchants and how many outlets each has, as evidence in its bundle."""
    merchants, series, cells = plan.merchants, plan.series, plan.cells
    outlets = np.add.reduceat(series.sites, series.starts[:-1])
    names = {entry.mcc: iso18245.get_mcc(entry.mcc).iso_description for entry in merchants.category}
    roster = [
        {
            "merchant_id": int(merchants.ids[m]),
            "mcc": entry.mcc,
            "mcc_name": names[entry.mcc],
            "demand_class": entry.demand_class,
            "channel_group": entry.channel_group,
            "home_country_iso": cells.country[merchants.home[m]],
            "outlets": int(outlets[m]),
        }
        for m, entry in enumerate(merchants.category)
    ]
    stage.member("1A", "merchants.json", roster)


def write_1b(plan: Plan, stage: Stage) -> None:
    """1B: where the sites stand."""
    sites = plan.sites
    stage.table("site_locations", {**site_key(plan), "lon_deg": sites.lon_deg, "lat_deg": sites.lat_deg})
    stage.member("1B", "summary.json", {"sites": len(sites), "merchants": len(plan.merchants)})


def write_2a(plan: Plan, stage: Stage) -> None:
    """2A: the zone of each site, and the transition cache up to the year its knob says."""
    sites, knob = plan.sites, plan.spec.upstream.s2A
    stage.table(
        "site_timezones",
        {
            **site_key(plan),
            "tzid": named(plan.cells.tzid, plan.series.cell[sites.series]),
            "tzid_source": np.where(sites.hand_made, "override", "polygon"),
            "created_utc": [plan.spec.horizon.start_utc] * len(sites),
        },
    )
    encoded = tz_cache.encode(tz_cache.compile_zones(plan.cells.tzid, knob.last_transition_year))
    stage.file("tz_timetable_cache").write_bytes(encoded)
    stage.config("2A", knob.model_dump(mode="json"))
    zones = len(set(plan.cells.tzid))
    stage.member("2A", "summary.json", {"sites": len(sites), "cached_zones": zones, **knob.model_dump()})


def write_3a(plan: Plan, stage: Stage) -> None:
    """3A: how many sites each merchant has in each country and zone."""
    series, cells = plan.series, plan.cells
    country = np.unique(np.array(cells.country), return_inverse=True)[1][series.cell]
    _, group = np.unique(series.merchant * len(cells) + country, return_inverse=True)
    in_country = np.bincount(group, weights=series.sites).astype(np.int64)[group]
    rows = [
        [int(m), cells.country[c], cells.tzid[c], int(n)]
        for m, c, n in zip(plan.merchants.ids[series.merchant], series.cell, series.sites, strict=True)
    ]
    universe = sha256_hex(canonical_json(["3A.routing_universe", rows]))
    stage.table(
        "zone_alloc",
        {
            **zone_key(plan),
            "zone_site_count": series.sites,
            "site_count": in_country,
            "routing_universe_hash": np.full(len(series), universe),
        },
    )
    stage.member("3A", "summary.json", {"series": len(series), "routing_universe_hash": universe})


def write_2b(plan: Plan, stage: Stage) -> None:
    """2B: site weights, their alias tables, and the zone weights of every day."""
    weights, merchants, knob = plan.site_weights, plan.merchants, plan.spec.upstream.s2B
    stage.table(
        "s1_site_weights",
        {
            **site_key(plan),
            "p_weight": weights.weight,
            "weight_source": np.full(len(weights.weight), "cell_demand"),
            "quantised_bits": np.full(len(weights.weight), QUANTISED_BITS),
            "floor_applied": weights.floored,
        },
    )
    prob_q, alias = build_alias_slices(weights.weight, weights.starts)
    blob, slices = encode_slices(prob_q, alias, weights.starts)
    stage.file("s2_alias_blob").write_bytes(blob)
    index = {
        "layout": "alias-slices-v1",
        "endianness": "little",
        "alignment_bytes": ALIGNMENT,
        "prob_bits": PROBABILITY_BITS,
        "quantised_bits": QUANTISED_BITS,
        "blob_sha256": sha256_hex(blob),
        "blob_size_bytes": len(blob),
        "merchants": [
            {"merchant_id": int(m), "offset": s.offset, "length": s.length, "sites": s.rows, "checksum": s.checksum}
            for m, s in zip(merchants.ids, slices, strict=True)
        ],
    }
    stage.file("s2_alias_index").write_bytes(canonical_json(index) + b"\n")
    _write_group_weights(plan, stage)
    stage.config("2B", knob.model_dump(mode="json"))
    stage.member("2B", "summary.json", {"sites": len(weights.weight), "floored": int(weights.floored.sum())})


def _write_group_weights(plan: Plan, stage: Stage) -> None:
    """Rows by (merchant, day, zone), from arrays by (merchant, zone, day)."""
    groups, days = plan.group_weights, plan.spec.horizon.utc_days
    rows, day = np.divmod(np.arange(groups.p_group.size), len(days))
    order = np.lexsort((rows, day, groups.merchant[rows]))
    rows, day = rows[order], day[order]
    stage.table(
        "s4_group_weights",
        {
            "merchant_id": plan.merchants.ids[groups.merchant[rows]],
            "utc_day": named(tuple(days), day),
            "tz_group_id": named(groups.tzid, rows),
            "p_group": groups.p_group[rows, day],
            "base_share": groups.base_share[rows],
            "gamma": groups.gamma[rows, day],
        },
    )


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
