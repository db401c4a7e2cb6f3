"""nbval runs each stored notebook in an outputs folder of its own, copied from one that is prepared once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

from tests.notebooks.comparison import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.notebooks.prepare import copy_of, outputs_at, prepared, shared_base


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """The first cell's setup starts the notebook's kernel, which inherits the environment."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    factory = item.config._tmp_path_factory  # nbval's cells are no functions, and have no fixtures
    with outputs_at(_own_outputs(shared_base(factory), item.path.stem)):
        return (yield)


@cache
def _own_outputs(base: Path, notebook: str) -> Path:
    return copy_of(prepared(base / "prepared"), base / notebook)


@pytest.fixture
def prepared_copy(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A prepared outputs folder that a test may add to."""
    return copy_of(prepared(shared_base(tmp_path_factory) / "prepared"), tmp_path / "outputs")
