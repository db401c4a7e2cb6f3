"""Run records are typed: ours are read back as they were written; what another program has otherwise is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import PolicyError
from segment5b_lib.store.records import StateRecord, missing_fields, normalised
from segment5b_lib.store.runs import Run


def lines(run: Run) -> list[str]:
    paths = sorted(run.records_root.glob("utc_day=*/*.jsonl"))
    return [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_record_is_written_as_it_was_read(published_run: Run) -> None:
    records = published_run.records()
    assert [json.dumps(record.document()) for record in records] == lines(published_run)
    assert [record.state for record in records] == list(STATES) and all(record.passed for record in records)
    assert all(missing_fields(record) == [] for record in records)


def test_a_record_of_ours_without_an_end_is_refused(own_run: Run) -> None:
    path = max(own_run.records_root.glob("utc_day=*/*.jsonl"))
    path.write_text(json.dumps({"state": "S1", "durations": {"wall_ms": 1.0}}) + "\n", encoding="utf-8")
    with pytest.raises(PolicyError, match="key status"):
        own_run.records()


LEAST: dict[str, Any] = {"state": "S2", "status": "PASS", "durations": {"wall_ms": 40}}
STEP = {"name": "draw", "lane": "compute", "wall_ms": 3}


@pytest.mark.parametrize("lost", ["status", "durations"])
def test_a_foreign_row_without_an_end_or_a_time_is_no_record(lost: str) -> None:
    row = {name: value for name, value in LEAST.items() if name != lost}
    assert normalised(row) is None and normalised({**LEAST, lost: "unknown"}) is None
    assert missing_fields(None) == ["status and durations.wall_ms"]


@pytest.mark.parametrize(
    ("planted", "field", "value"),
    [
        ({"rows_in": "many"}, "rows_in", None),
        ({"counters": [1, 2]}, "counters", {}),
        ({"seed": "42"}, "seed", None),
        ({"steps": [STEP, {"name": "no lane", "wall_ms": 1.0}]}, "steps", ()),
        ({"steps": [{**STEP, "lane": "elsewhere"}]}, "steps", ()),
        ({"made_by": {"tool": 1}}, "rows_out", None),
    ],
)
def test_fields_in_another_form_are_left_out(planted: dict[str, Any], field: str, value: object) -> None:
    record = normalised({**LEAST, **planted})
    assert isinstance(record, StateRecord) and record.seconds == 0.04
    assert getattr(record, field) == value


def test_what_a_foreign_row_does_not_record_is_named() -> None:
    assert missing_fields(normalised(LEAST)) == ["rows_in", "rows_out", "threads", "machine", "steps with lanes"]
    full = {**LEAST, "rows_in": 1, "rows_out": 2, "threads": 3, "machine": {"system": "Linux"}, "steps": [STEP]}
    assert missing_fields(normalised(full)) == []
