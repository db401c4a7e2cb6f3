"""Zones under either binding: where arrivals lie, and where they would lie if each kept its row's zone."""

from __future__ import annotations

import polars as pl

from segment5b_lib.gates.evidence.run_tables import Evidence


def row_zone_shares(evidence: Evidence) -> pl.DataFrame:
    """What `gates.t06_concentration.zone_shares` would give under `row_zone`, whatever the run's own binding is.

    Physical arrivals count in the zone of the row that made them, virtual ones where their edge stands. Returns
    `tzid`, `rank`, `arrivals`, `share`, `cumulative`, largest first.
    """
    virtual = evidence.census.filter("is_virtual").group_by("tzid").agg(pl.col("arrivals").sum())
    zones = pl.concat([evidence.row_zones, virtual]).group_by("tzid").agg(pl.col("arrivals").sum())
    share = pl.col("arrivals") / pl.col("arrivals").sum()
    return (
        zones.sort(["arrivals", "tzid"], descending=[True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1), share=share, cumulative=share.cum_sum())
        .select("tzid", "rank", "arrivals", "share", "cumulative")
    )
