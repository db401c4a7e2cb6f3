"""POPT.0's table of elapsed times: one row per state; a field that is missing is empty and named in its row."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

from segment5b_lib.contract.words import STATES
from segment5b_lib.phases.popt_timing import Timing
from segment5b_lib.views.timing import states

COLUMNS: Final = ("state", "elapsed_s", "status", "rows_in", "rows_out", "share", "runs", "spread_s", "missing")
_NEVER_EMPTY: Final = ("state", "status", "missing")


def elapsed_rows(timing: Timing) -> list[dict[str, Any]]:
    """One row per state.

    `elapsed_s` and `spread_s` are over the repetitions, `share` of their sum; status and rows of the run's own attempt.
    """
    samples = {state: timing.state(state) for state in STATES}
    total = sum(sample.median for sample in samples.values() if sample.n)
    rows = []
    for own in states(timing.run).to_dicts():
        sample = samples[own["state"]]
        row = {name: own[name] for name in ("state", "status", "rows_in", "rows_out")}
        row |= {
            "elapsed_s": sample.median if sample.n else None,
            "share": sample.median / total if sample.n else None,
            "runs": sample.n or None,
            "spread_s": sample.spread if sample.n else None,
        }
        row["missing"] = " ".join(name for name in COLUMNS if name not in _NEVER_EMPTY and row[name] is None)
        rows.append({name: row[name] for name in COLUMNS})
    return rows


def elapsed_csv(timing: Timing) -> bytes:
    """The table as CSV, seconds and shares with six digits after the point."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in elapsed_rows(timing):
        writer.writerow({name: f"{value:.6f}" if isinstance(value, float) else value for name, value in row.items()})
    return stream.getvalue().encode()


def unnamed(table: bytes) -> list[str]:
    """Empty cells of the table, as it was written, that their row does not name."""
    return [
        f"{row['state']}: {name} is empty"
        for row in csv.DictReader(io.StringIO(table.decode()))
        for name in COLUMNS
        if name not in _NEVER_EMPTY and not row[name] and name not in row["missing"].split()
    ]
