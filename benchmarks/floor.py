"""Minimum cost of a state's input and output: reading its inputs, and writing its outputs from memory.

Writing uses the library's writer with the row groups and the number of threads of the state itself. Tables are
brought into memory a few part files at a time, which is not counted; neither are digests and fsync, which the
state has and the floor has not.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.states.surface import series_slices
from segment5b_lib.store.parquet import open_writer
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import RowRanges

SURFACE = "merchant_zone_scenario_local_5A"
PARTS_PER_THREAD = 2
"""Part files in memory for each thread: enough to keep the threads busy, few enough for memory."""


@dataclass(frozen=True)
class Floor:
    """Inputs of a state (dataset and columns), and the tables that it writes."""

    reads: tuple[str, tuple[str, ...]] | None
    writes: tuple[str, ...]


FLOORS = {
    "S2": Floor((SURFACE, ("lambda_local_scenario",)), ("s2_realised_intensity_5B",)),
    "S3": Floor(("s2_realised_intensity_5B", ("lambda_realised",)), ("s3_bucket_counts_5B",)),
    "S4": Floor(None, ("arrival_events_5B", "s4_arrival_summary_5B")),
}


def floor_of(run: Run, state: str, threads: int) -> dict[str, Any]:
    """Seconds by dataset, and their sum `wall_s`."""
    floor, seconds = FLOORS[state], {}
    for scenario_id in run.scenarios:
        if floor.reads is not None:
            name, columns = floor.reads
            seconds[f"read {name} {scenario_id}"] = _read(run, scenario_id, name, columns, threads)
        for name in floor.writes:
            seconds[f"write {name} {scenario_id}"] = _write(run.files(name, scenario_id), threads)
    return {"wall_s": sum(seconds.values()), "seconds": seconds}


def _read(run: Run, scenario_id: str, name: str, columns: tuple[str, ...], threads: int) -> float:
    """Read columns slice by slice, as the states do."""
    owner = run.world if name == SURFACE else run
    rows = RowRanges(owner.files(name, scenario_id), dataset(name))
    buckets = run.table("s1_time_grid_5B", ["bucket_index"], scenario_id).num_rows
    slices = series_slices(rows.rows // buckets, buckets)
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda part: rows.read(columns, part.start * buckets, part.stop * buckets), slices):
            pass
    return time.perf_counter() - started


def _write(files: list[Path], threads: int) -> float:
    """Write part files again from tables in memory."""
    seconds, batch = 0.0, PARTS_PER_THREAD * threads
    for start in range(0, len(files), batch):
        parts = [list(_row_groups(path)) for path in files[start : start + batch]]
        with tempfile.TemporaryDirectory(dir=outputs_folder()) as folder, ThreadPoolExecutor(threads) as pool:
            targets = [Path(folder) / path.name for path in files[start : start + batch]]
            started = time.perf_counter()
            list(pool.map(_write_part, targets, parts))
            seconds += time.perf_counter() - started
    return seconds


def _row_groups(path: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group).unify_dictionaries().combine_chunks()


def _write_part(path: Path, groups: list[pa.Table]) -> None:
    with open_writer(path, groups[0].schema) as writer:
        for table in groups:
            writer.write_table(table, row_group_size=table.num_rows)
