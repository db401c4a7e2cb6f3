"""Rows [start, stop) of a dataset that lies in several files, reading only the row groups they touch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from segment5b_lib.contract.datasets import Dataset
from segment5b_lib.store.parquet import damaged, open_file


class RowRanges:
    """Random access by row position over the part files of one dataset. Safe to read from many threads."""

    def __init__(self, files: Sequence[Path], dataset: Dataset) -> None:
        self._dataset = dataset
        self._groups: list[tuple[Path, int]] = []
        self._starts = [0]
        for path in files:
            metadata = open_file(path, dataset).metadata
            for group in range(metadata.num_row_groups):
                self._groups.append((path, group))
                self._starts.append(self._starts[-1] + metadata.row_group(group).num_rows)

    @property
    def rows(self) -> int:
        """Number of rows in all files."""
        return self._starts[-1]

    @property
    def row_groups(self) -> list[tuple[int, int]]:
        """The half-open row range of each row group that has rows."""
        return [(start, stop) for start, stop in pairwise(self._starts) if stop > start]

    def read(self, columns: Sequence[str], start: int, stop: int) -> pa.Table:
        """Rows [start, stop); text columns come dictionary-encoded."""
        first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, stop - 1)
        tables = [self._read_group(position, columns) for position in range(first, last)]
        return pa.concat_tables(tables).slice(start - self._starts[first], stop - start)

    def _read_group(self, position: int, columns: Sequence[str]) -> pa.Table:
        path, group = self._groups[position]
        schema = self._dataset.schema
        assert schema is not None, self._dataset.dataset_id
        text = [name for name in columns if pa.types.is_string(schema.field(name).type)]
        try:
            with pq.ParquetFile(path, read_dictionary=text, memory_map=True) as file:
                return file.read_row_group(group, columns=list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise damaged(f"{self._dataset.dataset_id}: {path}, row group {group}", error) from error
