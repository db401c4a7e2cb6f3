"""What 5B publishes (contracts §5)."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from segment5b_lib.contract.dataset import (
    CODED,
    FLAG,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    MF,
    PART_FILE,
    SCENARIO,
    SEED,
    TEXT,
    TS,
    UINT64,
    WALL,
    Dataset,
    fields,
)

SERIES_KEY: Final = ("merchant_id", "legal_country_iso", "zone_representation", "channel_group")
"""Identity of a series within a scenario; also the domain of its random streams."""
LOCAL_COLUMNS: Final = ("ts_local_primary", "ts_local_settlement", "ts_local_operational")
"""The local times of an arrival: wall clock, or the same digits marked as UTC."""
_SERIES = {"merchant_id": UINT64, "legal_country_iso": TEXT, "zone_representation": TEXT, "channel_group": TEXT}
_SERIES_BUCKET = {
    "merchant_id": UINT64,
    "legal_country_iso": CODED,
    "zone_representation": CODED,
    "channel_group": CODED,
    "bucket_index": INT32,
}


def arrival_schema(*, utc_marked: bool) -> pa.Schema:
    """Columns of `arrival_events_5B`.

    `utc_marked` gives the published encoding, in which wall-clock digits are stored as if they were UTC
    instants (the defect that gate T12 sees); otherwise local times are `WALL`.
    """
    local = TS if utc_marked else WALL
    return pa.schema(
        [
            pa.field("merchant_id", UINT64, nullable=False),
            pa.field("legal_country_iso", CODED, nullable=False),
            pa.field("zone_representation", CODED, nullable=False),
            pa.field("channel_group", CODED, nullable=False),
            pa.field("bucket_index", INT32, nullable=False),
            pa.field("arrival_seq", INT64, nullable=False),
            pa.field("ts_utc", TS, nullable=False),
            pa.field("tzid_primary", CODED, nullable=False),
            pa.field("ts_local_primary", local, nullable=False),
            pa.field("tzid_settlement", CODED),
            pa.field("ts_local_settlement", local),
            pa.field("tzid_operational", CODED),
            pa.field("ts_local_operational", local),
            pa.field("is_virtual", FLAG, nullable=False),
            pa.field("site_id", UINT64),
            pa.field("edge_id", UINT64),
            pa.field("routing_universe_hash", CODED, nullable=False),
        ]
    )


def _output(
    dataset_id: str,
    key: tuple[str, ...],
    schema: pa.Schema | None,
    *,
    name: str,
    file: str = PART_FILE,
    seeded: bool = True,
    per_scenario: bool = True,
) -> Dataset:
    partitions = (SEED if seeded else MF) + (SCENARIO if per_scenario else "")
    return Dataset(dataset_id, "5B", f"data/layer2/5B/{name}/{partitions}", file, key, schema)


OUTPUTS: Final[tuple[Dataset, ...]] = (
    _output(
        "s0_gate_receipt_5B",
        (),
        None,
        name="s0_gate_receipt",
        file="s0_gate_receipt_5B.json",
        seeded=False,
        per_scenario=False,
    ),
    _output(
        "sealed_inputs_5B",
        ("owner_segment", "artifact_id"),
        None,
        name="sealed_inputs",
        file="sealed_inputs_5B.json",
        seeded=False,
        per_scenario=False,
    ),
    _output(
        "s1_time_grid_5B",
        ("bucket_index",),
        fields(
            bucket_index=INT32,
            bucket_start_utc=TS,
            bucket_end_utc=TS,
            bucket_duration_seconds=INT32,
            scenario_is_baseline=FLAG,
            scenario_is_stress=FLAG,
            scenario_labels=pa.list_(TEXT),
            local_day_of_week=INT8,
            local_minutes_since_midnight=INT16,
            is_weekend=FLAG,
        ),
        name="s1_time_grid",
        file="s1_time_grid_5B.parquet",
        seeded=False,
    ),
    _output(
        "s1_grouping_5B",
        SERIES_KEY,
        fields(
            **_SERIES,
            group_id=TEXT,
            scenario_band=TEXT,
            demand_class=TEXT,
            virtual_band=TEXT,
            zone_group_id=TEXT,
            series_id=pa.uint32(),
        ),
        name="s1_grouping",
        file="s1_grouping_5B.parquet",
        seeded=False,
    ),
    _output(
        "s2_realised_intensity_5B",
        (*SERIES_KEY, "bucket_index"),
        fields(**_SERIES_BUCKET, lambda_baseline=FLOAT32, lambda_random_component=FLOAT32, lambda_realised=FLOAT64),
        name="s2_realised_intensity",
    ),
    _output(
        "s2_latent_field_5B",
        ("group_id", "bucket_index"),
        fields(group_id=CODED, bucket_index=INT32, latent_value=FLOAT64, latent_mean=FLOAT64, latent_std=FLOAT64),
        name="s2_latent_field",
    ),
    _output(
        "s3_bucket_counts_5B",
        (*SERIES_KEY, "bucket_index"),
        fields(**_SERIES_BUCKET, mu=FLOAT64, kappa=FLOAT64, count_N=INT32, count_capped=FLAG, count_law_id=CODED),
        name="s3_bucket_counts",
    ),
    _output(
        "arrival_events_5B", ("merchant_id", "arrival_seq"), arrival_schema(utc_marked=False), name="arrival_events"
    ),
    _output(
        "s4_arrival_summary_5B",
        (*SERIES_KEY, "bucket_index"),
        fields(**_SERIES_BUCKET, count_N=INT32, count_physical=INT32, count_virtual=INT32, first_arrival_seq=INT64),
        name="arrival_summary",
    ),
    _output(
        "s4_arrival_anomalies_5B",
        ("anomaly_id",),
        fields(anomaly_id=INT64, anomaly_code=TEXT, severity=TEXT, context=TEXT, message=TEXT),
        name="arrival_anomalies",
        file="s4_arrival_anomalies_5B.parquet",
    ),
)
"""5B outputs. The S5 bundle is a folder with an index of its own: see the bundle-layout policy."""
