"""Where a run's time went: the lanes of each state's latest attempt."""

from __future__ import annotations

import polars as pl

from segment5b_lib.store.runs import Run


def state_elapsed(run: Run) -> pl.DataFrame:
    """Seconds of wall time by state and lane, from the step timers in the run records.

    Returns `state`, `lane`, `seconds`; empty for a run without records.
    """
    rows = [
        (state, step["lane"], step["wall_ms"] / 1e3)
        for state, record in run.last_records().items()
        for step in record["steps"]
    ]
    schema = {"state": pl.String, "lane": pl.String, "seconds": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.group_by("state", "lane").agg(pl.col("seconds").sum()).sort("state", "lane")
