"""Scorecards are kept in a folder of the test's own; the session's outputs are read-only by agreement."""

import pytest

from segment5b_lib.gates import saved


@pytest.fixture(autouse=True)
def kept_outputs(tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "outputs_folder", lambda: tmp_path)
