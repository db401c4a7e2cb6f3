"""The one pass over the arrivals: how many rows of which zone, when, with which error of the clock.

Rows are counted by zone, cell of time (usually a quarter of an hour), error of the stored clock, kind and
nullability. Within a cell a zone has one offset and one local hour, so T1, T2, T3, T5, T6, T7 and T8 follow
exactly from the counts; no row is kept.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.gates.clock import MICROSECOND, ExpectedClock, week_hour
from segment5b_lib.gates.scan import collect, scan_arrivals
from segment5b_lib.store.runs import Run

QUARTER: Final = 900
"""Errors are told apart in quarters of an hour, the step of civil offsets; any other is irregular."""
_LARGEST_ERROR: Final = 26 * 3600
"""No two zones are further apart; what is, is irregular too."""
NO_HOUR: Final = -1

_NOTHING: Final = 255
_ERROR_MIDDLE: Final = _LARGEST_ERROR // QUARTER
_DIGITS: Final = {"error": 256, "stored_hour": 256, "is_virtual": 2, "has_site": 2, "has_edge": 2}
"""How many values each part of a packed key may take; `_NOTHING` stands for null in the first two."""

_COLUMNS = ("ts_utc", "tzid_primary", "ts_local_primary", "is_virtual", "site_id", "edge_id")
_CLOCKS: Final = {
    "settlement": ("tzid_settlement", "ts_local_settlement"),
    "operational": ("tzid_operational", "ts_local_operational"),
}


def take_census(run: Run, scenario_id: str, clock: ExpectedClock, tolerance_seconds: float) -> pl.DataFrame:
    """Count one scenario's arrivals.

    Returns
    -------
    DataFrame with one row per distinct combination and

    scenario_id, tzid : text; tzid is null where the row has none
    second : i64, start of the cell, epoch seconds UTC
    error_seconds : i32, stored minus expected wall clock where that is a multiple of a quarter of an hour
        within the tolerance (0 is right); null if it is anything else
    expected_hour, stored_hour : i16, hour of the week (0 is Monday 00 h); NO_HOUR where there is none
    is_virtual, has_site, has_edge : bool
    arrivals : i64, rows counted
    """
    frame = clock.with_expected(scan_arrivals(run, scenario_id, _COLUMNS), "tzid_primary", pl.col("ts_utc"))
    counted = frame.group_by(pl.col("tzid_primary").alias("tzid"), _packed(clock, tolerance_seconds).alias("key")).agg(
        pl.len().alias("arrivals")
    )
    return _with_hours(collect(counted, f"arrival_events_5B of {scenario_id}"), scenario_id, clock)


def take_role_counts(run: Run, scenario_id: str, clock: ExpectedClock, tolerance_seconds: float) -> pl.DataFrame:
    """Count the settlement and operational clocks of one scenario's virtual arrivals.

    Returns
    -------
    DataFrame: scenario_id, role (settlement or operational), tzid, error_seconds (as in the census), arrivals
    """
    columns = ["ts_utc", "is_virtual", *(name for pair in _CLOCKS.values() for name in pair)]
    virtual = scan_arrivals(run, scenario_id, columns).filter("is_virtual")
    counts = [
        collect(
            clock.with_expected(virtual, tzid, pl.col("ts_utc"))
            .group_by(pl.col(tzid).alias("tzid"), clock_error(local, tolerance_seconds).alias("error_seconds"))
            .agg(pl.len().alias("arrivals")),
            f"arrival_events_5B of {scenario_id}",
        ).select(
            pl.lit(scenario_id).alias("scenario_id"),
            pl.lit(role).alias("role"),
            pl.col("tzid").cast(pl.String),
            "error_seconds",
            pl.col("arrivals").cast(pl.Int64),
        )
        for role, (tzid, local) in _CLOCKS.items()
    ]
    return pl.concat(counts)


def clock_error(local: str, tolerance_seconds: float) -> pl.Expr:
    """Stored minus expected wall clock in whole seconds, for a frame with `ts_utc` and `expected_us` (i32).

    Null where it is further than the tolerance from every quarter of an hour, or where nothing is expected.
    """
    error = pl.col(local) - pl.col("ts_utc") - pl.col("expected_us")
    quarter = QUARTER * MICROSECOND
    nearest = ((error + quarter // 2) // quarter) * quarter
    regular = ((error - nearest).abs() <= round(tolerance_seconds * MICROSECOND)) & (
        nearest.abs() <= _LARGEST_ERROR * MICROSECOND
    )
    return pl.when(regular).then((nearest // MICROSECOND).cast(pl.Int32))


def _packed(clock: ExpectedClock, tolerance_seconds: float) -> pl.Expr:
    """Cell and digits in one integer: counting by one number takes half the time of counting by seven."""
    error = clock_error("ts_local_primary", tolerance_seconds)
    digits = {
        "error": (error // QUARTER + _ERROR_MIDDLE).fill_null(_NOTHING),
        # A right clock shows the expected hour; naming it again would only make more keys.
        "stored_hour": pl.when(error.ne_missing(0)).then(week_hour(pl.col("ts_local_primary"))).fill_null(_NOTHING),
        "is_virtual": pl.col("is_virtual"),
        "has_site": pl.col("site_id").is_not_null(),
        "has_edge": pl.col("edge_id").is_not_null(),
    }
    key = pl.col("ts_utc") // (clock.cell_seconds * MICROSECOND)
    for name, base in _DIGITS.items():
        key = key * base + digits[name].cast(pl.Int64)
    return key


def _unpacked(counted: pl.DataFrame) -> pl.DataFrame:
    """The digits as columns again, and `cell`."""
    rest = pl.col("key")
    columns = {}
    for name, base in reversed(_DIGITS.items()):
        columns[name] = rest % base
        rest = rest // base
    return counted.with_columns(cell=rest, **columns)


def _with_hours(counted: pl.DataFrame, scenario_id: str, clock: ExpectedClock) -> pl.DataFrame:
    time = pl.col("cell") * (clock.cell_seconds * MICROSECOND)
    expected_hour = week_hour(time + pl.col("expected_us")).fill_null(NO_HOUR)
    error, stored = pl.col("error"), pl.col("stored_hour")
    stored_hour = pl.when(stored != _NOTHING).then(stored.cast(pl.Int16)).otherwise(NO_HOUR)
    return (
        clock.with_expected(_unpacked(counted).lazy(), "tzid", time)
        .with_columns(error_seconds=pl.when(error != _NOTHING).then((error - _ERROR_MIDDLE) * QUARTER).cast(pl.Int32))
        .select(
            pl.lit(scenario_id).alias("scenario_id"),
            pl.col("tzid").cast(pl.String),
            (time // MICROSECOND).alias("second"),
            "error_seconds",
            expected_hour.alias("expected_hour"),
            pl.when(pl.col("error_seconds") == 0).then(expected_hour).otherwise(stored_hour).alias("stored_hour"),
            pl.col("is_virtual", "has_site", "has_edge").cast(pl.Boolean),
            pl.col("arrivals").cast(pl.Int64),
        )
        .collect()
    )
