"""The arrivals as a table of counts: how many rows of which zone, when, with which error of the clock.

Rows are counted by zone, cell of time (usually a quarter of an hour), error of the stored clock, kind and
nullability. Within a cell a zone has one offset and one local hour, so T1, T2, T3, T5, T6, T7 and T8 follow
exactly from the counts; no row is kept.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.gates.evidence.arrival_pass import ArrivalTally
from segment5b_lib.gates.evidence.clock import week_hour_column
from segment5b_lib.kernel.tally_tables import IRREGULAR, MIDDLE, QUARTER_US, SILENT

NO_HOUR: Final = -1

_QUARTER: Final = QUARTER_US // SECOND_US


def census_of(counted: ArrivalTally) -> pl.DataFrame:
    """One scenario's arrivals, counted.

    Returns
    -------
    DataFrame with one row per distinct combination and

    scenario_id, tzid : text; tzid is null where the row has none
    second : i64, start of the cell, epoch seconds UTC
    error_seconds : i32, stored minus expected wall clock where that is a multiple of a quarter of an hour
        within the tolerance (0 is right); null if it is anything else
    expected_hour, stored_hour : i16, hour of the week (0 is Monday 00 h); NO_HOUR where there is none
    is_virtual, has_site, has_edge : bool; is_virtual is null where the row does not say
    arrivals : i64, rows counted
    """
    expected = counted.tables.expected
    rows = pl.concat([_right(counted), _overflow(counted)])
    offset = expected.with_expected(rows.lazy(), "tzid", pl.col("second") * SECOND_US)
    hour = week_hour_column(pl.col("second") * SECOND_US + pl.col("expected_us")).fill_null(NO_HOUR)
    right = pl.col("error_seconds") == 0
    return (
        offset.with_columns(expected_hour=hour)
        .select(
            pl.lit(counted.tables.scenario_id).alias("scenario_id"),
            pl.col("tzid").cast(pl.String),
            "second",
            "error_seconds",
            "expected_hour",
            pl.when(right).then("expected_hour").otherwise("stored_hour").alias("stored_hour"),
            "is_virtual",
            "has_site",
            "has_edge",
            "arrivals",
        )
        .collect()
    )


def roles_of(counted: ArrivalTally) -> pl.DataFrame:
    """The settlement and operational clocks of one scenario's virtual arrivals, counted.

    Returns scenario_id, role (settlement or operational), tzid, error_seconds (as in the census), arrivals.
    """
    return counted.overflow.roles.select(
        pl.lit(counted.tables.scenario_id).alias("scenario_id"),
        "role",
        "tzid",
        _error_seconds(pl.col("digit")).alias("error_seconds"),
        "arrivals",
    )


def _error_seconds(digit: pl.Expr) -> pl.Expr:
    return pl.when(digit != IRREGULAR).then((digit - MIDDLE) * _QUARTER).cast(pl.Int32)


def _right(counted: ArrivalTally) -> pl.DataFrame:
    """Well-formed rows whose clock is right, from the dense table."""
    zone, cell, virtual = np.nonzero(counted.tally.census)
    expected = counted.tables.expected
    names = pl.Series(counted.tables.zones, dtype=pl.String)
    is_virtual = pl.Series(virtual.astype(np.bool_))
    return pl.DataFrame(
        {
            "tzid": names.gather(zone),
            "second": expected.start + expected.cell_seconds * cell.astype(np.int64),
            "error_seconds": pl.Series(np.zeros(cell.size, np.int32)),
            "stored_hour": pl.Series(np.full(cell.size, NO_HOUR, np.int16)),
            "is_virtual": is_virtual,
            "has_site": ~is_virtual,
            "has_edge": is_virtual,
            "arrivals": counted.tally.census[zone, cell, virtual].astype(np.int64),
        }
    )


def _overflow(counted: ArrivalTally) -> pl.DataFrame:
    """All other rows, their digits as columns."""
    flags, hours = pl.col("digits") % 4, pl.col("digits") // 12 % 256
    virtual = pl.col("digits") // 4 % 3
    return counted.overflow.census.select(
        "tzid",
        second=pl.col("cell") * counted.tables.expected.cell_seconds,
        error_seconds=_error_seconds(pl.col("digits") // 12 // 256),
        stored_hour=pl.when(hours != IRREGULAR).then(hours).otherwise(NO_HOUR).cast(pl.Int16),
        is_virtual=pl.when(virtual != SILENT).then(virtual == 1),
        has_site=flags >= 2,
        has_edge=flags % 2 == 1,
        arrivals="arrivals",
    )
