"""A changed number and a changed chart fail: one cheap notebook, as stored and spoilt twice, under nbval."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat

from segment5b_lib.charts.renderer import VEGALITE_MIME
from tests.notebooks.comparison import SANITIZE
from tests.notebooks.store_outputs import STORED, code_cells
from tests.reports.conftest import REPOSITORY

CHEAP = "popt0_baseline_and_hotspots"
NUMBER, BAR = "owners", "elapsed"


def spoilt(folder: Path, name: str) -> None:
    """A copy of the stored notebook in which a cell's number or bar has moved by a little."""
    notebook = nbformat.read(STORED / f"{CHEAP}.ipynb", 4)
    for cell in code_cells(notebook):
        if cell.id == name:
            moved(cell.outputs[0].data)
    nbformat.write(notebook, folder / f"{name}.ipynb")


def moved(data: Any) -> None:
    if VEGALITE_MIME in data:
        (rows,) = data[VEGALITE_MIME]["datasets"].values()
        rows[0]["seconds"] += 0.001
    else:
        table, found = re.subn(r"(?<=>)40\.6(?=<)", "40.7", data["text/html"])
        assert found == 1
        data["text/html"] = table


def cell_number(name: str) -> int:
    cells = code_cells(nbformat.read(STORED / f"{CHEAP}.ipynb", 4))
    return [cell.id for cell in cells].index(name)


def test_a_changed_number_and_a_changed_bar_fail(prepared_copy: Path, tmp_path: Path) -> None:
    for name in ("nothing", NUMBER, BAR):
        spoilt(tmp_path, name)
    command = [sys.executable, "-m", "pytest", "-p", "tests.notebooks.comparison", "-p", "no:cacheprovider", "-q"]
    command += ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", str(SANITIZE), "--color", "no"]
    command += ["--nbval-cell-timeout", "300", "--nbval-kernel-startup-timeout", "120", "--rootdir", str(tmp_path)]
    ended = subprocess.run(
        [*command, *(str(tmp_path / f"{name}.ipynb") for name in ("nothing", NUMBER, BAR))],
        cwd=REPOSITORY,
        env={**os.environ, "SEGMENT5B_OUTPUTS": str(prepared_copy), "SEGMENT5B_HOME": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = set(re.findall(r"^FAILED (?:\S*/)?(\w+)\.ipynb::Cell (\d+)", ended.stdout, re.MULTILINE))
    assert failed == {(name, str(cell_number(name))) for name in (NUMBER, BAR)}, ended.stdout
