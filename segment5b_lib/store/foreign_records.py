"""Run records that another tool wrote: rows of one run, in our shape; what they do not say is empty, never invented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from segment5b_lib.contract.words import STATES, Lane, Status
from segment5b_lib.errors import InputError
from segment5b_lib.store.documents import read_text

_UNTOLD: Final[dict[str, Any]] = {
    "error_code": None,
    "rows_in": None,
    "rows_out": None,
    "peak_rss_bytes": None,
    "threads": None,
    "machine": None,
}
_LANES: Final = frozenset(lane.value for lane in Lane)


def record_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of one file.

    Raises
    ------
    InputError : ``5B.ATTACH.RECORD_UNREADABLE`` where a line is no JSON object.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            row = json.loads(line) if line.strip() else {}
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InputError(
                "5B.ATTACH.RECORD_UNREADABLE",
                "a run record is no JSON object",
                where=f"{path}, line {number}",
                expected="one JSON object per line",
                found=line[:80],
                next_step="restore the file, or remove the line",
            )
        rows.append(row)
    return [row for row in rows if row]


def of_run(row: Mapping[str, Any], run_id: str) -> bool:
    """Whether a row is about a state of this run of segment 5B."""
    return row.get("run_id") == run_id and row.get("segment", "5B") == "5B" and row.get("state") in STATES


def in_our_shape(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """A row with every field that readers use; None where it does not say how long the state took, or how it ended."""
    wall = _mapping(row.get("durations")).get("wall_ms")
    if row.get("status") not in tuple(Status) or not _is_number(wall):
        return None
    return {
        **_UNTOLD,
        **row,
        "durations": row["durations"],
        "counters": _mapping(row.get("counters")),
        "steps": _steps(row.get("steps")),
    }


def untold(row: Mapping[str, Any]) -> list[str]:
    """What a row does not say."""
    if in_our_shape(row) is None:
        return ["status and durations.wall_ms"]
    lost = [name for name in ("rows_in", "rows_out", "threads", "machine") if row.get(name) is None]
    return lost if _steps(row.get("steps")) else [*lost, "steps with lanes"]


def _steps(steps: object) -> list[dict[str, Any]]:
    """Steps with their lanes; none at all where one of them lacks its lane or its time."""
    rows = steps if isinstance(steps, list) else []
    told = [
        {"rows": None, "bytes": None, **row}
        for row in rows
        if isinstance(row, dict) and row.get("lane") in _LANES and _is_number(row.get("wall_ms")) and "name" in row
    ]
    return told if len(told) == len(rows) else []


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
