"""What lies in a foreign tree: the files of each dataset, all inside the tree and all of their contract's types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from segment5b_lib.contract.datasets import OUTPUTS, UPSTREAM, Dataset, dataset, folder_of, validation_folder
from segment5b_lib.errors import InputError
from segment5b_lib.store.engine_columns import NOWHERE, is_text, is_time
from segment5b_lib.store.parquet import open_file

BUNDLE: Final = "validation_bundle_5B"
ON_REQUEST: Final = ("s2_latent_field_5B",)
"""Datasets that nobody misses."""
_ARRIVALS: Final = "arrival_events_5B"
_DOCUMENTS: Final = (
    "*.json",
    "policies/*",
    "markers/*",
    "logs/layer2/5B/rng/*/*/*/*",
    "logs/layer2/5B/rng/*/*/*/*/*",
    "reports/layer2/segment_state_runs/segment=5B/*/*",
)


@dataclass
class Tree:
    """The files found, by dataset; what is missing; and which columns readers have to make into their types."""

    root: Path
    files: dict[str, list[Path]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    normalised: set[str] = field(default_factory=set)

    def has(self, dataset_id: str) -> bool:
        """Whether a dataset is there, for every scenario."""
        return bool(self.files.get(dataset_id)) and not any(line.split(" ")[0] == dataset_id for line in self.missing)

    def path(self, file: Path) -> str:
        """A file's path below the root."""
        return file.relative_to(self.root).as_posix()


def scenarios_of(root: Path, mf: str, seed: int) -> list[str]:
    """Scenario ids by the partitions of 5B's data."""
    found: set[str] = set()
    for contract in OUTPUTS:
        if contract.per_scenario:
            parent = (root / folder_of(contract.dataset_id, mf=mf, seed=seed, scenario_id="x")).parent
            found |= {path.name.removeprefix("scenario_id=") for path in parent.glob("scenario_id=*") if path.is_dir()}
    return sorted(found)


def run_tree(root: Path, mf: str, seed: int, scenarios: Sequence[str]) -> Tree:
    """5B's own datasets and its bundle in a tree.

    Raises
    ------
    InputError : a file lies outside the tree, is no Parquet, or has another schema than its contract.
    """
    tree = Tree(root)
    for contract in OUTPUTS:
        _collect(tree, contract, mf, seed, scenarios)
    folder = root / validation_folder("5B", mf)
    tree.files[BUNDLE] = [inside(root, path) for path in sorted(folder.glob("*")) if path.is_file()]
    if not tree.files[BUNDLE]:
        tree.missing.append(f"{BUNDLE} (nothing in {tree.path(folder)})")
    return tree


def world_tree(root: Path, mf: str, seed: int | None, scenarios: Sequence[str]) -> Tree:
    """The upstream datasets in a tree; errors as for `run_tree`."""
    tree = Tree(root)
    for contract in UPSTREAM:
        _collect(tree, contract, mf, seed, scenarios)
    return tree


def world_seed(root: Path, mf: str, seed: int) -> int | None:
    """The seed in the upstream partitions of a world: the only one, or of several the run's own; None for none."""
    folders = root.glob(f"data/layer[12]/[1-5][AB]/*/seed=*/manifest_fingerprint={mf}")
    upstream = {path.parent.name.removeprefix("seed=") for path in folders if path.parts[-4] != "5B"}
    found = {int(text) for text in upstream if text.isdecimal()}
    if len(found) > 1 and seed not in found:
        raise InputError(
            "5B.ATTACH.IDENTITY_DISAGREES",
            "the upstream data are of several seeds, none of them the run's",
            where=str(root),
            expected=seed,
            found=sorted(found),
        )
    return seed if seed in found else min(found, default=None)


def parameter_hash_of(root: Path, stated: str | None, tree: Tree) -> str:
    """The run's parameter_hash: as stated, and as every part file of arrivals that says one repeats.

    Raises
    ------
    InputError : nobody says one, or two say different ones.
    """
    said = set() if stated is None else {stated}
    for path in tree.files.get(_ARRIVALS, []):
        with open_file(path, dataset(_ARRIVALS), foreign=True) as file:
            said |= {*_in_metadata(file), *_in_column(file)}
    if len(said) == 1 and re.fullmatch("[0-9a-f]{64}", found := said.pop()):
        return found
    raise InputError(
        "5B.ATTACH.IDENTITY_DISAGREES",
        f"the tree says {'more than one' if said else 'no'} parameter_hash of the run",
        where=str(root),
        expected="one value in log partitions, run records, receipt and arrivals",
        found=", ".join(sorted(said)) or "none",
    )


def _in_metadata(file: pq.ParquetFile) -> Iterator[str]:
    value = (file.schema_arrow.metadata or {}).get(b"parameter_hash")
    if value is not None:
        yield value.decode("ascii", "replace")


def _in_column(file: pq.ParquetFile) -> Iterator[str]:
    if "parameter_hash" in file.schema_arrow.names:
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group, columns=["parameter_hash"]).column(0).unique().to_pylist()


def _collect(tree: Tree, contract: Dataset, mf: str, seed: int | None, scenarios: Sequence[str]) -> None:
    found: list[Path] = []
    for scenario in scenarios if contract.per_scenario else (None,):
        folder = tree.root / folder_of(contract.dataset_id, mf=mf, seed=seed, scenario_id=scenario)
        pattern = contract.file if contract.schema is None else "*.parquet"
        here = [inside(tree.root, path) for path in sorted(folder.glob(pattern)) if path.is_file()]
        if not here and contract.dataset_id not in ON_REQUEST:
            tree.missing.append(f"{contract.dataset_id} (no {pattern} in {tree.path(folder)})")
        found += here
    for path in found if contract.schema is not None else ():
        tree.normalised |= {f"{contract.dataset_id}.{column}" for column in _normalised(path, contract)}
    if found:
        tree.files[contract.dataset_id] = found


def _normalised(path: Path, contract: Dataset) -> list[str]:
    """Columns that readers make into the contract's, and what they are; the schema is checked on the way."""
    with open_file(path, contract, foreign=True) as file:
        assert contract.schema is not None, contract.dataset_id
        kinds = {kind.name: kind.type for kind in file.schema_arrow}
    texts = [f.name for f in contract.schema if is_time(f.type) and is_text(kinds[f.name])]
    absent = [f"{f.name}: absent, every row's is {NOWHERE!r}" for f in contract.schema if f.name not in kinds]
    return [*(f"{name}: text" for name in texts), *absent]


def require_inside(root: Path) -> None:
    """Refuse a tree whose documents (records, logs, policies, markers, receipts) lie elsewhere.

    Raises
    ------
    InputError : ``5B.ATTACH.OUTSIDE`` where a link leads out of the tree.
    """
    for pattern in _DOCUMENTS:
        for path in sorted(root.glob(pattern)):
            inside(root, path)


def inside(root: Path, path: Path) -> Path:
    """A file of the tree, which no link may lead out of it."""
    real = path.resolve()
    if not real.is_relative_to(root):
        raise InputError(
            "5B.ATTACH.OUTSIDE",
            "a file of the tree lies outside it: a link leads out",
            where=str(path),
            expected=f"a file below {root}",
            found=real,
            next_step="copy the file into the tree, or attach the folder that really holds it",
        )
    return path
