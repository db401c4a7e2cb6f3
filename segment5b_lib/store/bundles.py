"""Validation bundles: each segment's index shape, its digest law, and its `_passed.flag` (contracts §4).

`read_bundle` re-hashes every member; nothing in an index or flag is taken on trust.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.identity import sha256_hex
from segment5b_lib.store.digest import bundle_digest
from segment5b_lib.store.documents import read_json

FLAG_FILE: Final = "_passed.flag"
_TEXT_FLAG = re.compile(r"sha256_hex = ([a-f0-9]{64})\s*")


@dataclass(frozen=True)
class Member:
    """One member of a bundle: its path as the index gives it, and the digest it claims (if any)."""

    path: str
    sha256_hex: str | None
    logical_id: str = ""


@dataclass(frozen=True)
class IndexShape:
    """How one segment writes its index and computes its digest.

    `key`: where the members are listed; the index is the list itself without a key. `digests`: rows have the members'
    digests, and `logical_ids` if so said; else they are artefacts with an id. `relative_to_root`: member paths start at
    the root, not at the bundle's folder. `includes_index`: the index itself counts. `over_hex`: the digest is over the
    members' hex digests by logical id.
    """

    key: str = ""
    file: str = "index.json"
    digests: bool = True
    logical_ids: bool = False
    relative_to_root: bool = False
    includes_index: bool = False
    over_hex: bool = False
    json_flag: bool = False

    def members(self, document: Any) -> list[Member]:
        rows = document[self.key] if self.key else document
        if self.digests:
            return [Member(row["path"], row["sha256_hex"], row.get("logical_id", "")) for row in rows]
        return [Member(row["path"], None, row["artifact_id"]) for row in rows]

    def document(self, members: Sequence[Member]) -> object:
        if not self.digests:
            return [{"artifact_id": m.logical_id, "kind": "data", "path": m.path} for m in members]
        rows = [{"path": m.path, "sha256_hex": m.sha256_hex} for m in members]
        if self.logical_ids:
            rows = [{**row, "logical_id": m.logical_id} for row, m in zip(rows, members, strict=True)]
        return {self.key: rows} if self.key else rows


_ARTIFACTS = IndexShape(digests=False, includes_index=True)
SHAPES: Final = {
    "1A": _ARTIFACTS,
    "1B": _ARTIFACTS,
    "2A": IndexShape("files"),
    "2B": IndexShape(relative_to_root=True),
    "3A": IndexShape("members", logical_ids=True, over_hex=True),
    "3B": IndexShape("members", logical_ids=True),
    "5A": IndexShape("entries", "validation_bundle_index_5A.json", json_flag=True),
    "5B": IndexShape("members", json_flag=True),
}


def seal_bundle(segment: str, folder: Path, root: Path, members: Mapping[str, str], mf: str) -> str:
    """Write index and flag over member files that lie in `folder`; returns the bundle digest.

    `members` maps a logical id to a path relative to the bundle's folder (2B: to the root).
    """
    shape = SHAPES[segment]
    base = root if shape.relative_to_root else folder
    described = sorted(
        (Member(path, sha256_hex((base / path).read_bytes()), name) for name, path in members.items()),
        key=lambda member: member.path,
    )
    index = json.dumps(shape.document(described), indent=1, sort_keys=True) + "\n"
    (folder / shape.file).write_text(index, encoding="utf-8")
    digest = _digest(shape, described, folder, base)
    json_flag = json.dumps({"bundle_digest_sha256": digest, "manifest_fingerprint": mf}, sort_keys=True)
    flag = json_flag if shape.json_flag else f"sha256_hex = {digest}"
    (folder / FLAG_FILE).write_text(flag + "\n", encoding="utf-8")
    return digest


def read_bundle(segment: str, folder: Path, root: Path, mf: str) -> str:
    """Verify a bundle: members re-hashed, digest recomputed, flag compared. Returns the digest.

    Raises
    ------
    MissingInputError : no bundle, no index, no flag, or a member that is not there.
    InputError : a member or the flag does not match; the message says which.
    """
    shape = SHAPES[segment]
    index, flag = folder / shape.file, folder / FLAG_FILE
    for path in (index, flag):
        if not path.is_file():
            raise MissingInputError(
                "5B.S0.UPSTREAM_GATE_MISSING",
                f"segment {segment} has no complete validation bundle",
                where=str(path),
                expected=f"{shape.file} and {FLAG_FILE}",
                next_step=f"segment {segment} must pass its own validation first",
            )
    base = root if shape.relative_to_root else folder
    members = _parsed(segment, shape, index)
    for member in members:
        _check_member(segment, member, base)
    digest = _digest(shape, members, folder, base)
    _check_flag(segment, shape, flag, digest, mf)
    return digest


def _parsed(segment: str, shape: IndexShape, index: Path) -> list[Member]:
    try:
        members = shape.members(read_json(index))
    except (KeyError, TypeError, AttributeError) as error:
        raise _mismatch(segment, str(index), f"an index in the shape of {segment}", repr(error)) from error
    paths = [member.path for member in members]
    for path in paths:
        pure = PurePosixPath(path)
        forbidden = pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path
        if not path or not path.isascii() or forbidden or paths.count(path) > 1:
            raise _mismatch(segment, str(index), "unique relative ASCII paths without '..', '\\' or ':'", path)
    return members


def _check_member(segment: str, member: Member, base: Path) -> None:
    path = base / member.path
    if not path.is_file() or not path.resolve().is_relative_to(base.resolve()):
        raise MissingInputError(
            "5B.S0.UPSTREAM_GATE_MISSING",
            f"a member of segment {segment}'s bundle is missing",
            where=str(path),
            next_step=f"restore it, or rerun segment {segment}",
        )
    if member.sha256_hex is not None:
        actual = sha256_hex(path.read_bytes())
        if actual != member.sha256_hex:
            raise _mismatch(segment, str(path), member.sha256_hex, actual)


def _digest(shape: IndexShape, members: Sequence[Member], folder: Path, base: Path) -> str:
    if shape.over_hex:
        ordered = sorted(members, key=lambda member: member.logical_id)
        return sha256_hex("".join(member.sha256_hex or "" for member in ordered).encode())
    content = [(member.path, (base / member.path).read_bytes()) for member in members]
    if shape.includes_index:
        content.append((shape.file, (folder / shape.file).read_bytes()))
    return bundle_digest(content)


def _check_flag(segment: str, shape: IndexShape, flag: Path, digest: str, mf: str) -> None:
    if shape.json_flag:
        document = read_json(flag)
        flagged = document.get("bundle_digest_sha256") if isinstance(document, dict) else None
        if isinstance(document, dict) and document.get("manifest_fingerprint") != mf:
            raise _mismatch(segment, str(flag), mf, document.get("manifest_fingerprint"))
    else:
        match = _TEXT_FLAG.fullmatch(flag.read_text(encoding="utf-8"))
        flagged = match.group(1) if match else None
    if flagged != digest:
        raise _mismatch(segment, str(flag), f"digest {digest} of the members", flagged)


def _mismatch(segment: str, where: str, expected: object, found: object) -> InputError:
    return InputError(
        "5B.S0.UPSTREAM_GATE_MISMATCH",
        f"segment {segment}'s bundle does not verify",
        where=where,
        expected=expected,
        found=found,
        next_step=f"restore the file, or rerun segment {segment}'s validation",
    )
