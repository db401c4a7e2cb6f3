"""A small run made by hand, without the engine: twenty zones, honest clocks, counts of a known law.

Truth comes from zoneinfo, NumPy's own generators and, for the offsets in the hour, the plain-Python streams. A test
takes the clean frames, plants one defect, writes the run and looks at one gate.
"""

from __future__ import annotations

import json
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.contract.datasets import arrival_schema, dataset
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.verdicts import GateResult, Measurement
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.table import gate
from segment5b_lib.identity import canonical_json, edge_id, site_id
from segment5b_lib.store.parquet import open_writer, write_table
from segment5b_lib.store.postures import load_posture, with_changes, write_policies
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from tests.reference.randomness import philox2x64, stream_key, uniform

SCENARIO = "baseline_v1"
START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp())
BUCKETS = (END - START) // 3600
MF, RUN_ID, SEED = "a" * 64, "b" * 32, 42
ZONES = (
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/London",
    "Europe/Madrid",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Asia/Jerusalem",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Shanghai",
    "Asia/Dubai",
    "Africa/Lagos",
    "America/Bogota",
    "America/Phoenix",
    "Asia/Singapore",
    "Etc/UTC",
)
"""The first ten change their clocks within the horizon."""
KAPPA = 6.0
SITE_WEIGHTS = (0.5, 0.3, 0.2)
EDGE_WEIGHTS = (0.75, 0.25)
"""Of every merchant's sites and edges, all in its zone."""
LOCALS = ("ts_local_primary", "ts_local_settlement", "ts_local_operational")
CHANGES = {
    # So small a run can only see weekend differences of a percentage point, and has thin windows.
    "validation.gates.T8.b.max": 1.5,
    "validation.gates.T8.bplus.max": 1.5,
    "validation.dst_window_min_total_support": 500,
    "validation.audit.min_expected": 0.5,
    "validation.audit.phase_min_arrivals": 3000,
    "placement.local_time_encoding": "wall_clock",
    "routing.zone_binding": "row_zone",
}


@dataclass(frozen=True)
class Frames:
    """Everything that a hand-made run consists of. `arrivals` keeps wall clocks as naive datetimes."""

    counts: pl.DataFrame
    intensity: pl.DataFrame
    arrivals: pl.DataFrame
    last_transition_year: int = 2028
    sidecar: dict[str, Any] = field(default_factory=dict)
    utc_marked: tuple[str, ...] = ()
    changes: dict[str, Any] = field(default_factory=dict)
    modes: tuple[str, ...] = ("NON_VIRTUAL", "HYBRID")
    scenarios: tuple[str, ...] = (SCENARIO,)

    def with_arrivals(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Frames:
        return replace(self, arrivals=change(self.arrivals))


def wall_clock(tzid: str, seconds: np.ndarray) -> np.ndarray:
    """True local seconds by zoneinfo, one distinct quarter of an hour at a time."""
    zone = zoneinfo.ZoneInfo(tzid)
    quarters, index = np.unique(seconds // 900, return_inverse=True)
    offsets = [
        int(datetime.fromtimestamp(int(q) * 900, UTC).astimezone(zone).utcoffset().total_seconds()) for q in quarters
    ]
    return seconds + np.array(offsets)[index]


@lru_cache(maxsize=1)
def clean() -> Frames:
    """Twenty merchants, one zone each, about 110,000 arrivals, 6 % of them virtual."""
    rng = np.random.default_rng(5)
    counts, arrivals = zip(*(_merchant(rng, i, tzid) for i, tzid in enumerate(ZONES)), strict=True)
    table = pl.concat(counts)
    intensity = table.select(
        "merchant_id",
        "legal_country_iso",
        "zone_representation",
        "channel_group",
        "bucket_index",
        lambda_baseline=pl.col("mu").cast(pl.Float32),
        lambda_random_component=pl.lit(1.0, pl.Float32),
        lambda_realised=pl.col("mu"),
    )
    return Frames(table, intensity, pl.concat(arrivals))


def _merchant(rng: np.random.Generator, index: int, tzid: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    starts = START + 3600 * np.arange(BUCKETS)
    local = wall_clock(tzid, starts)
    weekday, hour = (local // 86400 + 3) % 7, local // 3600 % 24
    mu = np.where((hour >= 7) & (hour < 22), 4.2 - 0.15 * np.abs(hour - 14), 0.0) * np.where(weekday >= 5, 0.7, 1.1)
    n = np.where(mu > 0, rng.negative_binomial(KAPPA, KAPPA / (KAPPA + mu)), 0)
    key = {
        "merchant_id": np.full(BUCKETS, index + 1, np.uint64),
        "legal_country_iso": ["GB"] * BUCKETS,
        "zone_representation": [tzid] * BUCKETS,
        "channel_group": ["mixed"] * BUCKETS,
        "bucket_index": np.arange(BUCKETS, dtype=np.int32),
    }
    counts = pl.DataFrame({**key, "mu": mu, "kappa": np.full(BUCKETS, KAPPA), "count_N": n.astype(np.int32)})
    bucket = np.repeat(np.arange(BUCKETS, dtype=np.int32), n)
    us = np.sort(_offsets((index + 1, "GB", tzid, "mixed"), n) + (START + 3600 * bucket.astype(np.int64)) * 10**6)
    return counts, _arrivals(rng, index + 1, tzid, bucket, us)


def _offsets(series: tuple[Any, ...], n: np.ndarray) -> np.ndarray:
    """Microseconds in the bucket of every arrival of a series, by the streams' definition."""
    key = stream_key("S4.arrival_time.v2", MF, SEED, SCENARIO, *series)
    draws = [(j, bucket) for bucket, count in enumerate(n.tolist()) for j in range(count)]
    return np.array([int(uniform(philox2x64(*draw, key)[0]) * 3_600_000_000) for draw in draws], np.int64)


def _arrivals(rng: np.random.Generator, merchant: int, tzid: str, bucket: np.ndarray, us: np.ndarray) -> pl.DataFrame:
    def wall(zone: str) -> pl.Series:
        return pl.Series(wall_clock(zone, us // 10**6) * 10**6 + us % 10**6).cast(pl.Datetime("us"))

    virtual = rng.random(us.size) < 0.06
    frame = pl.DataFrame(
        {
            "merchant_id": np.full(us.size, merchant, np.uint64),
            "bucket_index": bucket,
            "arrival_seq": np.arange(1, us.size + 1, dtype=np.int64),
            "ts_utc": pl.Series(us).cast(pl.Datetime("us", "UTC")),
            "ts_local_primary": wall(tzid),
            "ts_local_settlement": wall("Europe/London"),
            "ts_local_operational": wall(tzid),
            "is_virtual": virtual,
        }
    ).with_columns(
        legal_country_iso=pl.lit("GB"),
        zone_representation=pl.lit(tzid),
        channel_group=pl.lit("mixed"),
        tzid_primary=pl.lit(tzid),
        tzid_settlement=pl.lit("Europe/London"),
        tzid_operational=pl.lit(tzid),
        site_id=_picked(rng, us.size, [site_id(merchant, "GB", order) for order in (1, 2, 3)], SITE_WEIGHTS),
        edge_id=_picked(rng, us.size, [edge_id(merchant, seq) for seq in (0, 1)], EDGE_WEIGHTS),
        routing_universe_hash=pl.lit("c" * 64),
    )
    online = ("tzid_settlement", "ts_local_settlement", "tzid_operational", "ts_local_operational", "edge_id")
    return frame.with_columns(
        *(pl.when("is_virtual").then(pl.col(name)).alias(name) for name in online),
        pl.when(~pl.col("is_virtual")).then("site_id").alias("site_id"),
    )


def _picked(rng: np.random.Generator, size: int, ids: list[int], weights: tuple[float, ...]) -> pl.Series:
    return pl.Series(np.array(ids, np.uint64)[rng.choice(len(ids), size, p=weights)])


def write_run(frames: Frames, root: Path) -> Run:
    """Write world, policies, S2, S3 and arrivals (in two part files), and open the run."""
    world = _write_world(frames, root / "worlds" / MF)
    policies: Policies = with_changes(load_posture("published"), {**CHANGES, **frames.changes})
    run = Run(root / "runs" / RUN_ID)
    write_policies(policies, run.root / "policies")
    receipt = {
        "run_id": RUN_ID, "seed": SEED, "nonce": 0, "parameter_hash": policies.parameter_hash,
        "manifest_fingerprint": MF, "rng_root": MF, "world": f"worlds/{MF}", "posture": "hand made",
        "parent_run": None, "changed_states": [], "changes": {}, "created_utc": "2026-01-01T00:00:00Z",
        "library_version": "0",
    }  # fmt: skip
    (run.root / "run_receipt.json").write_bytes(canonical_json(receipt))
    assert world.mf == MF
    for scenario in frames.scenarios:
        _write_outputs(frames, run, scenario)
    return run


def _write_outputs(frames: Frames, run: Run, scenario: str) -> None:
    _write(run.folder("s2_realised_intensity_5B", scenario), "s2_realised_intensity_5B", frames.intensity)
    counts = frames.counts.with_columns(count_capped=pl.lit(False), count_law_id=pl.lit("nb2"))
    _write(run.folder("s3_bucket_counts_5B", scenario), "s3_bucket_counts_5B", counts)
    series = counts.unique(["merchant_id", "zone_representation"], maintain_order=True).with_columns(
        group_id=pl.format("g|{}", "merchant_id"), scenario_band=pl.lit("baseline"), zone_group_id=pl.lit("zg00"),
        demand_class=pl.lit("office_hours"), virtual_band=pl.lit("physical"), series_id=pl.int_range(pl.len()),
    )  # fmt: skip
    _write(run.folder("s1_grouping_5B", scenario), "s1_grouping_5B", series.cast({"series_id": pl.UInt32}))
    half = frames.arrivals.height // 2
    for part, rows in enumerate((frames.arrivals[:half], frames.arrivals[half:])):
        write_arrivals(run.folder("arrival_events_5B", scenario) / f"part-{part:06d}.parquet", rows, frames)


def write_arrivals(path: Path, rows: pl.DataFrame, frames: Frames) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(
        [
            arrival_schema(utc_marked=True).field(field.name).with_nullable(True)
            if field.name in frames.utc_marked
            else field.with_nullable(True)
            for field in arrival_schema(utc_marked=False)
        ]
    )
    marked = [pl.col(name).dt.replace_time_zone("UTC") for name in frames.utc_marked]
    table = rows.with_columns(marked).select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    with open_writer(path, schema) as writer:
        writer.write_table(table.cast(schema))


def _write(folder: Path, dataset_id: str, frame: pl.DataFrame) -> None:
    contract = dataset(dataset_id)
    assert contract.schema is not None
    table = frame.select(contract.schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    write_table(folder / contract.file.format(part=0), table, contract)


def _write_world(frames: Frames, root: Path) -> World:
    root.mkdir(parents=True)
    document = {"manifest_fingerprint": MF, "rng_root": MF, "world_seed": 1, "scale": "hand made"}
    (root / "world.json").write_text(json.dumps({**document, "scenarios": frames.scenarios}))
    world = World(root)
    moment = datetime.fromtimestamp
    manifest = [
        {"scenario_id": name, "scenario_version": "1", "horizon_start_utc": moment(START, UTC),
         "horizon_end_utc": moment(END, UTC), "is_baseline": True, "is_stress": False, "labels": ["baseline"]}
        for name in frames.scenarios
    ]  # fmt: skip
    sites = [
        {"merchant_id": i + 1, "legal_country_iso": "GB", "site_order": order, "tzid": tzid,
         "tzid_source": "polygon", "created_utc": moment(START, UTC), "p_weight": SITE_WEIGHTS[order - 1],
         "weight_source": "", "quantised_bits": 24, "floor_applied": False}
        for i, tzid in enumerate(ZONES)
        for order in (1, 2, 3)
    ]  # fmt: skip
    # One more edge, which nobody ever uses, makes Lord Howe an active zone.
    places = [(i + 1, seq, tzid, EDGE_WEIGHTS[seq]) for i, tzid in enumerate(ZONES) for seq in (0, 1)]
    edges = [
        {"merchant_id": merchant, "edge_id": f"{edge_id(merchant, seq):016x}", "edge_seq_index": seq,
         "country_iso": "AU", "lat_deg": 0.0, "lon_deg": 0.0, "tzid_operational": tzid, "edge_weight": weight}
        for merchant, seq, tzid, weight in [*places, (1, 2, "Australia/Lord_Howe", 0.0)]
    ]  # fmt: skip
    settlements = [
        {"merchant_id": 1, "settlement_site_id": 1, "lat_deg": 0.0, "lon_deg": 0.0,
         "tzid_settlement": "Europe/London", "tz_source": "polygon"}
    ]  # fmt: skip
    classes = [
        {"merchant_id": i, "is_virtual": mode != "NON_VIRTUAL", "virtual_mode": mode, "decision_reason": "",
         "rule_id": ""}
        for i, mode in enumerate(frames.modes)
    ]  # fmt: skip
    for dataset_id, rows in (
        ("scenario_manifest_5A", manifest),
        ("site_timezones", sites),
        ("s1_site_weights", sites),
        ("edge_catalogue_3B", edges),
        ("virtual_settlement_3B", settlements),
        ("virtual_classification_3B", classes),
    ):
        contract = dataset(dataset_id)
        assert contract.schema is not None
        columns = contract.schema.names
        table = pa.Table.from_pylist([{name: row[name] for name in columns} for row in rows], schema=contract.schema)
        write_table(world.folder(dataset_id) / contract.file.format(part=0), table, contract)
    _write_cache(frames, world)
    return world


def _write_cache(frames: Frames, world: World) -> None:
    year = frames.last_transition_year
    encoded = tz_cache.encode(tz_cache.compile_zones([*ZONES, "Australia/Lord_Howe"], year))
    document = tz_cache.sidecar(
        encoded, manifest_fingerprint=MF, created_utc="2026-01-01T00:00:00Z", last_transition_year=year
    )
    folder = world.folder("tz_timetable_cache")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / dataset("tz_timetable_cache").file).write_bytes(encoded)
    text = json.dumps({k: v for k, v in {**document, **frames.sidecar}.items() if v is not None})
    (folder / dataset("tz_timetable_cache_json").file).write_text(text)


def measured(frames: Frames, root: Path, gate_id: str) -> GateResult:
    """One gate of a run that is written for it."""
    run = write_run(frames, root)
    entry = gate(gate_id)
    return entry.judged(taken(gate_id, Evidence(run)), run.policies.validation, "test")


def taken(gate_id: str, evidence: Evidence) -> Measurement:
    """What a gate's own function measures, not judged."""
    measure = gate(gate_id).measure
    assert measure is not None
    return measure(evidence)


def shifted(column: str, by: timedelta, where: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A change that moves one clock by `by` in the rows that match."""
    moved = pl.when(where).then(pl.col(column) + by).otherwise(column).alias(column)
    return lambda rows: rows.with_columns(moved)
