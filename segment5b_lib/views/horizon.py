"""Zones in which the transition cache is wrong, and their wrong arrivals."""

from __future__ import annotations

import polars as pl

from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.t01_civil_time import WRONG


def cache_shortfalls(scorecard: Scorecard) -> pl.DataFrame:
    """Active zones whose cached transitions differ from the database, most wrong arrivals first.

    Returns `tzid`, `problem`, `first_utc` (first wrong instant), `expected_minutes` and `cached_minutes`
    (offsets from UTC there), `arrivals` and `mismatches` (of the primary clock, by full scan).

    Example: `views.cache_shortfalls(scorecard)`
    """
    schema = {
        "tzid": pl.String,
        "problem": pl.String,
        "first_utc": pl.String,
        "expected_minutes": pl.Int64,
        "cached_minutes": pl.Int64,
    }
    short = pl.DataFrame(scorecard.result("T11").detail.get("shortfalls", []), schema=schema)
    counts = scorecard.evidence.census.group_by("tzid").agg(
        pl.col("arrivals").sum(), pl.col("arrivals").filter(WRONG).sum().alias("mismatches")
    )
    return (
        short.join(counts, on="tzid", how="left")
        .with_columns(pl.col("arrivals", "mismatches").fill_null(0))
        .sort(["mismatches", "tzid"], descending=[True, False])
    )
