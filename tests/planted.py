"""Worlds with a planted defect, sealed like any other, so that only the defect can be found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.store.parquet import write_table
from segment5b_lib.store.worlds import World
from segment5b_lib.world import surface_files
from segment5b_lib.world.build import build_world
from segment5b_lib.world.world_file import load_spec

SURFACE = dataset("merchant_zone_scenario_local_5A")


def world_with_surface(
    change: Callable[[pl.DataFrame], pl.DataFrame], outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> World:
    """The tiny world, except that segment 5A publishes a surface that `change` has been at."""
    write_surface = surface_files.write_surface

    def write_changed(plan: Any, stage: Any, scenario: Any) -> int:
        rows = write_surface(plan, stage, scenario)
        for path in sorted(stage.root.glob("data/layer2/5A/merchant_zone_scenario_local/**/*.parquet")):
            changed = change(pl.read_parquet(path, hive_partitioning=False))
            write_table(path, changed.to_arrow(compat_level=pl.CompatLevel.oldest()), SURFACE)
        return rows

    monkeypatch.setattr(surface_files, "write_surface", write_changed)
    return build_world(load_spec("tiny"), outputs).world
