"""The pinned outputs, made once for the session from the notebooks' prepared folder."""

from __future__ import annotations

import pytest

from tests.golden.digests import Outputs, Pin
from tests.golden.outputs import golden_outputs
from tests.golden.pins import Pinned
from tests.notebooks.prepare import prepared, shared_base


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """The outputs folder that is pinned. Never write to it; see `copy_of`."""
    base = prepared(shared_base(tmp_path_factory) / "prepared")
    return Outputs(golden_outputs(base, tmp_path_factory.mktemp("golden") / "outputs"))


@pytest.fixture(scope="session")
def found(golden: Outputs) -> dict[str, Pin]:
    """What lies in it, as `pins.txt` would have it."""
    return Pinned.of(golden.pins()).pins
