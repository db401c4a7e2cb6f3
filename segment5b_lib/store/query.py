"""DuckDB as people use it here: zone UTC, no network, read-only, a cursor per query, bounded Polars results.

`connect` opens a database in memory that can read files below some folders and nothing else; `q` is the one
way to ask it something.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa

from segment5b_lib.errors import InputError, UsageError

MAX_RESULT_ROWS: Final = 1_000_000
"""A result is not longer than this unless the caller says so: nobody loads a whole table by accident."""
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
