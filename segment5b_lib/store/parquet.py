"""Parquet in and out: one set of writer settings, and schemas that are checked before data is read.

Columns as the data engine writes them are made into the contract's as they are read (contracts §6). Its times are
text: RFC 3339 with microseconds. An instant ends in `Z`; a local time has no suffix, or the `Z` of the
defect, which means nothing: its digits are what the clock on the wall showed. Series may have no country: then every
row's country is NO_COUNTRY, and series that differ in nothing else are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segment5b_lib.contract.dataset import TS, WALL, Dataset
from segment5b_lib.contract.datasets import LOCAL_COLUMNS
from segment5b_lib.errors import EnvironmentFault, InputError, MissingInputError
from segment5b_lib.identity import sha256_hex
from segment5b_lib.store.publish import write_file

COUNTRY: Final = "legal_country_iso"
NO_COUNTRY: Final = ""
"""The country of a row that has none."""
MARK: Final = "Z"
"""What says UTC at the end of a text."""
EXAMPLE: Final = "2026-01-01T00:00:00.000000Z"


def is_text(kind: pa.DataType) -> bool:
    """Whether a column is text, however it is coded."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def is_time(kind: pa.DataType) -> bool:
    """Whether a contract's column is an instant or a wall clock."""
    return bool(kind in (TS, WALL))


def typed(table: pa.Table, contract: pa.Schema, where: str) -> pa.Table:
    """A table with every text column that its contract calls a time made into that time; the rest as it is.

    InputError where a text is no time, or an instant has no `Z`.
    """
    for position, field in enumerate(table.schema):
        wanted = contract.field(field.name).type
        if is_time(wanted) and is_text(field.type):
            table = table.set_column(position, field.name, _times(table.column(position), wanted, where, field.name))
    return table


def with_country(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """A table with the columns asked for, in this order; NO_COUNTRY for countries where there is no such column."""
    if COUNTRY in columns and COUNTRY not in table.column_names:
        table = table.append_column(COUNTRY, no_country(table.num_rows))
    return table.select(list(columns))


def no_country(rows: int) -> pa.DictionaryArray:
    """A column of rows without a country."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([NO_COUNTRY]))


def _times(column: pa.ChunkedArray, wanted: pa.DataType, where: str, name: str) -> pa.ChunkedArray:
    text = column.cast(pa.string())
    if wanted == WALL:
        text = pc.utf8_rtrim(text, characters=MARK)
    try:
        return text.cast(wanted)
    except pa.ArrowException as error:
        raise InputError(
            "5B.STORE.NOT_A_TIME",
            "a text is not the time that its column promises",
            where=f"{where}, column {name}",
            expected=EXAMPLE if wanted == TS else f"{EXAMPLE.removesuffix(MARK)}, with or without {MARK}",
            found=str(error).splitlines()[0][:200],
        ) from error


def sql_column(field: pa.Field, available: Sequence[str]) -> str:
    """A contract's column in a DuckDB projection of `available` columns, in the contract's type."""
    if field.name == COUNTRY and COUNTRY not in available:
        return f"'{NO_COUNTRY}' AS {COUNTRY}"
    kinds = {TS: "TIMESTAMPTZ", WALL: "TIMESTAMP"}
    return f"CAST({field.name} AS {kinds[field.type]}) AS {field.name}" if is_time(field.type) else str(field.name)


ROW_GROUP_ROWS: Final = 1 << 20
"""Rows per row group: large enough to compress, small enough that readers can skip."""

_RISING: Final = ("bucket_index", "local_horizon_bucket_index", "arrival_seq", "first_arrival_seq", "ts_utc")
_REPEATED: Final = ("site_id", "edge_id")
_WRITE_BATCH_ROWS: Final = 1 << 14
"""Values handed to an encoder at a time; Arrow's own 1,024 costs a fifth of the writing time of short columns."""


def open_writer(path: Path | BinaryIO, schema: pa.Schema, metadata: dict[str, str] | None = None) -> pq.ParquetWriter:
    """Writer with the house settings: zstd 1, dictionaries for text and place ids, delta coding for times.

    Nothing that depends on the clock, the machine or the thread enters the file.
    """
    if metadata:
        schema = schema.with_metadata(metadata)
    coded = [f.name for f in schema if f.name in _REPEATED or is_text(f.type)]
    delta = {f.name: "DELTA_BINARY_PACKED" for f in schema if f.name in (*_RISING, *LOCAL_COLUMNS)}
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=coded or False,
        column_encoding=delta or None,
        write_statistics=True,
        write_page_index=True,
        write_batch_size=_WRITE_BATCH_ROWS,
    )


def write_table(path: Path, table: pa.Table, dataset: Dataset, metadata: dict[str, str] | None = None) -> None:
    """Write one table as one file in the dataset's own column order and types."""
    assert dataset.schema is not None, dataset.dataset_id
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_writer(path, dataset.schema, metadata) as writer:
        writer.write_table(table.select(dataset.schema.names).cast(dataset.schema), ROW_GROUP_ROWS)


def parquet_files(folder: Path, dataset: Dataset) -> list[Path]:
    """Part files of a dataset in order; a missing or empty folder is an error."""
    files = sorted(path for path in folder.glob("*.parquet") if path.is_file())
    if not files:
        raise MissingInputError(
            "5B.STORE.DATASET_MISSING",
            f"{dataset.dataset_id} has no files",
            where=f"{dataset.dataset_id} in {folder}",
            expected=dataset.file,
            found="folder without Parquet files" if folder.is_dir() else "no such folder",
        )
    return files


RESTORE: Final = "restore the file or rebuild the root it belongs to"


def damaged(where: str, error: Exception, next_step: str = RESTORE) -> InputError:
    """The error to raise from what a reader says of a file's inside."""
    return InputError(
        "5B.STORE.NOT_PARQUET",
        "a Parquet file is damaged",
        where=where,
        found=str(error).splitlines()[0][:200],
        next_step=next_step,
    )


def open_file(path: Path, dataset: Dataset, *, foreign: bool = False) -> pq.ParquetFile:
    """Open one file and check its schema; a truncated file, or one of another schema, is a typed error.

    `foreign`: columns may be as the data engine writes them; the reader converts them into
    the contract's.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            "5B.STORE.NOT_PARQUET",
            "a file cannot be read as Parquet (truncated, or something else)",
            where=f"{dataset.dataset_id}: {path}",
            expected="a complete Parquet file",
            found=str(error).splitlines()[0][:200],
            next_step=RESTORE,
        ) from error
    check_schema(file.schema_arrow, dataset, path, foreign=foreign)
    return file


def check_files(files: Iterable[Path], dataset: Dataset) -> None:
    """Check the schemas of files, which may be as the data engine writes them; no row is read."""
    for path in files:
        open_file(path, dataset, foreign=True).close()


def check_schema(found: pa.Schema, dataset: Dataset, path: Path, *, foreign: bool = False) -> None:
    """Every contracted column must be there with its type.

    Dictionary-coded text counts as text; local times of arrivals may be wall clock or marked as UTC.
    """
    assert dataset.schema is not None, dataset.dataset_id
    for field in dataset.schema:
        position = found.get_field_index(field.name)
        kind = found.field(position).type if position >= 0 else None
        if foreign and _as_engine_has_it(field, kind, dataset):
            continue
        allowed = (WALL, TS) if field.name in LOCAL_COLUMNS else (_plain(field.type),)
        if kind is None or _plain(kind) not in allowed:
            raise InputError(
                "5B.STORE.SCHEMA_MISMATCH",
                "a column is missing or has another type",
                where=f"{dataset.dataset_id}: {path}, column {field.name}",
                expected=f"{WALL} or {TS}" if field.name in LOCAL_COLUMNS else field.type,
                found=kind if kind is not None else f"columns {', '.join(found.names)}",
            )


def _as_engine_has_it(field: pa.Field, kind: pa.DataType | None, dataset: Dataset) -> bool:
    if kind is None:
        return bool(field.name == COUNTRY and dataset.segment == "5B")
    return is_time(field.type) and is_text(kind)


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def read_table(folder: Path, dataset: Dataset, columns: Sequence[str] | None = None) -> pa.Table:
    """All part files of a dataset as one table; text columns come as plain strings."""
    return read_files(parquet_files(folder, dataset), dataset, columns)


def read_files(files: Iterable[Path], dataset: Dataset, columns: Sequence[str] | None = None) -> pa.Table:
    """Some part files of a dataset as one table, in the order given."""
    assert dataset.schema is not None, dataset.dataset_id
    names = list(columns) if columns is not None else dataset.schema.names
    wanted = [dataset.schema.field(name) for name in names]
    target = pa.schema([pa.field(f.name, _plain(f.type)) if pa.types.is_dictionary(f.type) else f for f in wanted])
    tables = []
    for path in files:
        try:
            table = open_file(path, dataset, foreign=True).read(columns=names)
        except (pa.ArrowException, OSError) as error:
            raise damaged(f"{dataset.dataset_id}: {path}", error) from error
        tables.append(typed(with_country(table, names), target, f"{dataset.dataset_id}: {path}").cast(target))
    return pa.concat_tables(tables)


def cached_table(path: Path, make: Callable[[], pa.Table], what: str) -> pa.Table:
    """The table that is kept in a file with its digest next to it; made, and kept, where it is missing or damaged."""
    seal = path.with_suffix(".sha256")
    if path.is_file() and seal.is_file():
        content = path.read_bytes()
        if sha256_hex(content) == seal.read_text(encoding="ascii"):
            return pq.read_table(pa.BufferReader(content))
    table = make()
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    try:
        write_file(path, content)
        write_file(seal, sha256_hex(content).encode("ascii"))
    except OSError as error:
        raise EnvironmentFault(
            "5B.WORLD.CACHE_NOT_WRITABLE",
            f"{what} cannot be kept",
            where=str(path),
            found=str(error),
            next_step="make the folder writable, or name another one in XDG_CACHE_HOME",
        ) from error
    return table
