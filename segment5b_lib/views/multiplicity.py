"""Components of a logical key (rows that differ in their country only), and members of a group of S1."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.store.runs import Run

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


def group_sizes(run: Run) -> pl.DataFrame:
    """Groups of S1 by the number of their members (series), over all scenarios.

    Returns `members` (1, 2, …), `groups` of that size, `series` in them, `share` of the groups with at most that many
    members, ascending; empty for a run without S1.

    Example: `views.group_sizes(run.store)`
    """
    if run.marker("S1") is None:
        return pl.DataFrame(schema=dict.fromkeys(("members", "groups", "series"), pl.Int64) | {"share": pl.Float64})
    members = [
        run.frame("s1_grouping_5B", ["group_id"], scenario).group_by("group_id").len("members")
        for scenario in run.scenarios
    ]
    sizes = pl.concat([frame.select(pl.col("members").cast(pl.Int64)) for frame in members])
    groups = sizes.group_by("members").agg(groups=pl.len().cast(pl.Int64)).sort("members")
    return groups.with_columns(
        series=pl.col("members") * pl.col("groups"), share=pl.col("groups").cum_sum() / pl.col("groups").sum()
    )
