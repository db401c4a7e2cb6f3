"""The clean hand-made run, scored once."""

from __future__ import annotations

import pytest

from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from tests.gates.hand_made import clean, write_run


@pytest.fixture(scope="session")
def clean_card(tmp_path_factory: pytest.TempPathFactory) -> Scorecard:
    return score(write_run(clean(), tmp_path_factory.mktemp("clean")))
