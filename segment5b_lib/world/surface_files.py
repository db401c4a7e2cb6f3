"""What 5A writes: scenarios, profiles, and the surface in part files of whole series, slab by slab."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.store.parquet import ROW_GROUP_ROWS, open_writer
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.rhythm import without_calendar
from segment5b_lib.world.spec import ScenarioId
from segment5b_lib.world.stage import Stage, zone_key

SURFACE: Final = "merchant_zone_scenario_local_5A"
SLABS_PER_PART: Final = 8
"""A slab fills a row group; this many fill a part file."""


SCENARIO_LABELS: Final = {"baseline_v1": ["baseline"], "stress_peak_v1": ["stress", "holidays", "pay_days"]}


def write_5a(plan: Plan, stage: Stage) -> None:
    """5A: scenarios, the profile of each series, and the intensity surface."""
    spec, series = plan.spec, plan.series
    stage.table(
        "scenario_manifest_5A",
        {
            "scenario_id": list(spec.scenarios),
            "scenario_version": ["1"] * len(spec.scenarios),
            "horizon_start_utc": [spec.horizon.start_utc] * len(spec.scenarios),
            "horizon_end_utc": [spec.horizon.end_utc] * len(spec.scenarios),
            "is_baseline": [name == "baseline_v1" for name in spec.scenarios],
            "is_stress": [name != "baseline_v1" for name in spec.scenarios],
            "labels": [SCENARIO_LABELS[name] for name in spec.scenarios],
        },
    )
    categories = [plan.merchants.category[m] for m in series.merchant]
    stage.table(
        "merchant_zone_profile_5A",
        {
            **zone_key(plan),
            "demand_class": [entry.demand_class for entry in categories],
            "channel_group": [entry.channel_group for entry in categories],
            "weekly_volume_expected": np.round(plan.demand.volume * 7 / spec.horizon.days, 6),
        },
    )
    rows = {name: write_surface(plan, stage, name) for name in spec.scenarios}
    unknown = without_calendar((plan.cells.country[c] for c in series.cell), spec.horizon)
    checks = {"rows": rows, "dormant_series": int(plan.demand.dormant.sum()), "countries_without_calendar": unknown}
    stage.member("5A", "summary.json", checks)


def write_surface(plan: Plan, stage: Stage, scenario: ScenarioId) -> int:
    """Write one scenario's surface in key order; returns its rows. Only one slab is in memory at a time."""
    per_slab = max(1, ROW_GROUP_ROWS // plan.spec.horizon.buckets)
    per_part = per_slab * SLABS_PER_PART
    for part, start in enumerate(range(0, len(plan.series), per_part)):
        path = stage.file(SURFACE, part=part, scenario_id=scenario)
        with open_writer(path, dataset(SURFACE).schema) as writer:
            stop = min(start + per_part, len(plan.series))
            for first in range(start, stop, per_slab):
                writer.write_table(_table(plan, scenario, first, min(first + per_slab, stop)), ROW_GROUP_ROWS)
    return len(plan.series) * plan.spec.horizon.buckets


def _table(plan: Plan, scenario: ScenarioId, start: int, stop: int) -> pa.Table:
    """Rows of series [start, stop): every bucket of each series in turn."""
    series, cells, buckets = plan.series, plan.cells, plan.spec.horizon.buckets
    own = np.repeat(np.arange(start, stop), buckets)
    channels = [plan.merchants.category[m].channel_group for m in series.merchant[start:stop]]
    intensity, overlay = plan.surface.slab(start, stop, scenario)
    columns = {
        "merchant_id": pa.array(plan.merchants.ids[series.merchant[own]]),
        "legal_country_iso": pa.array(cells.country).take(pa.array(series.cell[own])),
        "tzid": pa.array(cells.tzid).take(pa.array(series.cell[own])),
        "local_horizon_bucket_index": pa.array(np.tile(np.arange(buckets, dtype=np.int32), stop - start)),
        "lambda_local_scenario": pa.array(intensity.ravel()),
        "channel_group": pa.array(channels).take(pa.array(own - start)),
        "overlay_factor_total": pa.array(overlay.ravel()),
    }
    schema = dataset(SURFACE).schema
    assert schema is not None
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
