"""Lazy scans of a run's datasets: schemas are checked before data is read, and nothing is held as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.store.parquet import damaged, open_file
from segment5b_lib.store.runs import Run


def scan_dataset(run: Run, dataset_id: str, scenario_id: str, columns: Sequence[str]) -> pl.LazyFrame:
    """Some columns of one scenario of a 5B dataset; text comes as text, however it is coded."""
    return pl.concat(scan_parts(run, dataset_id, scenario_id, columns))


def scan_parts(run: Run, dataset_id: str, scenario_id: str, columns: Sequence[str]) -> list[pl.LazyFrame]:
    """The same, each part file for itself, in key order."""
    files = run.files(dataset_id, scenario_id)
    for path in files:
        open_file(path, dataset(dataset_id), foreign=True).close()
    return [pl.scan_parquet(path).select(columns) for path in files]


def collect(frame: pl.LazyFrame, what: str) -> pl.DataFrame:
    """Run a query on the streaming engine; damage inside a file becomes a typed error."""
    try:
        return frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise damaged(what, error) from error
