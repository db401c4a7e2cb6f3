"""Artefacts are append-only: attempts are numbered, a pointer names the current one, tampering is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from segment5b_lib.errors import MissingInputError, StaleError
from segment5b_lib.phases.engine.attempts import (
    Outcome,
    current,
    next_attempt,
    pointer_path,
    read_artefact,
    reports_folder,
)

RUN_ID = "0123456789abcdef" * 2
THING = ("p0_thing", "json")
OUTCOME = Outcome(decision="UNLOCK_P1", created_utc="2026-01-01T00:00:00.000000Z", items={"P0.1": "green"})


def publish(content: bytes) -> list[Path]:
    with next_attempt("p0", RUN_ID) as attempt:
        return attempt.publish({THING: content, ("p0_thing", "md"): b"# thing\n"}, OUTCOME)


def test_a_second_execution_keeps_the_first(private_outputs: Path) -> None:
    (first, page) = publish(b'{"n":1}')
    (second, _) = publish(b'{"n":2}')
    assert first.name == f"segment5b_p0_thing_{RUN_ID}.json" and page.suffix == ".md"
    assert second.name == f"segment5b_p0_thing_{RUN_ID}.attempt-2.json"
    assert first.read_bytes() == b'{"n":1}' and second.read_bytes() == b'{"n":2}'
    pointer = current("p0", RUN_ID)
    assert pointer is not None and pointer.attempt == 2 and pointer.decision == "UNLOCK_P1"
    assert read_artefact("p0", RUN_ID, "p0_thing") == {"n": 2}


def test_an_attempt_that_died_before_its_pointer_is_not_overwritten(private_outputs: Path) -> None:
    (first, _) = publish(b'{"n":1}')
    pointer_path("p0", RUN_ID).unlink()
    (second, _) = publish(b'{"n":2}')
    assert first.read_bytes() == b'{"n":1}' and second != first


def test_phases_and_runs_are_counted_apart(private_outputs: Path) -> None:
    publish(b"{}")
    with next_attempt("p1", RUN_ID) as other_phase, next_attempt("p0", "f" * 32) as other_run:
        assert other_phase.number == other_run.number == 1


def test_what_is_missing_or_changed_is_named(private_outputs: Path) -> None:
    with pytest.raises(MissingInputError) as missing:
        read_artefact("p0", RUN_ID, "p0_thing")
    assert missing.value.next_step == f"segment5b phase P0 {RUN_ID[:8]}"
    (path, _) = publish(b'{"n":1}')
    with pytest.raises(MissingInputError):
        read_artefact("p0", RUN_ID, "another")
    path.write_bytes(b'{"n":9}')
    with pytest.raises(StaleError) as changed:
        read_artefact("p0", RUN_ID, "p0_thing")
    assert changed.value.code == "5B.PHASE.ARTEFACT_CHANGED"


def test_nothing_but_artefacts_pointer_and_lock_is_left(private_outputs: Path) -> None:
    publish(b"{}")
    names = {path.name for path in reports_folder(RUN_ID).iterdir()}
    artefacts = {f"segment5b_p0_thing_{RUN_ID}.json", f"segment5b_p0_thing_{RUN_ID}.md"}
    assert names == artefacts | {f"segment5b_p0_current_{RUN_ID}.json", ".p0.lock"}
