"""Components of a logical key: rows that differ in their country only."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.gates.evidence.run_tables import Evidence

LOGICAL_KEY: Final = ("scenario_id", *(name for name in SERIES_KEY if name != "legal_country_iso"))
"""A series without its country: a series of the engine."""


def component_multiplicity(evidence: Evidence) -> pl.DataFrame:
    """Logical keys by the number of their components (series), over all scenarios.

    Returns `components` (1, 2, …), `series_keys` (logical keys of series), `row_keys` (`series_keys` times the buckets
    of the grid), `share` (fraction of the keys), ascending.

    Example: `views.component_multiplicity(evidence)`
    """
    tables = [_of_scenario(evidence, horizon.scenario_id) for horizon in evidence.horizons]
    return (
        pl.concat(tables)
        .group_by("components")
        .agg(pl.col("series_keys", "row_keys").sum())
        .with_columns(share=pl.col("series_keys") / pl.col("series_keys").sum())
        .sort("components")
    )


def _of_scenario(evidence: Evidence, scenario_id: str) -> pl.DataFrame:
    run = evidence.run
    series = run.frame("s1_grouping_5B", list(SERIES_KEY), scenario_id)
    buckets = run.table("s1_time_grid_5B", ["bucket_index"], scenario_id).num_rows
    keys = series.with_columns(scenario_id=pl.lit(scenario_id)).group_by(LOGICAL_KEY).agg(components=pl.len())
    counted = keys.group_by(pl.col("components").cast(pl.Int64)).agg(series_keys=pl.len().cast(pl.Int64))
    return counted.with_columns(row_keys=pl.col("series_keys") * buckets)
