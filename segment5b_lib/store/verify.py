"""Files against the digests that were recorded for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segment5b_lib.errors import StaleError
from segment5b_lib.store.digest import HASH_THREADS, sha256_files


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
