"""A run's datasets, and those of its world, as DuckDB views named as in the contracts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from segment5b_lib.contract.datasets import OUTPUTS, UPSTREAM, Dataset
from segment5b_lib.errors import MissingInputError
from segment5b_lib.store.engine_columns import sql_column
from segment5b_lib.store.parquet import check_files
from segment5b_lib.store.query import connect
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World


def open_views(run: Run) -> duckdb.DuckDBPyConnection:
    """A database with one view for each existing Parquet dataset; schemas are checked, no row is read.

    Datasets with a folder per scenario have a column `scenario_id`. Local times of arrivals are TIMESTAMP, the
    wall clock, in both encodings.
    """
    connection = connect([run.root, run.world.root])
    for root, contracts in ((run.world, UPSTREAM), (run, OUTPUTS)):
        for contract in contracts:
            if contract.schema is not None and (files := list(_files(root, contract, run.scenarios))):
                relation = connection.read_parquet([str(path) for path in files], hive_partitioning=True)
                relation.project(_columns(contract, relation.columns)).create_view(contract.dataset_id)
    return connection


def _files(root: World | Run, contract: Dataset, scenarios: tuple[str, ...]) -> Iterator[Path]:
    """Files of a dataset with the schema of its contract; none for a missing dataset."""
    for scenario in scenarios if contract.per_scenario else (None,):
        try:
            files = root.files(contract.dataset_id, scenario)
        except MissingInputError:
            continue
        check_files(files, contract)
        yield from files


def _columns(contract: Dataset, available: Sequence[str]) -> str:
    """The projection: names of the contract only, nothing from data."""
    assert contract.schema is not None
    names = [sql_column(field, available) for field in contract.schema]
    if contract.per_scenario:
        # A scenario called 2026 would come out of its folder's name as a number.
        names.append("CAST(scenario_id AS VARCHAR) AS scenario_id")
    return ", ".join(names)
