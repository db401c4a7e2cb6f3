"""A world under construction: a folder with `{mf}` where the fingerprint will be, and what lies in it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa

from segment5b_lib.arrays import I64
from segment5b_lib.contract.dataset import Dataset
from segment5b_lib.contract.datasets import dataset, folder_of, validation_folder
from segment5b_lib.errors import EnvironmentFault
from segment5b_lib.identity import canonical_json
from segment5b_lib.store.digest import sha256_files
from segment5b_lib.store.parquet import write_table
from segment5b_lib.world.plan import Plan

MF_PLACEHOLDER: Final = "{mf}"
"""Stands for the fingerprint in inventory paths, and in folder names until it is known."""


def named(names: Sequence[str], index: I64) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(index))


def site_key(plan: Plan) -> dict[str, object]:
    """Key columns of datasets with one row per site."""
    series, sites = plan.series, plan.sites
    return {
        "merchant_id": plan.merchants.ids[series.merchant[sites.series]],
        "legal_country_iso": named(plan.cells.country, series.cell[sites.series]),
        "site_order": sites.order,
    }


def zone_key(plan: Plan) -> dict[str, object]:
    """Key columns of datasets with one row per series."""
    series = plan.series
    return {
        "merchant_id": plan.merchants.ids[series.merchant],
        "legal_country_iso": named(plan.cells.country, series.cell),
        "tzid": named(plan.cells.tzid, series.cell),
    }


class Stage:
    """Where writers put their files. Every file is registered with its dataset and owner segment."""

    def __init__(self, root: Path, world_seed: int) -> None:
        self.root = root
        self.world_seed = world_seed
        self.owners: dict[str, tuple[str, str]] = {}

    def file(self, dataset_id: str, *, part: int = 0, scenario_id: str | None = None) -> Path:
        """Register the next file of a dataset and return where it goes."""
        contract = dataset(dataset_id)
        folder = folder_of(dataset_id, mf=MF_PLACEHOLDER, seed=self.world_seed, scenario_id=scenario_id)
        return self.register(dataset_id, contract.segment, f"{folder}/{contract.file.format(part=part)}")

    def register(self, dataset_id: str, segment: str, relative: str) -> Path:
        self.owners[relative] = (dataset_id, segment)
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def table(self, dataset_id: str, columns: Mapping[str, object], *, part: int = 0) -> None:
        """Write one Parquet file of a dataset."""
        contract = dataset(dataset_id)
        write_table(self.file(dataset_id, part=part), table_of(contract, columns), contract)

    def member(self, segment: str, name: str, document: object) -> None:
        relative = f"{validation_folder(segment, MF_PLACEHOLDER)}/{name}"
        self.json(f"validation_bundle_{segment}", segment, relative, document)

    def config(self, segment: str, document: object) -> None:
        """Write the knobs of a segment that may be reopened."""
        self.json(f"policy_{segment}", segment, config_path(segment), document)

    def json(self, dataset_id: str, segment: str, relative: str, document: object) -> None:
        self.register(dataset_id, segment, relative).write_bytes(canonical_json(document) + b"\n")

    def link(self, source: Path, dataset_id: str, segment: str, relative: str) -> None:
        """Take a file over from another world on the same disk, without copying it."""
        target = self.register(dataset_id, segment, relative)
        try:
            os.link(source, target)
        except OSError as error:
            raise EnvironmentFault(
                "5B.WORLD.CANNOT_LINK",
                "a file of the parent world cannot be linked",
                where=str(source),
                expected="a file system with hard links that holds both worlds",
                found=str(error),
                next_step="keep the outputs folder on one such disk (SEGMENT5B_OUTPUTS)",
            ) from error

    def inventory(self, threads: int, known: Mapping[str, str]) -> list[dict[str, str]]:
        """Every registered file with its content digest, by path; `known` digests are not computed again."""
        digests = sha256_files([self.root / path for path in self.owners if path not in known], threads)
        return [
            {
                "dataset_id": dataset_id,
                "owner_segment": segment,
                "path": path,
                "sha256": known[path] if path in known else digests[self.root / path],
            }
            for path, (dataset_id, segment) in sorted(self.owners.items())
        ]


def config_path(segment: str) -> str:
    """Where the knobs of a segment are kept, relative to the world."""
    return f"config/layer1/{segment}/policy.json"


def table_of(contract: Dataset, columns: Mapping[str, object]) -> pa.Table:
    """Columns as a table with the contract's types and order."""
    assert contract.schema is not None, contract.dataset_id
    arrays = [pa.array(columns[field.name], type=field.type) for field in contract.schema]
    return pa.Table.from_arrays(arrays, schema=contract.schema)


def name_folders(root: Path, manifest_fingerprint: str) -> None:
    """Put the fingerprint where the placeholder stands in folder names."""
    for folder in sorted(root.rglob(f"*{MF_PLACEHOLDER}*"), key=lambda path: -len(PurePosixPath(path).parts)):
        folder.rename(folder.with_name(folder.name.replace(MF_PLACEHOLDER, manifest_fingerprint)))
