"""Sealed worlds: the upstream inputs of one manifest fingerprint, read-only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from segment5b_lib.contract.datasets import dataset, folder_of, validation_folder
from segment5b_lib.errors import InputError, MissingInputError, UsageError
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.parquet import parquet_files, read_table
from segment5b_lib.store.roots import outputs_folder

if TYPE_CHECKING:
    import polars as pl

WORLD_FILE: Final = "world.json"


class DatasetRoot(ABC):
    """A folder of datasets: a world's or a run's."""

    @abstractmethod
    def folder(self, dataset_id: str, scenario_id: str | None = None) -> Path:
        """Folder of one dataset."""

    def table(self, dataset_id: str, columns: Sequence[str] | None = None, scenario_id: str | None = None) -> pa.Table:
        """A small dataset as an Arrow table; surface and arrivals are read in parts."""
        return read_table(self.folder(dataset_id, scenario_id), dataset(dataset_id), columns)

    def frame(
        self, dataset_id: str, columns: Sequence[str] | None = None, scenario_id: str | None = None
    ) -> pl.DataFrame:
        import polars as pl  # a tenth of a second, and only who asks for frames needs it

        return pl.DataFrame(pl.from_arrow(self.table(dataset_id, columns, scenario_id)))


@dataclass(frozen=True)
class World(DatasetRoot):
    """A sealed world on disk. `root` is the folder named by its manifest fingerprint.

    Of a world in an attached tree `own` is that folder: it holds our document, and `root` is the tree.
    """

    root: Path
    own: Path | None = None

    @cached_property
    def document(self) -> dict[str, Any]:
        """`world.json`: identity, inventory, parents, package versions."""
        folder = self.own or self.root
        path = folder / WORLD_FILE
        document = read_json(path)
        if not isinstance(document, dict) or document.get("manifest_fingerprint") != folder.name:
            named = document.get("manifest_fingerprint") if isinstance(document, dict) else type(document)
            raise InputError(
                "5B.WORLD.FINGERPRINT_MISMATCH",
                "a world's file names another fingerprint than its folder",
                where=str(path),
                expected=folder.name,
                found=named,
                next_step="restore the world, or build it again",
            )
        return document

    @property
    def mf(self) -> str:
        """Manifest fingerprint, 64 hex digits."""
        return str(self.document["manifest_fingerprint"])

    @property
    def rng_root(self) -> str:
        """Fingerprint of the oldest ancestor: the root of all random streams."""
        return str(self.document["rng_root"])

    @property
    def world_seed(self) -> int:
        """Seed of the builder; fills `{seed}` in upstream paths."""
        return int(self.document["world_seed"])

    @property
    def scale(self) -> str:
        """Name of the world file that it was built from."""
        return str(self.document["scale"])

    @property
    def scenarios(self) -> tuple[str, ...]:
        return tuple(sorted(self.document["scenarios"]))

    def folder(self, dataset_id: str, scenario_id: str | None = None) -> Path:
        relative = folder_of(dataset_id, mf=self.mf, seed=self.world_seed, scenario_id=scenario_id)
        return self.root / relative

    def files(self, dataset_id: str, scenario_id: str | None = None) -> list[Path]:
        """Files of a dataset in order: its parts, or its one file."""
        contract = dataset(dataset_id)
        folder = self.folder(dataset_id, scenario_id)
        if contract.in_parts:
            return parquet_files(folder, contract)
        path = folder / contract.file
        if not path.is_file():
            raise MissingInputError("5B.STORE.DATASET_MISSING", f"{dataset_id} has no file", where=str(path))
        return [path]

    def bundle_folder(self, segment: str) -> Path:
        return self.root / validation_folder(segment, self.mf)


def worlds_folder() -> Path:
    return outputs_folder() / "worlds"


def list_worlds() -> list[World]:
    return [World(path.parent) for path in sorted(worlds_folder().glob(f"*/{WORLD_FILE}"))]


def open_world(name: str) -> World:
    """Open a world by fingerprint, by a prefix of it, or by folder; without a name, the only one there is."""
    folder = Path(name)
    if (folder / WORLD_FILE).is_file():
        return World(folder.resolve())
    matches = [world for world in list_worlds() if world.root.name.startswith(name)]
    if len(matches) != 1:
        raise _unknown(name, matches)
    return matches[0]


def _unknown(name: str, matches: list[World]) -> UsageError:
    known = matches or list_worlds()
    if not known:
        what, next_step = "there is no world yet", "segment5b world build --scale small"
    elif not name:
        what, next_step = "there are several worlds, so one must be named", "segment5b run --world WORLD"
    else:
        what = f"{'several worlds begin' if matches else 'no world begins'} with {name!r}"
        next_step = "segment5b world show"
    return UsageError(
        "5B.WORLD.UNKNOWN",
        what,
        where=str(worlds_folder()),
        expected="one of: " + ", ".join(f"{world.root.name[:12]} ({world.scale})" for world in known) if known else "",
        found=name,
        next_step=next_step,
    )
