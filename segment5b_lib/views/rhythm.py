"""Hours of the local day and weekends: stored, expected of the clock, expected from S2."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.gates.evidence.census import NO_HOUR
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.t08_weekend import weekend_shares
from segment5b_lib.model.statistics import STANDARD_ERRORS

HOUR_RANGES: Final = {"09-17": range(9, 18), "18-23": range(18, 24), "00-05": range(6)}
"""Parts of the day by their first and last hour, both included."""
_BASES: Final = {"stored": "stored_hour", "expected": "expected_hour"}


def hour_profile(evidence: Evidence) -> pl.DataFrame:
    """Share of the physical and of the virtual arrivals in each local hour, stored and expected.

    Returns `kind`, `basis`, `hour` (0..23), `arrivals`, `share` (fraction of the kind's arrivals).

    Example: `views.hour_profile(evidence)`
    """
    census = evidence.census.with_columns(
        kind=pl.when("is_virtual").then(pl.lit("virtual")).otherwise(pl.lit("physical"))
    ).with_columns(total=pl.col("arrivals").sum().over("kind"))
    profiles = [
        census.filter(pl.col(column) != NO_HOUR)
        .group_by("kind", pl.lit(basis).alias("basis"), (pl.col(column) % 24).alias("hour"))
        .agg(pl.col("arrivals").sum(), (pl.col("arrivals") / pl.col("total")).sum().alias("share"))
        for basis, column in _BASES.items()
    ]
    return pl.concat(profiles).sort("kind", "basis", "hour")


def day_shares(evidence: Evidence) -> pl.DataFrame:
    """The hour profile in four figures per kind and basis: its peak, and the shares of the parts of the day.

    Returns `kind`, `basis`, `arrivals`, `peak_hour` (of the largest share, the first of equal ones), and a share per
    part of the day: `hours_09-17`, `hours_18-23`, `hours_00-05` (both ends included; 06 to 08 is the rest).

    Example: `views.day_shares(evidence)`
    """
    parts = [
        pl.col("share").filter(pl.col("hour").is_in(list(hours))).sum().alias(f"hours_{name}")
        for name, hours in HOUR_RANGES.items()
    ]
    peak = pl.col("hour").sort_by("arrivals", "hour", descending=[True, False]).first().alias("peak_hour")
    return (
        hour_profile(evidence)
        .group_by("kind", "basis")
        .agg(pl.col("arrivals").sum(), peak, *parts)
        .sort("kind", "basis")
    )


def hour_matrix(evidence: Evidence) -> pl.DataFrame:
    """Arrivals by expected and by stored local hour.

    Returns `expected_hour`, `stored_hour` (0..23), `arrivals`, `share` (fraction of the expected hour's
    arrivals).

    Example: `views.hour_matrix(evidence)`
    """
    return (
        evidence.census.filter((pl.col("expected_hour") != NO_HOUR) & (pl.col("stored_hour") != NO_HOUR))
        .group_by(pl.col("expected_hour") % 24, pl.col("stored_hour") % 24)
        .agg(pl.col("arrivals").sum())
        .with_columns(share=pl.col("arrivals") / pl.col("arrivals").sum().over("expected_hour"))
        .sort("expected_hour", "stored_hour")
    )


def weekend_share(evidence: Evidence) -> pl.DataFrame:
    """Share of arrivals on local weekends by scenario, as in gate T8.

    Returns `scenario_id`, `basis` (observed or expected), `share`, `low`, `high`: four standard errors of
    the count law around an expected share; an observed share itself.

    Example: `views.weekend_share(evidence)`
    """
    shares = weekend_shares(evidence).filter(pl.col("scenario_id").is_not_null())
    width = STANDARD_ERRORS * pl.col("standard_error")
    observed = shares.select("scenario_id", basis=pl.lit("observed"), share="observed", low="observed", high="observed")
    expected = shares.select(
        "scenario_id",
        basis=pl.lit("expected"),
        share="expected",
        low=pl.col("expected") - width,
        high=pl.col("expected") + width,
    )
    return pl.concat([observed, expected]).drop_nulls().sort("scenario_id", "basis")
