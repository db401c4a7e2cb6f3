"""Compare every digest recorded in an external tree with the content: bundles, sealed inputs, markers."""

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
    """Names of verified documents, and missing flags."""

    verified: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def check_bundles(root: Path, segments: Collection[str], mf: str) -> Checked:
    """Re-hash the bundles of some segments; a bundle without a flag is missing, not wrong.

    Raises
    ------
    InputError, MissingInputError : a member differs from its index, or a flag from the content.
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


def check_declared_digests(tree: Tree, outputs: Mapping[str, str], world: Mapping[str, str]) -> list[str]:
    """Compare the digests in sealed inputs and markers with the actual digests, by path below the root.

    Returns the names of the documents with at least one such digest.

    Raises
    ------
    InputError : ``5B.ATTACH.CHANGED`` if a file differs from its recorded digest.
    """
    verified = []
    for path in tree.files.get("sealed_inputs_5B", []):
        rows = read_json(path)
        sealed = [row["files"] for row in rows if isinstance(row, dict) and isinstance(row.get("files"), dict)]
        verified += _compare(path.name, {name: digest for files in sealed for name, digest in files.items()}, world)
    for path in sorted((tree.root / "markers").glob("S?.json")):
        rows = read_mapping(path).get("outputs", [])
        declared = {
            row["path"]: row["sha256"] for row in rows if isinstance(row, dict) and {"path", "sha256"} <= {*row}
        }
        verified += _compare(path.name, declared, outputs)
    return verified


def _compare(by: str, declared: Mapping[str, str], actual: Mapping[str, str]) -> list[str]:
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
