"""Opening the part files of arrivals, in every encoding of local times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from segment5b_lib.contract.datasets import TS, WALL, dataset
from segment5b_lib.errors import InputError
from segment5b_lib.store.engine_columns import is_text
from segment5b_lib.store.parquet import open_file

LOCAL_COLUMNS: Final = ("ts_local_primary", "ts_local_settlement", "ts_local_operational")
_ARRIVALS: Final = dataset("arrival_events_5B")


def open_arrivals(path: Path, *, foreign: bool = False) -> pq.ParquetFile:
    """Open one part file; local columns may be wall clock or marked as UTC, anything else is an error.

    `foreign`: columns may also be as the data engine writes them (see `engine_columns`).
    """
    assert _ARRIVALS.schema is not None
    others = [field for field in _ARRIVALS.schema if field.name not in LOCAL_COLUMNS]
    file = open_file(path, replace(_ARRIVALS, schema=pa.schema(others)), foreign=foreign)
    for name in LOCAL_COLUMNS:
        position = file.schema_arrow.get_field_index(name)
        found = file.schema_arrow.field(position).type if position >= 0 else None
        if found not in (TS, WALL) and not (foreign and found is not None and is_text(found)):
            raise InputError(
                "5B.STORE.SCHEMA_MISMATCH",
                "a local time column is missing or is no timestamp",
                where=f"arrival_events_5B: {path}, column {name}",
                expected=f"{WALL} or {TS}",
                found=found,
                next_step="restore the file, or rerun S4",
            )
    return file
