"""Files of an external tree by dataset, all inside the tree, with their contract's types and their recorded digests."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from segment5b_lib.contract.dataset import Dataset
from segment5b_lib.contract.datasets import OUTPUTS, dataset, folder_of, validation_folder
from segment5b_lib.errors import InputError
from segment5b_lib.store.bundles import FLAG_FILE, read_bundle
from segment5b_lib.store.documents import read_json, read_mapping
from segment5b_lib.store.parquet import NO_COUNTRY, is_text, is_time, open_file

BUNDLE_DATASET: Final = "validation_bundle_5B"
ON_REQUEST: Final = ("s2_latent_field_5B",)
"""Optional datasets."""
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
    """Files by dataset, missing datasets, and the columns that readers convert to their contract's types."""

    root: Path
    files: dict[str, list[Path]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    normalised: set[str] = field(default_factory=set)

    def has(self, dataset_id: str) -> bool:
        """Whether a dataset exists for every scenario."""
        return bool(self.files.get(dataset_id)) and not any(line.split(" ")[0] == dataset_id for line in self.missing)

    def path(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()


def scenarios_of(root: Path, mf: str, seed: int) -> list[str]:
    """Scenario ids by the partitions of 5B's data."""
    scenario_ids: set[str] = set()
    for contract in OUTPUTS:
        if contract.per_scenario:
            parent = (root / folder_of(contract.dataset_id, mf=mf, seed=seed, scenario_id="x")).parent
            scenario_ids |= {
                path.name.removeprefix("scenario_id=") for path in parent.glob("scenario_id=*") if path.is_dir()
            }
    return sorted(scenario_ids)


def run_tree(root: Path, mf: str, seed: int, scenarios: Sequence[str]) -> Tree:
    """5B's own datasets and its bundle in a tree; see `tree_of`."""
    tree = tree_of(root, OUTPUTS, mf, seed, scenarios)
    folder = root / validation_folder("5B", mf)
    tree.files[BUNDLE_DATASET] = [inside(root, path) for path in sorted(folder.glob("*")) if path.is_file()]
    if not tree.files[BUNDLE_DATASET]:
        tree.missing.append(f"{BUNDLE_DATASET} (nothing in {tree.path(folder)})")
    return tree


def tree_of(root: Path, contracts: Sequence[Dataset], mf: str, seed: int | None, scenarios: Sequence[str]) -> Tree:
    """Some datasets in a tree; InputError where a file is outside it, no Parquet, or not in its contract's schema."""
    tree = Tree(root)
    for contract in contracts:
        _collect(tree, contract, mf, seed, scenarios)
    return tree


def world_seed(root: Path, mf: str, seed: int) -> int | None:
    """The seed in the upstream partitions of a world: the only one, or the run's own; None without any."""
    folders = root.glob(f"data/layer[12]/[1-5][AB]/*/seed=*/manifest_fingerprint={mf}")
    upstream = {path.parent.name.removeprefix("seed=") for path in folders if path.parts[-4] != "5B"}
    seeds = {int(text) for text in upstream if text.isdecimal()}
    if len(seeds) > 1 and seed not in seeds:
        raise InputError(
            "5B.ATTACH.IDENTITY_DISAGREES",
            "the upstream data have several seeds, none of them the run's",
            where=str(root),
            expected=seed,
            found=sorted(seeds),
        )
    return seed if seed in seeds else min(seeds, default=None)


def parameter_hash_of(root: Path, stated: str | None, tree: Tree) -> str:
    """The run's parameter_hash: as stated, and equal in every part file of arrivals that has one."""
    hashes = set() if stated is None else {stated}
    for path in tree.files.get(_ARRIVALS, []):
        with open_file(path, dataset(_ARRIVALS), foreign=True) as file:
            if (stored := (file.schema_arrow.metadata or {}).get(b"parameter_hash")) is not None:
                hashes.add(stored.decode("ascii", "replace"))
            if "parameter_hash" in file.schema_arrow.names:
                for group in range(file.num_row_groups):
                    column = file.read_row_group(group, columns=["parameter_hash"]).column(0)
                    hashes |= {*column.unique().to_pylist()}
    if len(hashes) == 1 and re.fullmatch("[0-9a-f]{64}", parameter_hash := hashes.pop()):
        return parameter_hash
    raise InputError(
        "5B.ATTACH.IDENTITY_DISAGREES",
        f"the tree states {'more than one' if hashes else 'no'} parameter_hash of the run",
        where=str(root),
        expected="one value in log partitions, run records, receipt and arrivals",
        found=", ".join(sorted(hashes)) or "none",
    )


def _collect(tree: Tree, contract: Dataset, mf: str, seed: int | None, scenarios: Sequence[str]) -> None:
    files: list[Path] = []
    for scenario in scenarios if contract.per_scenario else (None,):
        folder = tree.root / folder_of(contract.dataset_id, mf=mf, seed=seed, scenario_id=scenario)
        pattern = contract.file if contract.schema is None else "*.parquet"
        paths = [inside(tree.root, path) for path in sorted(folder.glob(pattern)) if path.is_file()]
        if not paths and contract.dataset_id not in ON_REQUEST:
            tree.missing.append(f"{contract.dataset_id} (no {pattern} in {tree.path(folder)})")
        files += paths
    for path in files if contract.schema is not None else ():
        tree.normalised |= {f"{contract.dataset_id}.{column}" for column in _normalised(path, contract)}
    if files:
        tree.files[contract.dataset_id] = files


def _normalised(path: Path, contract: Dataset) -> list[str]:
    """Columns that readers convert to the contract's types, with their form; checks the schema as well."""
    with open_file(path, contract, foreign=True) as file:
        assert contract.schema is not None, contract.dataset_id
        kinds = {kind.name: kind.type for kind in file.schema_arrow}
    texts = [f.name for f in contract.schema if is_time(f.type) and is_text(kinds[f.name])]
    absent = [f"{f.name}: absent, every row's is {NO_COUNTRY!r}" for f in contract.schema if f.name not in kinds]
    return [*(f"{name}: text" for name in texts), *absent]


def require_inside(root: Path) -> None:
    """Refuse a tree whose documents (records, logs, policies, markers, receipts) are links to files outside it."""
    for pattern in _DOCUMENTS:
        for path in sorted(root.glob(pattern)):
            inside(root, path)


def inside(root: Path, path: Path) -> Path:
    """The path, refused if a link leads out of the tree."""
    real = path.resolve()
    if not real.is_relative_to(root):
        raise InputError(
            "5B.ATTACH.OUTSIDE",
            "a file of the tree is a link to a file outside it",
            where=str(path),
            expected=f"a file below {root}",
            found=real,
            next_step="copy the file into the tree, or attach the folder that really holds it",
        )
    return path


def check_bundles(root: Path, segments: Collection[str], mf: str) -> tuple[list[str], list[str]]:
    """Re-hash the bundles of some segments (see `read_bundle`): names of the verified, and missing flags."""
    verified, missing = [], []
    for segment in segments:
        folder = root / validation_folder(segment, mf)
        if (folder / FLAG_FILE).is_file():
            read_bundle(segment, folder, root, mf)
            verified.append(f"bundle of {segment}")
        else:
            missing.append(f"{FLAG_FILE} of {segment}")
    return verified, missing


def check_declared_digests(tree: Tree, outputs: Mapping[str, str], world: Mapping[str, str]) -> list[str]:
    """Compare the digests in sealed inputs and markers with the actual digests, by path below the root.

    Returns the names of the documents with at least one such digest; InputError if a file differs from it.
    """
    verified = []
    for path in tree.files.get("sealed_inputs_5B", []):
        rows = read_json(path)
        sealed = [row["files"] for row in rows if isinstance(row, dict) and isinstance(row.get("files"), dict)]
        verified += _compared(path.name, {name: digest for files in sealed for name, digest in files.items()}, world)
    for path in sorted((tree.root / "markers").glob("S?.json")):
        rows = read_mapping(path).get("outputs", [])
        declared = {
            row["path"]: row["sha256"] for row in rows if isinstance(row, dict) and {"path", "sha256"} <= {*row}
        }
        verified += _compared(path.name, declared, outputs)
    return verified


def _compared(by: str, declared: Mapping[str, str], actual: Mapping[str, str]) -> list[str]:
    both = sorted(declared.keys() & actual.keys())
    for name in both:
        if declared[name] != actual[name]:
            raise InputError(
                "5B.ATTACH.CHANGED",
                f"a file differs from its digest in {by}",
                where=name,
                expected=declared[name],
                found=actual[name],
                next_step="restore the file, or make the run again",
            )
    return [by] if both else []
