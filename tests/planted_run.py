"""Defects planted in a finished run, sealed as if the states had published them, and S5's word on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from segment5b_lib.errors import StateError
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5 import validation as s5_validation
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.parquet import open_writer
from segment5b_lib.store.runs import Run

Change = Callable[[pl.DataFrame], pl.DataFrame]
S2, S3 = "s2_realised_intensity_5B", "s3_bucket_counts_5B"
SUMMARY, ARRIVALS = "s4_arrival_summary_5B", "arrival_events_5B"


@dataclass(frozen=True)
class Verdict:
    """The report that S5 published, and the error with which it refused (if it did)."""

    report: dict[str, Any]
    error: StateError | None

    def check(self, check_id: str) -> dict[str, Any]:
        (found,) = [check for check in self.report["checks"] if check["check_id"] == check_id]
        return found

    def status(self, check_id: str) -> str:
        return str(self.check(check_id)["status"])


def judge(run: Run, threads: int = 2) -> Verdict:
    """Execute S5 over whatever lies in the run."""
    error = None
    try:
        s5_validation.run(Context(run, s5_validation.SPEC, threads))
    except StateError as refusal:
        error = refusal
    return Verdict(json.loads((run.bundle_folder / "validation_report_5B.json").read_text()), error)


def part_file(run: Run, dataset_id: str, part: int = 0) -> Path:
    scenario = None if dataset_id.startswith(("s0", "sealed")) else run.scenarios[0]
    return run.files(dataset_id, scenario)[part]


def rows_of(path: Path) -> pl.DataFrame:
    """A file's rows; text as text."""
    with pq.ParquetFile(path) as file:
        frame = pl.DataFrame(pl.from_arrow(file.read()))
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def plant(run: Run, dataset_id: str, change: Change, part: int = 0, schema: pa.Schema | None = None) -> None:
    """Change the rows of one file and seal the run again."""
    path = part_file(run, dataset_id, part)
    rows = change(rows_of(path))
    with pq.ParquetFile(path) as file:
        kept = schema or file.schema_arrow
    path.unlink()  # it may be a hard link
    with open_writer(path, kept) as writer:
        writer.write_table(rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(kept))
    reseal(run)


def edit_marker(run: Run, state: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = run.marker_path(state)
    marker = json.loads(path.read_text())
    change(marker)
    path.unlink()
    path.write_text(json.dumps(marker))


def reseal(run: Run) -> None:
    """Let every marker name the digests and sizes of today."""

    def renew(marker: dict[str, Any]) -> None:
        for output in marker["outputs"]:
            path = run.root / output["path"]
            output["sha256"], output["bytes"] = sha256_file(path), path.stat().st_size
        for name in marker["inputs"]:
            if (run.root / name).is_file():
                marker["inputs"][name] = sha256_file(run.root / name)

    for state in ("S0", "S1", "S2", "S3", "S4"):
        edit_marker(run, state, renew)


def where_row(position: int) -> pl.Expr:
    return pl.int_range(pl.len()) == position


def set_at(position: int, **values: Any) -> Change:
    """Set some columns of one row."""
    return lambda rows: rows.with_columns(
        pl.when(where_row(position)).then(pl.lit(value, rows.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )


def bundle_bytes(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.bundle_folder.iterdir())}


def stale_folders(run: Run) -> list[Path]:
    return sorted(path for path in run.bundle_folder.parent.iterdir() if ".stale_" in path.name)
