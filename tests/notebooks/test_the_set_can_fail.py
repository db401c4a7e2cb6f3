"""A changed number, encoding or bar fails and says where: cells of a cheap notebook and spoilt copies, under nbval."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat

from segment5b_lib.charts.renderer import VEGALITE_MIME
from tests.notebooks.comparison import SANITIZE
from tests.notebooks.store_outputs import STORED, code_cells, write
from tests.reports.conftest import REPOSITORY

CHEAP = "popt0_baseline_and_hotspots"
TABLE, CHART = "owners", "elapsed"
CHART_NAME = "the chart 'State elapsed' (bar, text)"
DIGEST = r'"sha256:[0-9a-f]{64} \(24 rows\)"'
FIRST_BAR_HIGHER = """
from IPython.display import display

spec = s5.charts.spec({chart})
(rows,) = spec["datasets"].values()
rows[0]["seconds"] += {seconds}
display({{"{mime}": spec}}, raw=True)
"""


def spoilt_cells(cells: list[Any]) -> Iterator[Any]:
    """Copies of two cells: a stored number, a stored encoding, and one row of what the chart shows now have moved."""
    by_id = {cell.id: cell for cell in cells}
    number = copy_of(by_id[TABLE], "number")
    number.outputs[0].data["text/html"], found = re.subn(r"(?<=>)40\.6(?=<)", "40.7", table_of(number))
    assert found == 1
    yield number
    encoding = copy_of(by_id[CHART], "encoding")
    encoding.outputs[0].data[VEGALITE_MIME]["layer"][0]["encoding"]["x"]["title"] = "minutes"
    yield encoding
    for name, seconds in (("bar", 0.001), ("no-bar", 0.0)):
        bar = copy_of(by_id[CHART], name)
        bar.source = FIRST_BAR_HIGHER.format(chart=bar.source, seconds=seconds, mime=VEGALITE_MIME)
        yield bar


def copy_of(cell: Any, name: str) -> Any:
    copy = deepcopy(cell)
    copy.id = name
    return copy


def table_of(cell: Any) -> str:
    table: str = cell.outputs[0].data["text/html"]
    return table


def under_nbval(notebook: Path, outputs: Path) -> str:
    """What pytest says about a notebook."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.notebooks.comparison", "-p", "no:cacheprovider", "-q"]
    command += ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", str(SANITIZE), "--color", "no"]
    command += ["--nbval-cell-timeout", "300", "--nbval-kernel-startup-timeout", "120"]
    ended = subprocess.run(
        [*command, "--rootdir", str(notebook.parent), str(notebook)],
        cwd=REPOSITORY,
        env={**os.environ, "SEGMENT5B_OUTPUTS": str(outputs), "SEGMENT5B_HOME": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout


def test_a_changed_number_encoding_and_bar_fail_and_nothing_else(prepared_copy: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(STORED / f"{CHEAP}.ipynb", 4)
    notebook.cells += list(spoilt_cells(code_cells(notebook)))
    write(notebook, tmp_path / "spoilt.ipynb")
    said = under_nbval(tmp_path / "spoilt.ipynb", prepared_copy)
    failed = set(map(int, re.findall(r"^FAILED \S*::Cell (\d+)", said, re.MULTILINE)))
    assert {cell.id for number, cell in enumerate(code_cells(notebook)) if number in failed} == {
        "number",
        "encoding",
        "bar",
    }, said
    assert f"in cell 'encoding', {CHART_NAME} differs:\n  /layer/0/encoding/x/title: stored \"minutes\"" in said
    rows = f"in cell 'bar', {re.escape(CHART_NAME)} differs:\n  /datasets/data-00: stored {DIGEST}, now {DIGEST}\n"
    assert re.search(rows, said), said
