"""Execute the installed notebooks on the tiny world and store their outputs: `python -m tests.notebooks.store_outputs`.

What is stored is what nbval compares: texts without what may differ, charts in canonical form; no pictures, no reprs,
no metadata of the execution. Look at the difference before it is committed: every changed line is a changed number.
Parts that fit a line are one line, so that one can.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

from segment5b_lib.charts.renderer import VEGALITE_MIME
from segment5b_lib.reports.notebooks import NOTEBOOKS
from tests.notebooks import kernels
from tests.notebooks.comparison import NOT_COMPARED, canonical, sanitized
from tests.notebooks.prepare import copy_of, outputs_at, parameters_of, prepared

STORED: Final = Path(__file__).with_name("stored")
NOT_CHECKED: Final = "nbval-ignore-output"
_NOT_STORED: Final = (*NOT_COMPARED, "image/png")
_METADATA: Final = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
_LINE: Final = 120
_TIMEOUT_SECONDS: Final = 600
_KERNEL_START_SECONDS: Final = 120


def main() -> None:
    """Store every notebook again."""
    STORED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        base = prepared(Path(folder) / "prepared")
        for entry in NOTEBOOKS.values():
            with outputs_at(copy_of(base, Path(folder) / entry.name)):
                executed = _executed(nbformat.read(entry.source, 4), parameters_of(entry.name))
            write(stored(executed), STORED / f"{entry.name}.ipynb")


def _executed(notebook: NotebookNode, values: Mapping[str, Any]) -> NotebookNode:
    """The notebook with parameters and outputs; it runs where nbval runs it, in the folder of the stored ones."""
    cell = parameters_cell(notebook)
    cell.source = with_values(cell.source, values)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=_TIMEOUT_SECONDS,
        startup_timeout=_KERNEL_START_SECONDS,
        record_timing=False,
        resources={"metadata": {"path": str(STORED)}},
        config=Config({"KernelManager": kernels.settings()}),
    )
    return client.execute()


def parameters_cell(notebook: NotebookNode) -> NotebookNode:
    """The cell whose values a stored notebook has changed."""
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    return cell


def with_values(source: str, values: Mapping[str, Any]) -> str:
    """A parameters cell with other values; comments stay."""
    for name, value in values.items():
        text = str(value) if isinstance(value, bool) else json.dumps(value)
        source, found = re.subn(rf"(?m)^({name}: \w+ = ).*?(  #|$)", rf"\g<1>{text}\g<2>", source)
        if found != 1:
            raise KeyError(name)
    return source


def stored(notebook: NotebookNode) -> NotebookNode:
    """An executed notebook with what is compared, and nothing else."""
    notebook.metadata = _METADATA
    for cell in code_cells(notebook):
        checked = NOT_CHECKED not in cell.metadata.get("tags", [])
        cell.outputs = [output for output in cell.outputs if checked and output.get("name") not in NOT_COMPARED]
        for output in cell.outputs:
            output.metadata = {}
            output.data = {mime: _stored(mime, value) for mime, value in output.data.items() if mime not in _NOT_STORED}
    return notebook


def _stored(mime: str, value: Any) -> Any:
    return canonical(value) if mime == VEGALITE_MIME else sanitized(value)


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook; lists and objects that fit a line take one."""
    path.write_text(compact(json.loads(nbformat.writes(notebook))) + "\n", encoding="utf-8")


def compact(value: Any, indent: int = 0) -> str:
    """JSON in which a list or an object that fits a line takes one, and an only part begins on its parent's line."""
    line = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, dict | list) or indent + len(line) <= _LINE:
        return line
    inner = indent + (len(value) > 1)
    if isinstance(value, list):
        opening, closing, parts = "[", "]", [compact(one, inner) for one in value]
    else:
        opening, closing = "{", "}"
        parts = [f"{json.dumps(key)}: {compact(one, inner)}" for key, one in value.items()]
    if len(parts) == 1:
        return opening + parts[0] + closing
    outer = "\n" + " " * indent
    return opening + ",".join(f"{outer} {part}" for part in parts) + outer + closing


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Cells that are executed."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


if __name__ == "__main__":
    main()
