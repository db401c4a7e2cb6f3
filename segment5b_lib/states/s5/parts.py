"""The part files of the arrivals by their footers, in key order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from segment5b_lib.contract.datasets import LOCAL_COLUMNS, dataset
from segment5b_lib.states.s5.check import require_values
from segment5b_lib.store.parquet import open_file
from segment5b_lib.store.scan import open_group, scan_file

OPTIONAL: Final = ("site_id", "edge_id", "tzid_settlement", "tzid_operational", *LOCAL_COLUMNS[1:])
"""Columns that are null for one of the two kinds of arrival."""
_ARRIVALS: Final = dataset("arrival_events_5B")
_ORDER: Final = ("merchant_id", "ts_utc", "arrival_seq")
ArrivalKey = tuple[int, int, int]
"""(merchant_id, ts_utc in microseconds, arrival_seq): by these the arrivals are sorted."""


@dataclass(frozen=True)
class PartFile:
    """One part file by its footer, which is parsed once.

    `group_rows` are the sizes of its row groups, `local_types` the Arrow types of the three local columns, `nulls`
    the number of nulls of each optional column. `first` and `last` are its outermost rows, `ts_range` (microseconds
    UTC) and `bucket_range` inclusive; None if the file has no rows.
    """

    path: Path
    footer: pq.FileMetaData = field(compare=False, repr=False)
    group_rows: tuple[int, ...]
    local_types: tuple[pa.DataType, ...]
    nulls: dict[str, int]
    first: ArrivalKey | None
    last: ArrivalKey | None
    ts_range: tuple[int, int] | None
    bucket_range: tuple[int, int] | None

    @property
    def rows(self) -> int:
        return sum(self.group_rows)


@dataclass(frozen=True)
class RowGroup:
    """One row group: its file, its place there, and the rank of its first row among all rows of the scenario."""

    path: Path
    footer: pq.FileMetaData = field(compare=False, repr=False)
    index: int
    rows: int
    first_rank: int


def read_parts(files: Sequence[Path], threads: int) -> list[PartFile]:
    """Footers of one scenario's part files in the order of their first rows; empty files come first."""
    with ThreadPoolExecutor(max_workers=threads) as pool:
        parts = list(pool.map(_read, files))
    return sorted(parts, key=lambda part: part.first or (0, 0, 0))


def row_groups(parts: Sequence[PartFile]) -> list[RowGroup]:
    """All row groups of parts that come in key order."""
    groups, rank = [], 0
    for part in parts:
        for index, rows in enumerate(part.group_rows):
            groups.append(RowGroup(part.path, part.footer, index, rows, rank))
            rank += rows
    return groups


def read_rows(group: RowGroup, columns: Sequence[str]) -> pa.Table:
    """Some columns of one row group; text comes dictionary-encoded. Only optional columns may hold nulls."""
    with _opened(group, columns) as file:
        return _complete(group, file.read_row_group(group.index, columns=list(columns), use_threads=False))


def read_batches(group: RowGroup, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """The same in tables of at most `rows` rows: small ones fit the caches."""
    with _opened(group, columns) as file:
        for batch in file.iter_batches(rows, row_groups=[group.index], columns=list(columns), use_threads=False):
            yield _complete(group, pa.Table.from_batches([batch]))


def _opened(group: RowGroup, columns: Sequence[str]) -> AbstractContextManager[pq.ParquetFile]:
    return open_group(group.path, group.index, _ARRIVALS, columns, group.footer, next_step="segment5b run S4")


def _complete(group: RowGroup, table: pa.Table) -> pa.Table:
    optional = [name for name in table.column_names if name in OPTIONAL]
    require_values(table.drop_columns(optional), f"arrival_events_5B: {group.path}")
    return table


def _read(path: Path) -> PartFile:
    with open_file(path, _ARRIVALS) as file:
        metadata, schema = file.metadata, file.schema_arrow
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    statistics = [_statistics(group) for group in groups]
    rows = metadata.num_rows
    return PartFile(
        path,
        metadata,
        tuple(group.num_rows for group in groups),
        tuple(schema.field(name).type for name in LOCAL_COLUMNS),
        {name: sum(group[name].null_count for group in statistics) for name in OPTIONAL},
        _outermost(path, last=False) if rows else None,
        _outermost(path, last=True) if rows else None,
        _range(statistics, "ts_utc") if rows else None,
        _range(statistics, "bucket_index") if rows else None,
    )


def _statistics(group: Any) -> dict[str, Any]:
    columns = (group.column(index) for index in range(group.num_columns))
    return {column.path_in_schema: column.statistics for column in columns}


def _range(groups: Sequence[dict[str, Any]], name: str) -> tuple[int, int]:
    low = min(group[name].min_raw for group in groups)
    high = max(group[name].max_raw for group in groups)
    return int(low), int(high)


def _outermost(path: Path, *, last: bool) -> ArrivalKey:
    frame = scan_file(path).select(_ORDER).with_columns(pl.col("ts_utc").to_physical())
    merchant, instant, seq = (frame.tail(1) if last else frame.head(1)).collect().row(0)
    return int(merchant), int(instant), int(seq)
