"""What 1A to 3A write: merchants, their sites, the sites' clocks and weights, and sites by zone."""

from __future__ import annotations

import iso18245
import numpy as np

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.identity import canonical_json, sha256_hex
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
