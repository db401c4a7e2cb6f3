"""Parts of datasets: row groups and row ranges as Arrow tables, files as lazy frames. Nothing is held as a whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from os import sched_getaffinity
from pathlib import Path
from typing import Final, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from segment5b_lib.contract.dataset import Dataset
from segment5b_lib.contract.datasets import dataset
from segment5b_lib.errors import InputError
from segment5b_lib.store.parquet import RESTORE, check_files, damaged, is_text, open_file, typed, with_country
from segment5b_lib.store.runs import Run

MOST_THREADS: Final = 4
"""Every thread counts into tables of its own: more of them would cost more memory than time."""

Part = TypeVar("Part")
Result = TypeVar("Result")


def threads() -> int:
    """How many threads a pass uses: the cores this process may run on, at most MOST_THREADS."""
    return min(MOST_THREADS, len(sched_getaffinity(0)))


def each(work: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
    """Results of `work` on every part in the order of the parts, computed on several threads."""
    with ThreadPoolExecutor(threads()) as pool:
        yield from pool.map(work, parts)


def no_rows(dataset_id: str, scenario_id: str) -> InputError:
    return InputError(
        "5B.GATES.EMPTY_SCENARIO",
        f"{dataset_id} has no rows in scenario {scenario_id}",
        where=dataset_id,
        expected="rows in every scenario",
        found=f"none in {scenario_id}",
    )


def rows_of(files: Iterable[Path], contract: Dataset) -> int:
    """Number of rows of some part files, by their footers."""
    rows = 0
    for path in files:
        with open_file(path, contract, foreign=True) as file:
            rows += int(file.metadata.num_rows)
    return rows


def read_group(file: pq.ParquetFile, group: int, columns: Sequence[str], what: str) -> pa.Table:
    """Some columns of one row group of the dataset `what`, each in one chunk and in its contract's type.

    Damage inside a file becomes a typed error.
    """
    try:
        table = file.read_row_group(group, columns=list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise damaged(what, error) from error
    contract = dataset(what).schema
    assert contract is not None, what
    return typed(with_country(table.combine_chunks(), columns), contract, what)


@contextmanager
def open_group(
    path: Path,
    group: int,
    contract: Dataset,
    columns: Sequence[str],
    footer: pq.FileMetaData,
    *,
    next_step: str = RESTORE,
) -> Iterator[pq.ParquetFile]:
    """A checked file, to read some columns of one row group; text comes dictionary-encoded, damage is a typed error.

    `footer` is that of the file: it is not parsed again.
    """
    assert contract.schema is not None, contract.dataset_id
    text = [name for name in columns if is_text(contract.schema.field(name).type)]
    try:
        with pq.ParquetFile(path, metadata=footer, read_dictionary=text, memory_map=True) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise damaged(f"{contract.dataset_id}: {path}, row group {group}", error, next_step) from error


class RowRanges:
    """Random access by row position over the part files of one dataset. Safe to read from many threads."""

    def __init__(self, files: Sequence[Path], dataset: Dataset) -> None:
        self._dataset = dataset
        self._groups: list[tuple[Path, int, pq.FileMetaData]] = []
        self._starts = [0]
        for path in files:
            with open_file(path, dataset) as file:
                footer = file.metadata
            for group in range(footer.num_row_groups):
                self._groups.append((path, group, footer))
                self._starts.append(self._starts[-1] + footer.row_group(group).num_rows)

    @property
    def rows(self) -> int:
        return self._starts[-1]

    @property
    def row_groups(self) -> list[tuple[int, int]]:
        """The half-open row range of each row group that has rows."""
        return [(start, stop) for start, stop in pairwise(self._starts) if stop > start]

    def read(self, columns: Sequence[str], start: int, stop: int) -> pa.Table:
        """Rows [start, stop); text columns come dictionary-encoded."""
        first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, stop - 1)
        tables = []
        for path, group, footer in self._groups[first:last]:
            with open_group(path, group, self._dataset, columns, footer) as file:
                tables.append(file.read_row_group(group, columns=list(columns), use_threads=False))
        return pa.concat_tables(tables).slice(start - self._starts[first], stop - start)


def sql_rows(files: str) -> str:
    """What a query reads the rows of files from; `files` is the parameter that lists their paths, e.g. ``$1``."""
    return f"read_parquet({files}, hive_partitioning = false)"


def scan_file(path: Path) -> pl.LazyFrame:
    """The rows of one file whose schema has been checked; columns are those of the file, none from its path."""
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def scan_files(files: Sequence[Path], contract: Dataset) -> list[pl.LazyFrame]:
    """The rows of each file of a dataset; schemas are checked now, rows are read when a frame is collected."""
    check_files(files, contract)
    return [scan_file(path) for path in files]


def scan_dataset(run: Run, dataset_id: str, scenario_id: str, columns: Sequence[str]) -> pl.LazyFrame:
    """Some columns of one scenario of a 5B dataset; text comes as text, however it is coded."""
    return pl.concat(scan_parts(run, dataset_id, scenario_id, columns))


def scan_parts(run: Run, dataset_id: str, scenario_id: str, columns: Sequence[str]) -> list[pl.LazyFrame]:
    """The same, each part file for itself, in key order."""
    files = run.files(dataset_id, scenario_id)
    return [frame.select(columns) for frame in scan_files(files, dataset(dataset_id))]


def collect(frame: pl.LazyFrame, what: str) -> pl.DataFrame:
    """Run a query on the streaming engine; damage inside a file becomes a typed error."""
    try:
        return frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise damaged(what, error) from error
