"""The pinned outputs, made once for all workers from the notebooks' prepared folder."""

from __future__ import annotations

import pytest

from segment5b_lib.store.locks import locked
from tests.golden.digests import Outputs, Pin
from tests.golden.outputs import golden_outputs
from tests.golden.pins import Pinned
from tests.notebooks.prepare import WAIT_SECONDS, prepared, shared_base


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """The outputs folder that is pinned. Never write to it; see `copy_of`."""
    base = shared_base(tmp_path_factory)
    ready, folder, made = prepared(base / "prepared"), base / "golden" / "outputs", base / ".golden.made"
    with locked(base / ".golden.lock", "make the golden outputs", wait_seconds=WAIT_SECONDS):
        if not made.exists():
            golden_outputs(ready, folder)
            made.touch()
    return Outputs(folder)


@pytest.fixture(scope="session")
def found(golden: Outputs) -> dict[str, Pin]:
    """What lies in it, as `pins.txt` would have it."""
    return Pinned.of(golden.pins()).pins
