"""A run's arrivals as a lazy frame over all scenarios, with local times as naive wall clock."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from segment5b_lib.contract.datasets import LOCAL_COLUMNS, dataset
from segment5b_lib.store.parquet import COUNTRY, MARK, NO_COUNTRY
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import scan_files

_ARRIVALS = dataset("arrival_events_5B")


def scan(run: Run, scenario_ids: Sequence[str]) -> pl.LazyFrame:
    """The arrivals of some scenarios: the columns of `arrival_events_5B`, and `scenario_id`.

    `ts_utc` is an instant in UTC, the local columns are naive in every encoding: `utc_marked` files hold the same
    digits and call them UTC. Schemas are checked here; rows are read when the frame is collected.
    """
    return pl.concat([part for name in scenario_ids for part in _parts(run, name)])


def _parts(run: Run, scenario_id: str) -> list[pl.LazyFrame]:
    assert _ARRIVALS.schema is not None
    files = run.files(_ARRIVALS.dataset_id, scenario_id)
    names = _ARRIVALS.schema.names
    return [_part(rows, names).with_columns(scenario_id=pl.lit(scenario_id)) for rows in scan_files(files, _ARRIVALS)]


def _part(rows: pl.LazyFrame, columns: Sequence[str]) -> pl.LazyFrame:
    if COUNTRY not in rows.collect_schema():
        rows = rows.with_columns(pl.lit(NO_COUNTRY, pl.Categorical).alias(COUNTRY))
    rows = rows.select(columns)
    kinds = rows.collect_schema()
    instant = _digits("ts_utc", kinds).dt.replace_time_zone("UTC")
    return rows.with_columns(instant, *(_digits(name, kinds) for name in LOCAL_COLUMNS))


def _digits(name: str, kinds: pl.Schema) -> pl.Expr:
    """A wall clock column without a zone; texts are in the data engine's form."""
    if isinstance(kinds[name], pl.Datetime):
        return pl.col(name).dt.replace_time_zone(None)
    return pl.col(name).cast(pl.String).str.strip_suffix(MARK).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us")
