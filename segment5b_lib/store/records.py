"""Models of state markers and run records (contracts §2), also of records that another program wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from segment5b_lib.contract.strict import Recorded
from segment5b_lib.contract.words import STATES, Lane, StateStatus
from segment5b_lib.errors import InputError
from segment5b_lib.identity import canonical_json
from segment5b_lib.store.documents import read_text

Counters = dict[str, Any]
"""What a state counts, by name: totals, and nested by scenario, part file or random family."""


class OutputLine(Recorded):
    """One published file: its dataset, its path below the run root, its content."""

    dataset_id: str
    path: str
    sha256: str
    bytes: int


class Marker(Recorded):
    """A complete state. `inputs` maps paths, `policies` short names, to the digests that the state was made from.

    Of an attached run `inputs` is empty, and so is `policies` where nobody has recorded them.
    """

    state: str
    inputs: dict[str, str]
    policies: dict[str, str]
    outputs: tuple[OutputLine, ...]
    counters: Counters
    produced_by_parameter_hash: str

    def content(self) -> bytes:
        return canonical_json(self.model_dump())

    def of_scenario(self, scenario_id: str) -> Counters:
        counters: Counters = self.counters["scenarios"][scenario_id]
        return counters


class Durations(Recorded):
    """Milliseconds of an attempt, on the clock and on all cores."""

    wall_ms: float
    cpu_ms: float | None = None


class StepRecord(Recorded):
    """One step of an attempt: its lane, milliseconds, and what it went through."""

    name: str
    lane: Lane
    wall_ms: float
    cpu_ms: float | None = None
    rows: int | None = None
    bytes: int | None = None


class StateRecord(Recorded):
    """One attempt of a state. Ours have every field; of other programs' rows what is missing is None or empty.

    `peak_rss_bytes` is the largest resident memory of the process until the attempt's end.
    """

    layer: str | None = None
    segment: str | None = None
    state: str
    state_id: str | None = None
    manifest_fingerprint: str | None = None
    parameter_hash: str | None = None
    seed: int | None = None
    run_id: str | None = None
    scenario_set: tuple[str, ...] = ()
    status: StateStatus
    error_code: str | None = None
    error_context: dict[str, str] | None = None
    started_at_utc: str | None = None
    finished_at_utc: str | None = None
    durations: Durations
    peak_rss_bytes: int | None = None
    steps: tuple[StepRecord, ...] = ()
    rows_in: int | None = None
    rows_out: int | None = None
    counters: Counters = Field(default_factory=dict)
    threads: int | None = None
    machine: dict[str, str | int | None] | None = None

    @property
    def passed(self) -> bool:
        return self.status is StateStatus.PASS

    @property
    def seconds(self) -> float:
        return self.durations.wall_ms / 1e3

    def document(self) -> dict[str, object]:
        return self.model_dump(mode="json")


def record_lines(path: Path, *, bounded: bool = True) -> list[dict[str, Any]]:
    """The rows of one file; InputError where a line is no JSON object. `bounded` as for `documents.read_text`."""
    rows = []
    for number, line in enumerate(read_text(path, bounded=bounded).splitlines(), 1):
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


def normalised(row: Mapping[str, Any]) -> StateRecord | None:
    """Another program's row as a record, without the fields that it has in another form.

    None where it does not record how long the state took, or how it ended.
    """
    wrong: set[str] = set()
    try:
        StateRecord.model_validate_json(json.dumps(row))
    except ValidationError as error:
        wrong = {str(problem["loc"][0]) for problem in error.errors(include_url=False)}
    if wrong & {name for name, field in StateRecord.model_fields.items() if field.is_required()}:
        return None
    return StateRecord.model_validate_json(json.dumps({name: row[name] for name in row.keys() - wrong}))


def missing_fields(record: StateRecord | None) -> list[str]:
    """What a normalised row does not record."""
    if record is None:
        return ["status and durations.wall_ms"]
    missing = [name for name in ("rows_in", "rows_out", "threads", "machine") if getattr(record, name) is None]
    return missing if record.steps else [*missing, "steps with lanes"]
