"""Scorecards are kept in a folder of the test's own; the session's outputs are read-only by agreement."""

import pytest

from segment5b_lib.gates import scoring


@pytest.fixture(autouse=True)
def kept_outputs(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "outputs_folder", lambda: tmp_path)
