"""T12: a local time is wall clock without a UTC marker; producer and an independent reader agree on that.

Value: share of rows in part files whose three local columns all do, over all arrivals. The producer's word is the
Parquet schema (isAdjustedToUTC) and the footer's statistics; the independent reader is DuckDB, which shares no Parquet
code with Arrow. Of a run whose times are text the texts are judged: without a `Z` they say no more than the wall did.
Source: remediation report behind the plan.

Thresholds: validation_policy_5B.yaml, gates.T12.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segment5b_lib.contract.dataset import WALL
from segment5b_lib.contract.datasets import LOCAL_COLUMNS, dataset
from segment5b_lib.contract.verdicts import Measurement, not_measured
from segment5b_lib.errors import InputError
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group
from segment5b_lib.store.parquet import MARK, is_text, open_file, typed

_READER_WALL: Final = ("TIMESTAMP", "TEXT WITHOUT Z")
_EPOCH: Final = datetime(1970, 1, 1)
_PROBE: Final = "typeof(any_value({name})), epoch_us(min({name})), epoch_us(max({name}))"
_DIGITS: Final = f"CAST(rtrim({{name}}, '{MARK}') AS TIMESTAMP)"
_TEXT_PROBE: Final = (
    f"CASE WHEN bool_or(ends_with({{name}}, '{MARK}')) THEN 'TEXT WITH {MARK}' ELSE 'TEXT WITHOUT {MARK}' END, "
    f"epoch_us(min({_DIGITS})), epoch_us(max({_DIGITS}))"
)
"""Type, smallest and largest digits of a column of timestamps, and of one of texts; names are the contract's."""


def measure(evidence: Evidence) -> Measurement:
    files = {h.scenario_id: evidence.run.files("arrival_events_5B", h.scenario_id) for h in evidence.horizons}
    lines = [{"scenario": name, **row} for name, paths in files.items() for path in paths for row in _inspect(path)]
    table = pl.DataFrame(lines)
    by_file = table.group_by("scenario", "file").agg(pl.col("rows").first(), pl.col("honours").all())
    total = int(by_file["rows"].sum())
    empty = by_file.group_by("scenario").agg(pl.col("rows").sum()).filter(pl.col("rows") == 0)["scenario"].sort()
    if len(empty):
        return not_measured(f"scenario {', '.join(empty)} has no arrivals", "arrivals")
    honoured = int(by_file.filter("honours")["rows"].sum())
    columns = table.group_by("column", "stored_type", "reader_type", "same_digits").agg(
        files=pl.len(), rows=pl.col("rows").sum()
    )
    detail = {"files": by_file.height, "columns": columns.sort("column", "stored_type").to_dicts()}
    return Measurement(honoured / total, total, "arrivals", detail)


def _inspect(path: Path) -> list[dict[str, Any]]:
    with open_file(path, dataset("arrival_events_5B"), foreign=True) as file:
        seen = _reader_view(path, [is_text(file.schema_arrow.field(name).type) for name in LOCAL_COLUMNS])
        return [_column(file, name, str(path), *seen[3 * i : 3 * i + 3]) for i, name in enumerate(LOCAL_COLUMNS)]


def _column(
    file: pq.ParquetFile, name: str, path: str, reader_type: str, low: int | None, high: int | None
) -> dict[str, Any]:
    stored = file.schema_arrow.field(name).type
    same = (low, high) == _footer_range(file, name)
    return {
        "file": path,
        "rows": file.metadata.num_rows,
        "column": name,
        "stored_type": str(stored),
        "reader_type": reader_type,
        "same_digits": same,
        "honours": (stored == WALL or is_text(stored)) and reader_type in _READER_WALL and same,
    }


def _reader_view(path: Path, text: list[bool]) -> tuple[Any, ...]:
    """What DuckDB sees: type, smallest and largest digits (microseconds) of each local column, some of them text."""
    pairs = zip(LOCAL_COLUMNS, text, strict=True)
    probe = ", ".join((_TEXT_PROBE if is_words else _PROBE).format(name=name) for name, is_words in pairs)
    with duckdb.connect() as connection:
        try:
            connection.execute("SET TimeZone = 'UTC'")
            row = connection.execute(f"SELECT {probe} FROM read_parquet(?)", [str(path)]).fetchall()[0]
        except duckdb.Error as error:
            raise InputError(
                "5B.STORE.NOT_PARQUET",
                "an independent reader cannot read a Parquet file",
                where=f"arrival_events_5B: {path}",
                found=str(error).splitlines()[0][:200],
            ) from error
    return tuple(row)


def _footer_range(file: pq.ParquetFile, name: str) -> tuple[int | None, int | None]:
    """Smallest and largest digits (microseconds) by Arrow: from the footer, or read where it has none."""
    position = file.schema_arrow.get_field_index(name)
    ends: list[int] = []
    for group in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(group).column(position).statistics
        if statistics is not None and statistics.has_min_max and isinstance(statistics.min, datetime):
            ends += [_digits(statistics.min), _digits(statistics.max)]
        else:
            values = _read(file, group, name).column(0).cast(pa.int64()).drop_null()
            ends += [int(end.as_py()) for end in (pc.min(values), pc.max(values)) if end.is_valid]
    return (min(ends), max(ends)) if ends else (None, None)


def _read(file: pq.ParquetFile, group: int, name: str) -> pa.Table:
    contract = dataset("arrival_events_5B").schema
    assert contract is not None
    return typed(file.read_row_group(group, columns=[name]), contract, "arrival_events_5B")


def _digits(moment: datetime) -> int:
    return (moment.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)


GATES: Final = (
    Gate(
        gate_id="T12",
        title="Local-time contract",
        unit="share",
        formula="rows whose local columns are wall clock without a UTC marker, by the file's own schema "
        "and as an independent reader sees them",
        evidence=(ARRIVALS,),
        owner="S4",
        group=Group.LOCAL_TIME,
        measure=measure,
        watched_by_s5=True,
    ),
)
