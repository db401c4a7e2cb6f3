"""Every dataset the segment reads or writes, by id."""

from __future__ import annotations

from typing import Final

from segment5b_lib.contract.dataset import PART_FILE, TS, WALL, Dataset
from segment5b_lib.contract.outputs import LOCAL_COLUMNS, OUTPUTS, SERIES_KEY, arrival_schema
from segment5b_lib.contract.upstream import SITE_KEY, SURFACE_KEY, UPSTREAM
from segment5b_lib.errors import UsageError

__all__ = [
    "DATASETS",
    "LOCAL_COLUMNS",
    "OUTPUTS",
    "PART_FILE",
    "SERIES_KEY",
    "SITE_KEY",
    "SURFACE_KEY",
    "TS",
    "UPSTREAM",
    "UPSTREAM_SEGMENTS",
    "WALL",
    "Dataset",
    "arrival_schema",
    "dataset",
    "folder_of",
    "validation_folder",
]

DATASETS: Final[dict[str, Dataset]] = {d.dataset_id: d for d in (*UPSTREAM, *OUTPUTS)}

UPSTREAM_SEGMENTS: Final = ("1A", "1B", "2A", "2B", "3A", "3B", "5A")


def dataset(dataset_id: str) -> Dataset:
    """Look a dataset up by id; the error lists what exists."""
    try:
        return DATASETS[dataset_id]
    except KeyError:
        raise UsageError(
            "5B.CONTRACT.UNKNOWN_DATASET",
            f"there is no dataset {dataset_id!r}",
            expected=", ".join(sorted(DATASETS)),
            found=dataset_id,
        ) from None


def folder_of(dataset_id: str, *, mf: str, seed: int | None = None, scenario_id: str | None = None) -> str:
    """Folder of a dataset, relative to its root, with the tokens filled in."""
    return dataset(dataset_id).folder.format(mf=mf, seed=seed, scenario_id=scenario_id)


def validation_folder(segment: str, mf: str) -> str:
    """Folder in which a segment keeps its validation bundle and `_passed.flag`, relative to its root."""
    layer = "layer2" if segment.startswith("5") else "layer1"
    return f"data/{layer}/{segment}/validation/manifest_fingerprint={mf}"
