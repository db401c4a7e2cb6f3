"""Lazy scans of a run's datasets: schemas are checked before data is read, and nothing is held as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from segment5b_lib.contract.datasets import TS, WALL, dataset
from segment5b_lib.errors import InputError
from segment5b_lib.store.parquet import open_file
from segment5b_lib.store.runs import Run

LOCAL_COLUMNS: Final = ("ts_local_primary", "ts_local_settlement", "ts_local_operational")
_ARRIVALS = dataset("arrival_events_5B")
_TIMES = ("ts_utc", *LOCAL_COLUMNS)


def scan_dataset(run: Run, dataset_id: str, scenario_id: str, columns: Sequence[str]) -> pl.LazyFrame:
    """Some columns of one scenario of a 5B dataset; text comes as text, however it is coded."""
    files = run.files(dataset_id, scenario_id)
    for path in files:
        open_file(path, dataset(dataset_id)).close()
    return pl.concat([pl.scan_parquet(path).select(columns) for path in files])


def scan_arrivals(run: Run, scenario_id: str, columns: Sequence[str]) -> pl.LazyFrame:
    """Some columns of one scenario's arrivals; every time as int64 microseconds of the digits as stored.

    For a local column these are the digits on the wall's clock in both encodings: `utc_marked` stores the
    same digits and calls them UTC.
    """
    files = run.files("arrival_events_5B", scenario_id)
    for path in files:
        open_arrivals(path).close()
    times = [pl.col(name).to_physical() for name in columns if name in _TIMES]
    return pl.concat([pl.scan_parquet(path).select(columns).with_columns(times) for path in files])


def open_arrivals(path: Path) -> pq.ParquetFile:
    """Open one part file; local columns may be wall clock or marked as UTC, anything else is an error."""
    assert _ARRIVALS.schema is not None
    others = [field for field in _ARRIVALS.schema if field.name not in LOCAL_COLUMNS]
    file = open_file(path, replace(_ARRIVALS, schema=pa.schema(others)))
    for name in LOCAL_COLUMNS:
        position = file.schema_arrow.get_field_index(name)
        found = file.schema_arrow.field(position).type if position >= 0 else None
        if found not in (TS, WALL):
            raise InputError(
                "5B.STORE.SCHEMA_MISMATCH",
                "a local time column is missing or is no timestamp",
                where=f"arrival_events_5B: {path}, column {name}",
                expected=f"{WALL} or {TS}",
                found=found,
            )
    return file


def collect(frame: pl.LazyFrame, what: str) -> pl.DataFrame:
    """Run a query on the streaming engine; damage inside a file becomes a typed error."""
    try:
        return frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            "5B.STORE.NOT_PARQUET",
            "a Parquet file is damaged",
            where=what,
            found=str(error).splitlines()[0][:200],
            next_step="restore the file or rebuild the root it belongs to",
        ) from error
