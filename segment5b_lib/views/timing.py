"""Elapsed times of a run: each state's latest attempt, and its lanes."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.words import STATES, Lane
from segment5b_lib.store.records import StateRecord
from segment5b_lib.store.runs import Run

_STATES_SCHEMA: Final = {
    "state": pl.String,
    "status": pl.String,
    "seconds": pl.Float64,
    **dict.fromkeys((lane.value for lane in Lane), pl.Float64),
    "rows_in": pl.Int64,
    "rows_out": pl.Int64,
    "peak_bytes": pl.Int64,
    "error_code": pl.String,
}


def states(run: Run) -> pl.DataFrame:
    """Every state of a run: status, time and memory of its latest attempt.

    Returns `state`, `status` (PASS, FAIL, LINKED: taken over from the parent run, ATTACHED: complete without a record,
    or NOT_RUN), `seconds` of wall time, seconds in each lane (`input_load`, `compute`, `validation`, `write`),
    `rows_in`, `rows_out`, `peak_bytes` (largest resident memory of the process until then), `error_code`. Values that
    were not measured, or that the record of an attached run lacks, are null.

    Example: `views.states(run.store)`
    """
    records = run.last_records()
    rows = [_attempt(records[name]) if name in records else _no_attempt(run, name) for name in STATES]
    return pl.DataFrame(rows, schema=_STATES_SCHEMA)


def _attempt(record: StateRecord) -> dict[str, object]:
    lanes = {lane.value: 0.0 for lane in Lane} if record.steps else {}
    for step in record.steps:
        lanes[step.lane] += step.wall_ms / 1e3
    return {
        **{name: getattr(record, name) for name in ("state", "status", "seconds", "rows_in", "rows_out", "error_code")},
        **lanes,
        "peak_bytes": record.peak_rss_bytes,
    }


def _no_attempt(run: Run, state: str) -> dict[str, object]:
    status = "ATTACHED" if run.attached else "LINKED"
    return {"state": state, "status": "NOT_RUN" if run.marker(state) is None else status}


def state_elapsed(run: Run) -> pl.DataFrame:
    """Seconds of wall time by state and lane, from the step timers in the run records.

    Returns `state`, `lane`, `seconds`; empty for a run without records.

    Example: `views.state_elapsed(run.store)`
    """
    rows = [
        (state, step.lane, step.wall_ms / 1e3) for state, record in run.last_records().items() for step in record.steps
    ]
    schema = {"state": pl.String, "lane": pl.String, "seconds": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.group_by("state", "lane").agg(pl.col("seconds").sum()).sort("state", "lane")
