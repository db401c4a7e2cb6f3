"""A run root as the data engine leaves it, made from a finished run of ours and its world: text times, no receipts.

The engine's layout is that of the contracts; beyond it the engine writes times as text, repeats identity as columns,
numbers its part files with five digits, keeps run records without lanes, and knows nothing of markers, receipts and
world files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segment5b_lib.contract.dataset import TS, WALL
from segment5b_lib.store.records import StateRecord
from segment5b_lib.store.runs import Run

RUN_ID = "c25a2675fbfbacd952b13bb594880e92"
"""A run of the data engine has an id that is not made by our rule."""
_SAID = ("layer", "segment", "state", "manifest_fingerprint", "parameter_hash", "seed", "status", "durations")
COUNTED = (*_SAID, "counters", "rows_in", "rows_out")
"""What a run record of the engine says at least, and what one with counters says."""


def engine_root(
    run: Run,
    folder: Path,
    *,
    world: bool = True,
    policies: bool = True,
    records: Sequence[str] = _SAID,
    marked: bool = True,
    keyed: bool = True,
) -> Path:
    """Write a run (and its world, policies, records) as the engine would.

    `records` are the fields of its run records, none for no records; `marked`: local times end in `Z`; `keyed`: series
    have a country, and S4 a summary.
    """
    root = folder / RUN_ID
    shutil.copytree(run.root / "data", root / "data")
    if world:
        shutil.copytree(run.world.root / "data", root / "data", dirs_exist_ok=True)
    if policies:
        shutil.copytree(run.root / "policies", root / "policies")
    receipt = run.receipt
    said = {"seed": str(receipt.seed), "parameter_hash": receipt.parameter_hash}
    if not keyed:
        shutil.rmtree(root / "data/layer2/5B/arrival_summary")
    for path in sorted(root.rglob("*.parquet")):
        if "/validation/" not in path.as_posix():
            if not keyed and "/layer2/5B/" in path.as_posix():
                pq.write_table(_without_country(path), path)
            _as_engine(path, said if "arrival_events" in path.as_posix() else {}, marked)
    _forget_files(root)
    partitions = f"seed={receipt.seed}/parameter_hash={receipt.parameter_hash}"
    audit = root / "logs/layer2/5B/rng/audit" / partitions / f"run_id={RUN_ID}" / "rng_audit.jsonl"
    audit.parent.mkdir(parents=True)
    audit.write_text(json.dumps({"algorithm": "philox2x64", "rng_root": receipt.rng_root}) + "\n")
    if records:
        _write_records(run, root, records)
    return root


def _without_country(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        table = file.read()
    return table.drop_columns([name for name in table.column_names if name == "legal_country_iso"])


def _as_engine(path: Path, columns: Mapping[str, str], marked: bool) -> None:
    with pq.ParquetFile(path) as file:
        table = file.read().replace_schema_metadata(None)
    if "/5B/" not in path.as_posix() and not any(field.type in (TS, WALL) for field in table.schema):
        return  # upstream bundles name such files by their digest
    for position, field in enumerate(table.schema):
        if field.type in (TS, WALL):
            suffix = "Z" if marked or not field.name.startswith("ts_local") else ""
            text = pc.binary_replace_slice(table.column(position).cast(WALL).cast(pa.string()), 10, 11, "T")
            table = table.set_column(position, field.name, pc.binary_join_element_wise(text, suffix, ""))
    for name, value in columns.items():
        table = table.append_column(name, pa.array([value] * table.num_rows, pa.string()))
    path.unlink()
    parts = path.stem.startswith("part-") and "/5B/" in path.as_posix()
    target = path.with_name(f"part-{int(path.stem[5:]):05d}.parquet") if parts else path
    pq.write_table(table, target, compression="snappy")


def _forget_files(root: Path) -> None:
    """The engine seals each input by one digest; file by file is ours."""
    for path in root.rglob("sealed_inputs_5B.json"):
        rows = [{name: value for name, value in row.items() if name != "files"} for row in json.loads(path.read_text())]
        path.write_text(json.dumps(rows))


def _write_records(run: Run, root: Path, said: Sequence[str]) -> None:
    path = root / "reports/layer2/segment_state_runs/segment=5B/utc_day=2026-02-22/segment_state_runs.jsonl"
    path.parent.mkdir(parents=True)
    rows = [{name: record[name] for name in said} for record in map(StateRecord.document, run.records())]
    path.write_text("".join(json.dumps({**row, "run_id": RUN_ID}) + "\n" for row in rows))


def edit_records(root: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    """Change every run record of a tree, or drop those for which nothing comes back."""
    for path in root.rglob("segment_state_runs.jsonl"):
        rows = [change(json.loads(line)) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows if row is not None))


def fingerprint(root: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time of change and number of links of everything below a root: what reading leaves as it is."""
    return {
        path.relative_to(root).as_posix(): ((stat := path.lstat()).st_size, stat.st_mtime_ns, stat.st_nlink)
        for path in sorted(root.rglob("*"))
    }
