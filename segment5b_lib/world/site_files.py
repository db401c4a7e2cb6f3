"""What 1A, 1B, 2A and 3A write: merchants, their sites, the sites' clocks, and sites by zone."""

from __future__ import annotations

import iso18245
import numpy as np

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.world.plan import Plan
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
    encoded = tz_cache.encode(tz_cache.build(plan.cells.tzid, knob.last_transition_year))
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
