"""What 5B publishes (contracts §5), and every dataset the segment reads or writes, by id."""

from __future__ import annotations

from functools import partial
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
    TEXT,
    TS,
    UINT64,
    WALL,
    Dataset,
    declare,
    fields,
    layer_of,
)
from segment5b_lib.contract.upstream import UPSTREAM
from segment5b_lib.errors import UsageError

SERIES_KEY: Final = ("merchant_id", "legal_country_iso", "zone_representation", "channel_group")
"""Identity of a series within a scenario; also the domain of its random streams."""
LOCAL_COLUMNS: Final = ("ts_local_primary", "ts_local_settlement", "ts_local_operational")
"""The local times of an arrival: wall clock, or the same digits marked as UTC."""
_SERIES = dict.fromkeys(SERIES_KEY, TEXT) | {"merchant_id": UINT64}
_SERIES_BUCKET = dict.fromkeys(SERIES_KEY, CODED) | {"merchant_id": UINT64, "bucket_index": INT32}


def arrival_schema(*, utc_marked: bool) -> pa.Schema:
    """Columns of `arrival_events_5B`.

    `utc_marked` gives the published encoding, in which wall-clock digits are stored as if they were UTC
    instants (the defect that gate T12 sees); otherwise local times are `WALL`.
    """
    local = TS if utc_marked else WALL
    optional = {
        "tzid_settlement",
        "ts_local_settlement",
        "tzid_operational",
        "ts_local_operational",
        "site_id",
        "edge_id",
    }
    return fields(
        optional,
        **_SERIES_BUCKET,
        arrival_seq=INT64,
        ts_utc=TS,
        tzid_primary=CODED,
        ts_local_primary=local,
        tzid_settlement=CODED,
        ts_local_settlement=local,
        tzid_operational=CODED,
        ts_local_operational=local,
        is_virtual=FLAG,
        site_id=UINT64,
        edge_id=UINT64,
        routing_universe_hash=CODED,
    )


_output = partial(declare, "5B")
_scenario_output = partial(declare, "5B", per_scenario=True)
OUTPUTS: Final[tuple[Dataset, ...]] = (
    _output("s0_gate_receipt_5B", file="s0_gate_receipt_5B.json", seeded=False),
    _output("sealed_inputs_5B", ("owner_segment", "artifact_id"), file="sealed_inputs_5B.json", seeded=False),
    _scenario_output(
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
        file="s1_time_grid_5B.parquet",
        seeded=False,
    ),
    _scenario_output(
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
        file="s1_grouping_5B.parquet",
        seeded=False,
    ),
    _scenario_output(
        "s2_realised_intensity_5B",
        (*SERIES_KEY, "bucket_index"),
        fields(**_SERIES_BUCKET, lambda_baseline=FLOAT32, lambda_random_component=FLOAT32, lambda_realised=FLOAT64),
    ),
    _scenario_output(
        "s2_latent_field_5B",
        ("group_id", "bucket_index"),
        fields(group_id=CODED, bucket_index=INT32, latent_value=FLOAT64, latent_mean=FLOAT64, latent_std=FLOAT64),
    ),
    _scenario_output(
        "s3_bucket_counts_5B",
        (*SERIES_KEY, "bucket_index"),
        fields(**_SERIES_BUCKET, mu=FLOAT64, kappa=FLOAT64, count_N=INT32, count_capped=FLAG, count_law_id=CODED),
    ),
    _scenario_output("arrival_events_5B", ("merchant_id", "arrival_seq"), arrival_schema(utc_marked=False)),
    _scenario_output(
        "s4_arrival_summary_5B",
        (*SERIES_KEY, "bucket_index"),
        fields(**_SERIES_BUCKET, count_N=INT32, count_physical=INT32, count_virtual=INT32, first_arrival_seq=INT64),
        name="arrival_summary",
    ),
    _scenario_output(
        "s4_arrival_anomalies_5B",
        ("anomaly_id",),
        fields(anomaly_id=INT64, anomaly_code=TEXT, severity=TEXT, context=TEXT, message=TEXT),
        name="arrival_anomalies",
        file="s4_arrival_anomalies_5B.parquet",
    ),
)
"""5B outputs. The S5 bundle is a folder with an index of its own: see the bundle-layout policy."""
DATASETS: Final = {d.dataset_id: d for d in (*UPSTREAM, *OUTPUTS)}
UPSTREAM_SEGMENTS: Final = ("1A", "1B", "2A", "2B", "3A", "3B", "5A")


def dataset(dataset_id: str) -> Dataset:
    """Look a dataset up by id; the error lists what exists."""
    try:
        return DATASETS[dataset_id]
    except KeyError:
        raise UsageError(
            "5B.CONTRACT.UNKNOWN_DATASET",
            f"there is no dataset {dataset_id!r}",
            expected=", ".join(sorted(DATASETS)),
            found=dataset_id,
        ) from None


def folder_of(dataset_id: str, *, mf: str, seed: int | None = None, scenario_id: str | None = None) -> str:
    """Folder of a dataset, relative to its root, with the tokens filled in."""
    return dataset(dataset_id).folder.format(mf=mf, seed=seed, scenario_id=scenario_id)


def validation_folder(segment: str, mf: str) -> str:
    """Folder in which a segment keeps its validation bundle and `_passed.flag`, relative to its root."""
    return f"data/{layer_of(segment)}/{segment}/validation/manifest_fingerprint={mf}"
