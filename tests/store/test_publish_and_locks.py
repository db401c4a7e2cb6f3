"""Atomic publish and locks: failures leave what was there, and one owner at a time."""

import subprocess
import sys

import pytest

from segment5b_lib.errors import ConflictError
from segment5b_lib.store.locks import locked
from segment5b_lib.store.publish import staged, write_file


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_staged_folder_replaces_the_old_one_only_on_success(tmp_path):
    target = tmp_path / "data"
    with staged(target) as work:
        (work / "a").write_text("1")
        assert not target.exists()
    with pytest.raises(ValueError, match="stop"), staged(target) as work:
        (work / "b").write_text("2")
        raise ValueError("stop")
    assert names(target) == ["a"]
    with staged(target) as work:
        (work / "c").write_text("3")
    assert names(target) == ["c"]
    assert names(tmp_path) == ["data"]


def test_write_file_replaces_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_file(path, b"1")
    write_file(path, b"2")
    assert path.read_bytes() == b"2"
    assert names(path.parent) == ["file.json"]


def test_a_second_owner_is_told_who_holds_the_lock(tmp_path):
    path = tmp_path / ".lock"
    with locked(path, "count sheep"), pytest.raises(ConflictError, match=r"count sheep.* for \d+ s"):  # noqa: SIM117
        with locked(path, "sleep"):
            pass
    with locked(path, "sleep"):
        pass


def test_a_lock_dies_with_its_process(tmp_path):
    path = tmp_path / ".lock"
    code = (
        "import os, sys; from pathlib import Path; from segment5b_lib.store.locks import locked\n"
        "with locked(Path(sys.argv[1]), 'die'): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    with locked(path, "live"):
        pass
