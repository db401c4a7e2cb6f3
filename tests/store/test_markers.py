"""A marker is typed: what is written is read back, foreign keys are ignored, a missing one is a typed error."""

from __future__ import annotations

import json

import pytest

from segment5b_lib.errors import PolicyError
from segment5b_lib.identity import canonical_json
from segment5b_lib.store.runs import Run


def test_a_marker_is_written_as_it_was_read(published_run: Run) -> None:
    for state in ("S0", "S4", "S5"):
        content = published_run.marker_path(state).read_bytes()
        marker = published_run.marker(state)
        assert marker is not None and marker.content() == content == canonical_json(json.loads(content))


def test_keys_of_another_version_are_ignored(own_run: Run) -> None:
    before, path = own_run.marker("S1"), own_run.marker_path("S1")
    document = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps({**document, "generation": 7}))
    assert own_run.marker("S1") == before


@pytest.mark.parametrize("key", ["outputs", "inputs", "policies", "counters"])
def test_a_marker_without_a_part_is_refused_by_name(own_run: Run, key: str) -> None:
    path = own_run.marker_path("S1")
    document = json.loads(path.read_text())
    del document[key]
    path.unlink()
    path.write_text(json.dumps(document))
    with pytest.raises(PolicyError, match=f"key {key}"):
        own_run.outputs("S1")


def test_a_state_that_has_not_published_has_no_outputs_and_no_counters(own_run: Run) -> None:
    own_run.marker_path("S5").unlink()
    assert own_run.marker("S5") is None
    assert own_run.outputs("S5") == [] and own_run.counters("S5") == {}
