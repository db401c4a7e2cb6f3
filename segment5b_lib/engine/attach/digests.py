"""Every digest that lies in a foreign tree, held against the content: bundles, sealed inputs, markers of ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segment5b_lib.contract.datasets import validation_folder
from segment5b_lib.engine.attach.tree import Tree
from segment5b_lib.errors import InputError
from segment5b_lib.store.bundles import FLAG_FILE, read_bundle
from segment5b_lib.store.documents import read_json, read_mapping


@dataclass
class Checked:
    """What was verified, and which flags are not there."""

    verified: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def check_bundles(root: Path, segments: Collection[str], mf: str) -> Checked:
    """Re-hash the bundles of some segments; one without a flag is missing, not wrong.

    Raises
    ------
    InputError, MissingInputError : a member or a flag is not what the index or the content says.
    """
    checked = Checked()
    for segment in segments:
        folder = root / validation_folder(segment, mf)
        if (folder / FLAG_FILE).is_file():
            read_bundle(segment, folder, root, mf)
            checked.verified.append(f"bundle of {segment}")
        else:
            checked.missing.append(f"{FLAG_FILE} of {segment}")
    return checked


def check_claims(tree: Tree, outputs: Mapping[str, str], world: Mapping[str, str]) -> list[str]:
    """Hold sealed inputs and markers that name files one by one against the digests found, by path below the root.

    Returns the names of those that claim anything.

    Raises
    ------
    InputError : ``5B.ATTACH.CHANGED`` where a file is not the one that is named.
    """
    verified = []
    for path in tree.files.get("sealed_inputs_5B", []):
        rows = read_json(path)
        sealed = [row["files"] for row in rows if isinstance(row, dict) and isinstance(row.get("files"), dict)]
        verified += _compare(path.name, {name: said for files in sealed for name, said in files.items()}, world)
    for path in sorted((tree.root / "markers").glob("S?.json")):
        rows = read_mapping(path).get("outputs", [])
        claimed = {row["path"]: row["sha256"] for row in rows if isinstance(row, dict) and {"path", "sha256"} <= {*row}}
        verified += _compare(path.name, claimed, outputs)
    return verified


def _compare(by: str, claimed: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    both = sorted(claimed.keys() & found.keys())
    for name in both:
        if claimed[name] != found[name]:
            raise InputError(
                "5B.ATTACH.CHANGED",
                f"a file is not the one that {by} names",
                where=name,
                expected=claimed[name],
                found=found[name],
                next_step="restore the file, or make the run again",
            )
    return [by] if both else []
