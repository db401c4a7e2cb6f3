"""Content digests of files, compared with recorded ones, and the bundle digest that a `_passed.flag` carries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segment5b_lib.errors import MissingInputError, StaleError

HASH_THREADS: Final = 2
"""Enough where the caller gives no number: beyond this hashing is bound by the disk."""


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise MissingInputError("5B.STORE.FILE_MISSING", "a file is missing", where=str(path)) from error


def sha256_files(paths: Iterable[Path], threads: int = HASH_THREADS) -> dict[Path, str]:
    """SHA-256 of many files, on several threads (hashing releases the interpreter lock)."""
    ordered = list(paths)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return dict(zip(ordered, pool.map(sha256_file, ordered), strict=True))


def bundle_digest(members: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over the members' raw bytes in ASCII order of their paths."""
    digest = hashlib.sha256()
    for _, content in sorted(members):
        digest.update(content)
    return digest.hexdigest()


@dataclass(frozen=True)
class ChangedFile:
    """A file whose content is not the recorded one; `found` is None where there is no file."""

    path: Path
    expected: str
    found: str | None


def changed_files(recorded: Mapping[Path, str], threads: int = HASH_THREADS) -> list[ChangedFile]:
    """The files that are not what was recorded (path to SHA-256), in the order of the record."""
    actual = sha256_files([path for path in recorded if path.is_file()], threads)
    return [
        ChangedFile(path, digest, actual.get(path)) for path, digest in recorded.items() if actual.get(path) != digest
    ]


def require_unchanged(
    recorded: Mapping[Path, str], code: str, what: str, *, next_step: str, threads: int = HASH_THREADS
) -> None:
    """Hash files again and compare them with what was recorded (path to SHA-256).

    Raises
    ------
    MissingInputError : there is no such file.
    StaleError : with `code`, `what` and `next_step`, for the first file with other content.
    """
    actual = sha256_files(recorded, threads)
    for path, digest in recorded.items():
        if actual[path] != digest:
            raise StaleError(code, what, where=str(path), expected=digest, found=actual[path], next_step=next_step)
