"""Every dataset the segment reads or writes: id, owner, path, columns, key (contracts §3 and §5).

Paths are POSIX and relative to a root: the world for upstream datasets, the run for 5B's own. `{seed}` is
the world's seed upstream and the run's seed in 5B; both roots use `{mf}` for the manifest fingerprint.
Hive folders (`seed=`, `manifest_fingerprint=`, `scenario_id=`) are readable as columns and are therefore
not stored in the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from segment5b_lib.errors import UsageError

TS: Final = pa.timestamp("us", tz="UTC")
"""An instant: microseconds since the epoch, UTC."""
WALL: Final = pa.timestamp("us")
"""What a clock on the wall showed: microseconds, no zone."""

_SEED = "seed={seed}/manifest_fingerprint={mf}"
_MF = "manifest_fingerprint={mf}"
_SCENARIO = "/scenario_id={scenario_id}"
PART_FILE: Final = "part-{part:06d}.parquet"


@dataclass(frozen=True)
class Dataset:
    """One dataset's contract.

    `folder` and `file` are templates; `schema` is None for files that are not Parquet. A dataset whose
    `file` holds ``{part`` may consist of several part files, in key order across them. `carries_mf` marks
    members that contain the fingerprint themselves and so cannot be part of what it is computed from.
    """

    dataset_id: str
    segment: str
    folder: str
    file: str
    key: tuple[str, ...] = ()
    schema: pa.Schema | None = None
    carries_mf: bool = False
    required: bool = True

    @property
    def layer(self) -> str:
        """`layer1` for segments 1A to 3B, `layer2` for 5A and 5B."""
        return "layer2" if self.segment.startswith("5") else "layer1"

    @property
    def template(self) -> str:
        """Folder and file as one path template."""
        return f"{self.folder}/{self.file}"

    @property
    def per_scenario(self) -> bool:
        """Whether the dataset has one folder per scenario."""
        return "{scenario_id}" in self.folder

    @property
    def in_parts(self) -> bool:
        """Whether the dataset may consist of several part files."""
        return "{part" in self.file


def _fields(**columns: pa.DataType) -> pa.Schema:
    """Schema of columns that are never null."""
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


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
    partitions = (_SEED if seeded else _MF) + (_SCENARIO if per_scenario else "")
    folder = f"data/{layer}/{segment}/{name or dataset_id}/{partitions}"
    return Dataset(dataset_id, segment, folder, file, key, schema, carries_mf)


def _output(
    dataset_id: str,
    key: tuple[str, ...],
    schema: pa.Schema | None,
    *,
    name: str,
    file: str = PART_FILE,
    seeded: bool = True,
    per_scenario: bool = True,
    required: bool = True,
) -> Dataset:
    partitions = (_SEED if seeded else _MF) + (_SCENARIO if per_scenario else "")
    return Dataset(dataset_id, "5B", f"data/layer2/5B/{name}/{partitions}", file, key, schema, required=required)


_u64, _text, _f64, _f32 = pa.uint64(), pa.string(), pa.float64(), pa.float32()
_i8, _i16, _i32, _i64, _flag = pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_()

_SITE = {"merchant_id": _u64, "legal_country_iso": _text, "site_order": _i32}
_SITE_KEY = tuple(_SITE)
_ZONE = {"merchant_id": _u64, "legal_country_iso": _text, "tzid": _text}

UPSTREAM: Final[tuple[Dataset, ...]] = (
    _upstream("1B", "site_locations", _SITE_KEY, _fields(**_SITE, lon_deg=_f64, lat_deg=_f64)),
    _upstream(
        "2A",
        "site_timezones",
        _SITE_KEY,
        _fields(**_SITE, tzid=_text, tzid_source=_text, created_utc=TS),
    ),
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
        _SITE_KEY,
        _fields(**_SITE, p_weight=_f64, weight_source=_text, quantised_bits=_i32, floor_applied=_flag),
    ),
    _upstream("2B", "s2_alias_index", file="index.json"),
    _upstream("2B", "s2_alias_blob", file="alias.bin"),
    _upstream(
        "2B",
        "s4_group_weights",
        ("merchant_id", "utc_day", "tz_group_id"),
        _fields(merchant_id=_u64, utc_day=_text, tz_group_id=_text, p_group=_f64, base_share=_f64, gamma=_f64),
    ),
    _upstream(
        "3A",
        "zone_alloc",
        tuple(_ZONE),
        _fields(**_ZONE, zone_site_count=_i32, site_count=_i32, routing_universe_hash=_text),
    ),
    _upstream(
        "3B",
        "virtual_classification_3B",
        ("merchant_id",),
        _fields(merchant_id=_u64, is_virtual=_flag, virtual_mode=_text, decision_reason=_text, rule_id=_text),
        name="virtual_classification",
    ),
    _upstream(
        "3B",
        "virtual_settlement_3B",
        ("merchant_id",),
        _fields(
            merchant_id=_u64,
            settlement_site_id=_u64,
            lat_deg=_f64,
            lon_deg=_f64,
            tzid_settlement=_text,
            tz_source=_text,
        ),
        name="virtual_settlement",
    ),
    _upstream(
        "3B",
        "edge_catalogue_3B",
        ("merchant_id", "edge_id"),
        _fields(
            merchant_id=_u64,
            edge_id=_text,
            edge_seq_index=_i32,
            country_iso=_text,
            lat_deg=_f64,
            lon_deg=_f64,
            tzid_operational=_text,
            edge_weight=_f64,
        ),
        name="edge_catalogue",
    ),
    _upstream(
        "3B",
        "edge_alias_index_3B",
        ("scope", "merchant_id"),
        pa.schema(
            [
                pa.field("scope", _text, nullable=False),
                pa.field("merchant_id", _u64),
                pa.field("blob_offset_bytes", _i64),
                pa.field("blob_length_bytes", _i64, nullable=False),
                pa.field("edge_count_total", _i64, nullable=False),
                pa.field("alias_table_length", _i64),
                pa.field("merchant_alias_checksum", _text),
                pa.field("blob_sha256_hex", _text),
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
        _fields(
            scenario_id=_text,
            scenario_version=_text,
            horizon_start_utc=TS,
            horizon_end_utc=TS,
            is_baseline=_flag,
            is_stress=_flag,
            labels=pa.list_(_text),
        ),
        name="scenario_manifest",
        seeded=False,
        file="scenario_manifest_5A.parquet",
    ),
    _upstream(
        "5A",
        "merchant_zone_profile_5A",
        tuple(_ZONE),
        _fields(**_ZONE, demand_class=_text, channel_group=_text, weekly_volume_expected=_f64),
        name="merchant_zone_profile",
        seeded=False,
    ),
    _upstream(
        "5A",
        "merchant_zone_scenario_local_5A",
        (*_ZONE, "local_horizon_bucket_index"),
        _fields(
            **_ZONE,
            local_horizon_bucket_index=_i32,
            lambda_local_scenario=_f32,
            channel_group=_text,
            overlay_factor_total=_f32,
        ),
        name="merchant_zone_scenario_local",
        seeded=False,
        per_scenario=True,
    ),
)

SERIES_KEY: Final = ("merchant_id", "legal_country_iso", "zone_representation", "channel_group")
"""Identity of a series within a scenario; also the domain of its random streams."""
_SERIES = {
    "merchant_id": _u64,
    "legal_country_iso": _text,
    "zone_representation": _text,
    "channel_group": _text,
}
_coded = pa.dictionary(_i32, _text)
_SERIES_BUCKET = {
    "merchant_id": _u64,
    "legal_country_iso": _coded,
    "zone_representation": _coded,
    "channel_group": _coded,
    "bucket_index": _i32,
}


def arrival_schema(*, utc_marked: bool) -> pa.Schema:
    """Columns of `arrival_events_5B`.

    `utc_marked` gives the published encoding, in which wall-clock digits are stored as if they were UTC
    instants (the defect that gate T12 sees); otherwise local times are `WALL`.
    """
    local = TS if utc_marked else WALL
    return pa.schema(
        [
            pa.field("merchant_id", _u64, nullable=False),
            pa.field("legal_country_iso", _coded, nullable=False),
            pa.field("zone_representation", _coded, nullable=False),
            pa.field("channel_group", _coded, nullable=False),
            pa.field("bucket_index", _i32, nullable=False),
            pa.field("arrival_seq", _i64, nullable=False),
            pa.field("ts_utc", TS, nullable=False),
            pa.field("tzid_primary", _coded, nullable=False),
            pa.field("ts_local_primary", local, nullable=False),
            pa.field("tzid_settlement", _coded),
            pa.field("ts_local_settlement", local),
            pa.field("tzid_operational", _coded),
            pa.field("ts_local_operational", local),
            pa.field("is_virtual", _flag, nullable=False),
            pa.field("site_id", _u64),
            pa.field("edge_id", _u64),
            pa.field("routing_universe_hash", _coded, nullable=False),
        ]
    )


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
        _fields(
            bucket_index=_i32,
            bucket_start_utc=TS,
            bucket_end_utc=TS,
            bucket_duration_seconds=_i32,
            scenario_is_baseline=_flag,
            scenario_is_stress=_flag,
            scenario_labels=pa.list_(_text),
            local_day_of_week=_i8,
            local_minutes_since_midnight=_i16,
            is_weekend=_flag,
        ),
        name="s1_time_grid",
        file="s1_time_grid_5B.parquet",
        seeded=False,
    ),
    _output(
        "s1_grouping_5B",
        SERIES_KEY,
        _fields(
            **_SERIES,
            group_id=_text,
            scenario_band=_text,
            demand_class=_text,
            virtual_band=_text,
            zone_group_id=_text,
            series_id=pa.uint32(),
        ),
        name="s1_grouping",
        file="s1_grouping_5B.parquet",
        seeded=False,
    ),
    _output(
        "s2_realised_intensity_5B",
        (*SERIES_KEY, "bucket_index"),
        _fields(**_SERIES_BUCKET, lambda_baseline=_f32, lambda_random_component=_f32, lambda_realised=_f64),
        name="s2_realised_intensity",
    ),
    _output(
        "s2_latent_field_5B",
        ("group_id", "bucket_index"),
        _fields(group_id=_coded, bucket_index=_i32, latent_value=_f64, latent_mean=_f64, latent_std=_f64),
        name="s2_latent_field",
        required=False,
    ),
    _output(
        "s3_bucket_counts_5B",
        (*SERIES_KEY, "bucket_index"),
        _fields(**_SERIES_BUCKET, mu=_f64, kappa=_f64, count_N=_i32, count_capped=_flag, count_law_id=_coded),
        name="s3_bucket_counts",
    ),
    _output(
        "arrival_events_5B",
        ("merchant_id", "arrival_seq"),
        arrival_schema(utc_marked=False),
        name="arrival_events",
    ),
    _output(
        "s4_arrival_summary_5B",
        (*SERIES_KEY, "bucket_index"),
        _fields(**_SERIES_BUCKET, count_N=_i32, count_physical=_i32, count_virtual=_i32, first_arrival_seq=_i64),
        name="arrival_summary",
    ),
    _output(
        "s4_arrival_anomalies_5B",
        ("anomaly_id",),
        _fields(anomaly_id=_i64, anomaly_code=_text, severity=_text, context=_text, message=_text),
        name="arrival_anomalies",
        file="s4_arrival_anomalies_5B.parquet",
    ),
)
"""5B outputs. The S5 bundle is a folder with an index of its own: see the bundle-layout policy."""

DATASETS: Final[dict[str, Dataset]] = {d.dataset_id: d for d in (*UPSTREAM, *OUTPUTS)}

VALIDATION_FOLDER: Final = "data/{layer}/{segment}/validation/manifest_fingerprint={mf}"
"""Where a segment keeps its validation bundle and `_passed.flag`."""
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
