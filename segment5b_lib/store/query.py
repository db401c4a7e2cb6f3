"""DuckDB as people use it here: zone UTC, no network, read-only, a cursor per query, bounded Polars results.

`connect` opens a database in memory that can read files below some folders and nothing else, `open_views` one with a
view of every dataset of a run; `q` is the one way to ask it something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa

from segment5b_lib.contract.dataset import Dataset
from segment5b_lib.contract.datasets import OUTPUTS
from segment5b_lib.contract.upstream import UPSTREAM
from segment5b_lib.errors import InputError, MissingInputError, UsageError
from segment5b_lib.store.parquet import check_files, sql_column
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World

MAX_RESULT_ROWS: Final = 1_000_000
"""A result is not longer than this unless the caller says so: nobody loads a whole table by accident."""
PARQUET_FILES: Final = "read_parquet({files}, hive_partitioning = false)"
"""Rows of Parquet files in a text of SQL; the files are a parameter, e.g. `$1`."""
_BATCH_ROWS: Final = 1 << 16
_ASKING: Final = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


def connect(folders: Sequence[Path]) -> duckdb.DuckDBPyConnection:
    """An empty database in memory. It reads files below `folders` only; its settings cannot be changed again."""
    offline: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    connection = duckdb.connect(config=offline)
    # Without GLOBAL a cursor, which is a session of its own, would have the machine's zone.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET allowed_directories = ?", [[str(folder) for folder in folders]])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


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


def q(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Sequence[Any] = (),
    *,
    max_rows: int = MAX_RESULT_ROWS,
) -> pl.DataFrame:
    """The result of one SELECT (or SHOW, DESCRIBE, SUMMARIZE, EXPLAIN) as a Polars frame.

    Values belong into `parameters` (`?` or `$1` in the query), never into the text.

    Raises
    ------
    UsageError : not one query that only asks; a query that DuckDB refuses; a result of more than `max_rows` rows.
    InputError : a file that cannot be read.
    """
    try:
        cursor = connection.cursor()
        with cursor:
            _check(cursor, query)
            reader = cursor.sql(query, params=list(parameters)).to_arrow_reader(_BATCH_ROWS)
            return _bounded(reader, max_rows)
    except (duckdb.IOException, duckdb.SerializationException, duckdb.InvalidInputException) as error:
        raise InputError(
            "5B.SQL.UNREADABLE",
            "DuckDB cannot read what the query needs",
            found=_first_line(error),
            next_step="restore the file, or make the run again",
        ) from error
    except duckdb.Error as error:
        raise UsageError(
            "5B.SQL.REFUSED", "DuckDB refuses the query", where=query.strip()[:200], found=_first_line(error)
        ) from error


def _check(cursor: duckdb.DuckDBPyConnection, query: str) -> None:
    kinds = [statement.type for statement in cursor.extract_statements(query)]
    if len(kinds) != 1 or kinds[0] not in _ASKING:
        raise UsageError(
            "5B.SQL.NOT_A_QUERY",
            "only one statement that asks and changes nothing is run",
            where=query.strip()[:200],
            expected="one SELECT, SHOW, DESCRIBE, SUMMARIZE or EXPLAIN",
            found=", ".join(kind.name for kind in kinds) or "no statement",
        )


def _bounded(reader: pa.RecordBatchReader, max_rows: int) -> pl.DataFrame:
    batches, rows = [], 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        if rows > max_rows:
            raise UsageError(
                "5B.SQL.TOO_MANY_ROWS",
                "the result is longer than it may be, so reading it was stopped",
                expected=f"at most {max_rows:,} rows",
                found=f"{rows:,} rows or more",
                next_step="aggregate, add LIMIT, or give max_rows",
            )
    frame = pl.from_arrow(pa.Table.from_batches(batches, reader.schema))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0][:200]


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
