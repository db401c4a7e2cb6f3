"""Content digests of files, and the bundle digest that a `_passed.flag` carries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from segment5b_lib.errors import MissingInputError


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise MissingInputError("5B.STORE.FILE_MISSING", "a file is missing", where=str(path)) from error


HASH_THREADS: Final = 2
"""Enough where nobody has said how many: beyond this hashing is bound by the disk."""


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
