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
    MF,
    PART_FILE,
    SCENARIO,
    SEED,
    TEXT,
    TS,
    UINT64,
    Dataset,
    fields,
)

_SITE = {"merchant_id": UINT64, "legal_country_iso": TEXT, "site_order": INT32}
SITE_KEY: Final = tuple(_SITE)
"""Columns that name a site in every dataset of sites."""
_ZONE = {"merchant_id": UINT64, "legal_country_iso": TEXT, "tzid": TEXT}
SURFACE_KEY: Final = (*_ZONE, "channel_group")
"""Columns that name a series of 5A's surface, in the order by which series are sorted."""


def _upstream(
    segment: str,
    dataset_id: str,
    key: tuple[str, ...] = (),
    schema: pa.Schema | None = None,
    *,
    name: str = "",
    file: str = PART_FILE,
    seeded: bool = True,
    per_scenario: bool = False,
    carries_mf: bool = False,
) -> Dataset:
    layer = "layer2" if segment == "5A" else "layer1"
    partitions = (SEED if seeded else MF) + (SCENARIO if per_scenario else "")
    folder = f"data/{layer}/{segment}/{name or dataset_id}/{partitions}"
    return Dataset(dataset_id, segment, folder, file, key, schema, carries_mf)


UPSTREAM: Final[tuple[Dataset, ...]] = (
    _upstream("1B", "site_locations", SITE_KEY, fields(**_SITE, lon_deg=FLOAT64, lat_deg=FLOAT64)),
    _upstream("2A", "site_timezones", SITE_KEY, fields(**_SITE, tzid=TEXT, tzid_source=TEXT, created_utc=TS)),
    _upstream("2A", "tz_timetable_cache", seeded=False, file="tz_cache_v1.bin"),
    _upstream(
        "2A",
        "tz_timetable_cache_json",
        name="tz_timetable_cache",
        seeded=False,
        file="tz_timetable_cache.json",
        carries_mf=True,
    ),
    _upstream(
        "2B",
        "s1_site_weights",
        SITE_KEY,
        fields(**_SITE, p_weight=FLOAT64, weight_source=TEXT, quantised_bits=INT32, floor_applied=FLAG),
    ),
    _upstream("2B", "s2_alias_index", file="index.json"),
    _upstream("2B", "s2_alias_blob", file="alias.bin"),
    _upstream(
        "2B",
        "s4_group_weights",
        ("merchant_id", "utc_day", "tz_group_id"),
        fields(merchant_id=UINT64, utc_day=TEXT, tz_group_id=TEXT, p_group=FLOAT64, base_share=FLOAT64, gamma=FLOAT64),
    ),
    _upstream(
        "3A",
        "zone_alloc",
        tuple(_ZONE),
        fields(**_ZONE, zone_site_count=INT32, site_count=INT32, routing_universe_hash=TEXT),
    ),
    _upstream(
        "3B",
        "virtual_classification_3B",
        ("merchant_id",),
        fields(merchant_id=UINT64, is_virtual=FLAG, virtual_mode=TEXT, decision_reason=TEXT, rule_id=TEXT),
        name="virtual_classification",
    ),
    _upstream(
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
        name="virtual_settlement",
    ),
    _upstream(
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
        name="edge_catalogue",
    ),
    _upstream(
        "3B",
        "edge_alias_index_3B",
        ("scope", "merchant_id"),
        pa.schema(
            [
                pa.field("scope", TEXT, nullable=False),
                pa.field("merchant_id", UINT64),
                pa.field("blob_offset_bytes", INT64),
                pa.field("blob_length_bytes", INT64, nullable=False),
                pa.field("edge_count_total", INT64, nullable=False),
                pa.field("alias_table_length", INT64),
                pa.field("merchant_alias_checksum", TEXT),
                pa.field("blob_sha256_hex", TEXT),
            ]
        ),
        name="edge_alias_index",
        file="edge_alias_index_3B.parquet",
    ),
    _upstream("3B", "edge_alias_blob_3B", name="edge_alias_blob", file="edge_alias_blob_3B.bin"),
    _upstream(
        "3B",
        "edge_universe_hash_3B",
        name="edge_universe_hash",
        seeded=False,
        file="edge_universe_hash_3B.json",
        carries_mf=True,
    ),
    _upstream(
        "3B",
        "virtual_routing_policy_3B",
        name="virtual_routing_policy",
        seeded=False,
        file="virtual_routing_policy_3B.json",
        carries_mf=True,
    ),
    _upstream(
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
        name="scenario_manifest",
        seeded=False,
        file="scenario_manifest_5A.parquet",
    ),
    _upstream(
        "5A",
        "merchant_zone_profile_5A",
        tuple(_ZONE),
        fields(**_ZONE, demand_class=TEXT, channel_group=TEXT, weekly_volume_expected=FLOAT64),
        name="merchant_zone_profile",
        seeded=False,
    ),
    _upstream(
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
        name="merchant_zone_scenario_local",
        seeded=False,
        per_scenario=True,
    ),
)
