"""What the seven upstream segments hand over (contracts §3)."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from segment5b_lib.contract.dataset import (
    FLAG,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    TEXT,
    TS,
    UINT64,
    Dataset,
    declare,
    fields,
)

_SITE = {"merchant_id": UINT64, "legal_country_iso": TEXT, "site_order": INT32}
SITE_KEY: Final = tuple(_SITE)
"""Columns that name a site in every dataset of sites."""
_ZONE = {"merchant_id": UINT64, "legal_country_iso": TEXT, "tzid": TEXT}
SURFACE_KEY: Final = (*_ZONE, "channel_group")
"""Columns that name a series of 5A's surface, in the order by which series are sorted."""

UPSTREAM: Final[tuple[Dataset, ...]] = (
    declare("1B", "site_locations", SITE_KEY, fields(**_SITE, lon_deg=FLOAT64, lat_deg=FLOAT64)),
    declare("2A", "site_timezones", SITE_KEY, fields(**_SITE, tzid=TEXT, tzid_source=TEXT, created_utc=TS)),
    declare("2A", "tz_timetable_cache", seeded=False, file="tz_cache_v1.bin"),
    declare(
        "2A",
        "tz_timetable_cache_json",
        name="tz_timetable_cache",
        seeded=False,
        file="tz_timetable_cache.json",
        carries_mf=True,
    ),
    declare(
        "2B",
        "s1_site_weights",
        SITE_KEY,
        fields(**_SITE, p_weight=FLOAT64, weight_source=TEXT, quantised_bits=INT32, floor_applied=FLAG),
    ),
    declare("2B", "s2_alias_index", file="index.json"),
    declare("2B", "s2_alias_blob", file="alias.bin"),
    declare(
        "2B",
        "s4_group_weights",
        ("merchant_id", "utc_day", "tz_group_id"),
        fields(merchant_id=UINT64, utc_day=TEXT, tz_group_id=TEXT, p_group=FLOAT64, base_share=FLOAT64, gamma=FLOAT64),
    ),
    declare(
        "3A",
        "zone_alloc",
        tuple(_ZONE),
        fields(**_ZONE, zone_site_count=INT32, site_count=INT32, routing_universe_hash=TEXT),
    ),
    declare(
        "3B",
        "virtual_classification_3B",
        ("merchant_id",),
        fields(merchant_id=UINT64, is_virtual=FLAG, virtual_mode=TEXT, decision_reason=TEXT, rule_id=TEXT),
    ),
    declare(
        "3B",
        "virtual_settlement_3B",
        ("merchant_id",),
        fields(
            merchant_id=UINT64,
            settlement_site_id=UINT64,
            lat_deg=FLOAT64,
            lon_deg=FLOAT64,
            tzid_settlement=TEXT,
            tz_source=TEXT,
        ),
    ),
    declare(
        "3B",
        "edge_catalogue_3B",
        ("merchant_id", "edge_id"),
        fields(
            merchant_id=UINT64,
            edge_id=TEXT,
            edge_seq_index=INT32,
            country_iso=TEXT,
            lat_deg=FLOAT64,
            lon_deg=FLOAT64,
            tzid_operational=TEXT,
            edge_weight=FLOAT64,
        ),
    ),
    declare(
        "3B",
        "edge_alias_index_3B",
        ("scope", "merchant_id"),
        fields(
            {"merchant_id", "blob_offset_bytes", "alias_table_length", "merchant_alias_checksum", "blob_sha256_hex"},
            scope=TEXT,
            merchant_id=UINT64,
            blob_offset_bytes=INT64,
            blob_length_bytes=INT64,
            edge_count_total=INT64,
            alias_table_length=INT64,
            merchant_alias_checksum=TEXT,
            blob_sha256_hex=TEXT,
        ),
        file="edge_alias_index_3B.parquet",
    ),
    declare("3B", "edge_alias_blob_3B", file="edge_alias_blob_3B.bin"),
    declare("3B", "edge_universe_hash_3B", seeded=False, file="edge_universe_hash_3B.json", carries_mf=True),
    declare("3B", "virtual_routing_policy_3B", seeded=False, file="virtual_routing_policy_3B.json", carries_mf=True),
    declare(
        "5A",
        "scenario_manifest_5A",
        ("scenario_id",),
        fields(
            scenario_id=TEXT,
            scenario_version=TEXT,
            horizon_start_utc=TS,
            horizon_end_utc=TS,
            is_baseline=FLAG,
            is_stress=FLAG,
            labels=pa.list_(TEXT),
        ),
        seeded=False,
        file="scenario_manifest_5A.parquet",
    ),
    declare(
        "5A",
        "merchant_zone_profile_5A",
        tuple(_ZONE),
        fields(**_ZONE, demand_class=TEXT, channel_group=TEXT, weekly_volume_expected=FLOAT64),
        seeded=False,
    ),
    declare(
        "5A",
        "merchant_zone_scenario_local_5A",
        (*_ZONE, "local_horizon_bucket_index"),
        fields(
            **_ZONE,
            local_horizon_bucket_index=INT32,
            lambda_local_scenario=FLOAT32,
            channel_group=TEXT,
            overlay_factor_total=FLOAT32,
        ),
        seeded=False,
        per_scenario=True,
    ),
)
