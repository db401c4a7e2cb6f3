"""Files against recorded digests: changed, missing, and refused with the caller's own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from segment5b_lib.errors import MissingInputError, StaleError
from segment5b_lib.store.digest import ChangedFile, changed_files, require_unchanged, sha256_files


@pytest.fixture
def recorded(tmp_path: Path) -> dict[Path, str]:
    paths = [tmp_path / name for name in ("b", "a", "c")]
    for path in paths:
        path.write_text(path.name)
    return sha256_files(paths)


def test_unchanged_files_are_neither_listed_nor_refused(recorded: dict[Path, str]) -> None:
    assert changed_files(recorded) == []
    require_unchanged(recorded, "5B.TEST", "a file changed", next_step="restore it")


def test_changed_and_missing_files_are_listed_in_the_order_of_the_record(recorded: dict[Path, str]) -> None:
    second, _, first = (*recorded,)
    first.unlink()
    second.write_text("another content")
    (found,) = sha256_files([second]).values()
    assert changed_files(recorded) == [
        ChangedFile(second, recorded[second], found),
        ChangedFile(first, recorded[first], None),
    ]


def test_the_first_changed_file_is_refused_in_the_callers_words(recorded: dict[Path, str]) -> None:
    for path in list(recorded)[1:]:
        path.write_text("another content")
    with pytest.raises(StaleError) as caught:
        require_unchanged(recorded, "5B.TEST", "a file changed", next_step="restore it")
    error, path = caught.value, list(recorded)[1]
    assert (error.code, error.what, error.next_step) == ("5B.TEST", "a file changed", "restore it")
    assert (error.where, error.expected) == (str(path), recorded[path])


def test_a_missing_file_is_an_error_of_its_own(recorded: dict[Path, str]) -> None:
    next(iter(recorded)).unlink()
    with pytest.raises(MissingInputError, match=r"5B\.STORE\.FILE_MISSING"):
        require_unchanged(recorded, "5B.TEST", "a file changed", next_step="restore it")
