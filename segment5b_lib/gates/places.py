"""Where the arrivals went: one streaming pass that counts them by site and edge, and what S4 says by row."""

from __future__ import annotations

import polars as pl

from segment5b_lib.gates.scan import collect, scan_arrival_parts, scan_dataset
from segment5b_lib.store.runs import Run

_PLACE = ("merchant_id", "site_id", "edge_id")


def take_places(run: Run, scenario_id: str) -> pl.DataFrame:
    """One row per site or edge with arrivals: merchant_id, site_id, edge_id (one of them null), arrivals (i64).

    A part file holds few merchants, so counting part by part takes half the time of counting all at once.
    """
    parts = [
        collect(part.group_by(_PLACE).agg(arrivals=pl.len().cast(pl.Int64)), f"arrival_events_5B of {scenario_id}")
        for part in scan_arrival_parts(run, scenario_id, _PLACE)
    ]
    return pl.concat(parts).group_by(_PLACE).agg(pl.col("arrivals").sum()).sort(_PLACE)


def take_row_zones(run: Run, scenario_id: str) -> pl.DataFrame:
    """Physical arrivals by the zone whose intensity made them: tzid, arrivals (i64)."""
    summary = scan_dataset(run, "s4_arrival_summary_5B", scenario_id, ["zone_representation", "count_physical"])
    counted = summary.group_by("zone_representation").agg(pl.col("count_physical").cast(pl.Int64).sum())
    return (
        collect(counted, f"s4_arrival_summary_5B of {scenario_id}")
        .select(pl.col("zone_representation").cast(pl.String).alias("tzid"), arrivals="count_physical")
        .filter(pl.col("arrivals") > 0)
        .sort("tzid")
    )
