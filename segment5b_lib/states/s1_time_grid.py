"""S1 time grid and grouping: hourly buckets, the domain of series, and the groups that share a latent field."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from segment5b_lib.arrays import F64
from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.policies import GroupingPolicy
from segment5b_lib.contract.upstream import SURFACE_KEY
from segment5b_lib.contract.words import Lane, ScenarioBand
from segment5b_lib.errors import StateError
from segment5b_lib.model.grouping import grouped, with_attributes
from segment5b_lib.model.scenario import Scenario, scenario_of
from segment5b_lib.states.context import Context, Publication, StateSpec
from segment5b_lib.states.surface import SeriesSlice, Surface, check_intensity, sorted_surface, source_surface
from segment5b_lib.store.parquet import write_table
from segment5b_lib.store.records import Counters

SPEC: Final = StateSpec(
    name="S1",
    title="Time grid and grouping",
    policies=("time_grid", "grouping"),
    reads_world=(
        "scenario_manifest_5A",
        "merchant_zone_profile_5A",
        "merchant_zone_scenario_local_5A",
        "virtual_classification_3B",
    ),
    reads_states=("S0",),
    writes=("s1_time_grid_5B", "s1_grouping_5B"),
)


def run(context: Context) -> None:
    context.verify_inputs()
    with context.publication() as publication:
        publication.counters = {"scenarios": {}, "rows_in": 0, "rows_out": 0}
        for scenario in _load_scenarios(context):
            series, in_order = _load_series(context, scenario)
            grouping = _compute(context, scenario, series)
            counters = _validate(context, scenario, grouping)
            counters["surface_in_order"] = in_order
            _write(context, publication, scenario, grouping)
            _count(publication, scenario, counters)


def _load_scenarios(context: Context) -> list[Scenario]:
    with context.step("read scenario manifest", Lane.INPUT_LOAD):
        rows = context.run.world.table("scenario_manifest_5A").to_pylist()
    by_id = {row["scenario_id"]: row for row in rows}
    return [scenario_of(by_id[name], context.run.policies.time_grid) for name in context.run.scenarios]


def _load_series(context: Context, scenario: Scenario) -> tuple[pl.DataFrame, bool]:
    """The distinct series of the surface in key order, and whether the source was in that order."""
    source = source_surface(context.run.world, scenario.scenario_id, scenario.buckets)
    series = _scan(context, source)
    if series is not None:
        return series, True
    with tempfile.TemporaryDirectory(dir=context.run.root) as folder:
        with context.step("sort surface", Lane.INPUT_LOAD) as step:
            copy = sorted_surface(context.run.world, scenario.scenario_id, scenario.buckets, Path(folder))
            step.rows = copy.rows
        series = _scan(context, copy)
    assert series is not None, "a sorted and complete surface is in order"
    return series, False


def _scan(context: Context, surface: Surface) -> pl.DataFrame | None:
    """Keys of all series with every row checked; None if the rows are not in series order."""
    if surface.rows == 0 or surface.rows % surface.buckets:
        return None

    def keys_of(bounds: SeriesSlice) -> pa.Table | None:
        with context.step("scan surface", Lane.INPUT_LOAD) as step:
            part = surface.read(bounds.start, bounds.stop)
            step.rows = len(bounds) * surface.buckets
        if part is None:
            return None
        with context.step("check surface", Lane.VALIDATION):
            check_intensity(part, surface.where)
        return part.keys

    slices = surface.slices()
    rows = [len(bounds) * surface.buckets for bounds in slices]
    tables = context.map_shards("scan surface", keys_of, slices, rows)
    if any(table is None for table in tables):
        return None
    text = pl.col(SURFACE_KEY[1:]).cast(pl.String)
    keys = pl.concat([pl.DataFrame(table).with_columns(text) for table in tables if table is not None])
    ordered = keys.unique().sort(SURFACE_KEY)
    return ordered if ordered.equals(keys) else None


def _compute(context: Context, scenario: Scenario, series: pl.DataFrame) -> pl.DataFrame:
    """One row per series: its group and the attributes that make up the group."""
    with context.step("derive groups", Lane.COMPUTE) as step:
        step.rows = series.height
        profile = context.run.world.frame("merchant_zone_profile_5A", [*SURFACE_KEY[:3], "demand_class"])
        virtual = context.run.world.frame("virtual_classification_3B", ["merchant_id", "virtual_mode"])
        return grouped(with_attributes(series, profile, virtual), scenario, context.run.policies.grouping)


def _validate(context: Context, scenario: Scenario, grouping: pl.DataFrame) -> Counters:
    """Group shape against the targets: enforced where there are enough series, reported below."""
    with context.step("check group shape", Lane.VALIDATION):
        members = grouping.group_by("group_id").len()["len"].cast(pl.Float64).to_numpy()
        counters = group_shape(scenario, grouping.height, members)
        problem = off_target(counters, context.run.policies.grouping)
        counters["group_targets"] = problem or "met"
        if problem and grouping.height >= context.run.policies.grouping.targets.enforce_from_series:
            raise StateError(
                "5B.S1.GROUP_SHAPE",
                "groups miss the shape that grouping_policy_5B targets",
                where=f"s1_grouping_5B, scenario {scenario.scenario_id}",
                found=problem,
                next_step="change grouping.hash_buckets or the world",
            )
    return counters


def _write(context: Context, publication: Publication, scenario: Scenario, grouping: pl.DataFrame) -> None:
    with context.step("write grid and grouping", Lane.WRITE) as step:
        step.rows = scenario.buckets + grouping.height
        for dataset_id, frame in (("s1_time_grid_5B", grid_of(scenario)), ("s1_grouping_5B", grouping)):
            contract = dataset(dataset_id)
            names = contract.schema.names if contract.schema else []
            table = frame.select(names).to_arrow(compat_level=pl.CompatLevel.oldest())
            path = publication.folder(dataset_id, scenario.scenario_id) / contract.file
            write_table(path, table, contract)


def _count(publication: Publication, scenario: Scenario, counters: Counters) -> None:
    publication.counters["scenarios"][scenario.scenario_id] = counters
    publication.counters["rows_in"] += counters["total_grouping_rows"] * scenario.buckets
    publication.counters["rows_out"] += counters["total_grouping_rows"] + scenario.buckets
    for name in ("total_bucket_count", "total_grouping_rows", "total_unique_group_ids"):
        publication.counters[name] = publication.counters.get(name, 0) + counters[name]


def grid_of(scenario: Scenario) -> pl.DataFrame:
    """The bucket grid; local columns are those of the reference zone Etc/UTC."""
    length = timedelta(seconds=scenario.bucket_seconds)
    starts = [scenario.start + bucket * length for bucket in range(scenario.buckets)]
    frame = pl.DataFrame({"bucket_start_utc": pl.Series(starts, dtype=pl.Datetime("us", "UTC"))})
    start = pl.col("bucket_start_utc")
    return frame.select(
        bucket_index=pl.int_range(pl.len(), dtype=pl.Int32),
        bucket_start_utc=start,
        bucket_end_utc=start + length,
        bucket_duration_seconds=pl.lit(scenario.bucket_seconds, dtype=pl.Int32),
        scenario_is_baseline=pl.lit(scenario.band is ScenarioBand.BASELINE),
        scenario_is_stress=pl.lit(scenario.band is ScenarioBand.STRESS),
        scenario_labels=pl.lit(pl.Series([scenario.labels], dtype=pl.List(pl.String))).first(),
        local_day_of_week=start.dt.weekday(),
        local_minutes_since_midnight=start.dt.hour().cast(pl.Int16) * 60 + start.dt.minute(),
        is_weekend=start.dt.weekday() >= 6,
    )


def group_shape(scenario: Scenario, series: int, members: F64) -> Counters:
    """Counters of the grid and of the size of groups; `members` has one number per group."""
    return {
        "total_bucket_count": scenario.buckets,
        "total_grouping_rows": series,
        "total_unique_group_ids": len(members),
        "median_members_per_group": float(np.median(members)),
        "max_group_share": float(members.max() / series),
        "multi_member_fraction": float((members > 1).mean()),
    }


def off_target(counters: Counters, policy: GroupingPolicy) -> str:
    """The targets of the policy that are missed, as text; empty if none is."""
    targets = policy.targets
    groups = counters["total_unique_group_ids"]
    checks = {
        f"groups {groups} outside {targets.min_groups}..{targets.max_groups}": (
            targets.min_groups <= groups <= targets.max_groups
        ),
        f"median members {counters['median_members_per_group']:g} below {targets.min_median_members:g}": (
            counters["median_members_per_group"] >= targets.min_median_members
        ),
        f"largest group {counters['max_group_share']:.4f} above {targets.max_group_share}": (
            counters["max_group_share"] <= targets.max_group_share
        ),
    }
    return "; ".join(text for text, met in checks.items() if not met)
