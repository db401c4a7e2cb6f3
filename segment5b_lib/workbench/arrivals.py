"""A run's arrivals for people: lazily, every scenario, local times as the clock on the wall showed them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.store.arrival_files import LOCAL_COLUMNS, open_arrivals
from segment5b_lib.store.runs import Run

_ARRIVALS = dataset("arrival_events_5B")


def scan(run: Run, scenario_ids: Sequence[str]) -> pl.LazyFrame:
    """The arrivals of some scenarios: the columns of `arrival_events_5B`, and `scenario_id`.

    `ts_utc` is an instant in UTC, the local columns are naive in both encodings: `utc_marked` files hold the same
    digits and call them UTC. Schemas are checked here; rows are read when the frame is collected.
    """
    return pl.concat([part for name in scenario_ids for part in _parts(run, name)])


def _parts(run: Run, scenario_id: str) -> list[pl.LazyFrame]:
    assert _ARRIVALS.schema is not None
    files = run.files(_ARRIVALS.dataset_id, scenario_id)
    for path in files:
        open_arrivals(path).close()
    walls = [pl.col(name).dt.replace_time_zone(None) for name in LOCAL_COLUMNS]
    return [
        pl.scan_parquet(path, hive_partitioning=False)
        .select(_ARRIVALS.schema.names)
        .with_columns(*walls, scenario_id=pl.lit(scenario_id))
        for path in files
    ]
