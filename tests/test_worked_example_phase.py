"""The worked example of CONTRIBUTING's "How to add a phase": P6 is added to a copy of the project by the edits that the
page lists, then executed as its notebook on the tiny run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segment5b_lib.phases.engine.attempts import current, reports_folder
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.runs import Run

ROOT = Path(__file__).resolve().parents[1]

MODULE = '''"""P6: is it still in use? Every state of the frozen run can be opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from segment5b_lib.contract.words import Decision
from segment5b_lib.phases.engine.envelope import Body, DodItem
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.parameters import OnCandidate
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, Subject, item
from segment5b_lib.store.runs import Run


class Usage(Body, artefact="p6_usage"):
    """How many files each state has left."""

    files: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class P6Measured(Measured):
    """What the states of a run have left."""

    run: Run
    files: dict[str, int]


def measure(subject: Subject[OnCandidate]) -> P6Measured:
    """Count the files of every state."""
    run = subject.run
    return P6Measured(run=run, files={state: len(run.outputs(state)) for state in ("S1", "S2", "S3", "S4")})


def items(measured: P6Measured) -> list[DodItem]:
    """Every state has left files."""
    problems = [f"{state} has left no file" for state, count in measured.files.items() if not count]
    return [item("P6.1", "every state has left files", problems, f"{sum(measured.files.values())} files")]


def conclude(measured: P6Measured, items: Sequence[DodItem]) -> Conclusion:
    """The run may be archived."""
    return Conclusion(Decision.GO_ARCHIVE, [f"{sum(measured.files.values())} files can be opened"])


def bodies(measured: P6Measured) -> list[Body]:
    """The counts."""
    return [Usage(files=measured.files)]


def sections(measured: P6Measured) -> list[Section]:
    """Files by state."""
    return [Section("Files", ("state", "files"), [(state, str(count)) for state, count in measured.files.items()])]


PHASE: Final = Phase(
    name="P6",
    question="Is it still in use: can every state of the frozen run be opened?",
    notebook="p6_usage",
    after=("P5",),
    hold=Decision.HOLD_P6_REOPEN,
    parameters=OnCandidate,
    artefacts=(Usage,),
    pages=(Usage.ARTEFACT,),
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    sections=sections,
)
'''

CELLS = """\
import segment5b_lib as s5

phase = s5.phase("P6", run_id, as_what_if=as_what_if)
phase.measured
---
phase.items
---
phase.decision
---
phase.publish()
---
phase.next_steps"""


def add_module(project: Path) -> None:
    (project / "segment5b_lib/phases/p6.py").write_text(MODULE)


def add_to_table(project: Path) -> None:
    table = project / "segment5b_lib/phases/engine/table.py"
    changed = table.read_text().replace("p5, popt0", "p5, p6, popt0").replace("p4, p5)", "p4, p5, p6)")
    assert changed.count("p6") == 2
    table.write_text(changed)


def add_words(project: Path) -> None:
    words = project / "segment5b_lib/contract/words.py"
    last = '    HOLD_P5_REOPEN = "HOLD_P5_REOPEN"\n'
    new = '    GO_ARCHIVE = "GO_ARCHIVE"\n    HOLD_P6_REOPEN = "HOLD_P6_REOPEN"\n'
    words.write_text(words.read_text().replace(last, last + new))


def add_notebook(project: Path) -> None:
    code = "from segment5b_lib.phases import p6; from segment5b_lib.phases.engine.parameters import parameters_cell"
    parameters = python(project, f"{code}; print(parameters_cell(p6.PHASE.parameters))").rstrip()
    notebook = read_json(project / "notebooks/p3_contract_hardening.ipynb")
    cells = {
        kind: next(cell for cell in notebook["cells"] if cell["cell_type"] == kind) for kind in ("markdown", "code")
    }
    title = {**cells["markdown"], "id": "title", "source": "# P6 · Is it still in use?"}
    first = {**cells["code"], "id": "parameters", "source": parameters}
    steps = [
        {**cells["code"], "id": f"step-{n}", "metadata": {}, "source": source}
        for n, source in enumerate(CELLS.split("\n---\n"))
    ]
    (project / "notebooks/p6_usage.ipynb").write_text(json.dumps({**notebook, "cells": [title, first, *steps]}))


EDITS: dict[str, Callable[[Path], None]] = {
    "phases/": add_module,
    "phases/engine/table.py": add_to_table,
    "contract/words.": add_words,
    "notebooks/": add_notebook,
}
"""The edits in the order of CONTRIBUTING, by the place that its step names first."""


def python(project: Path, code: str, *arguments: str) -> str:
    """What a program prints that imports the project's own library."""
    environment = {**os.environ, "PYTHONPATH": str(project), "SEGMENT5B_HOME": str(project)}
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of library, notebooks and parameters."""
    for name in ("segment5b_lib", "notebooks", "parameters"):
        shutil.copytree(ROOT / name, tmp_path / "project" / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "project"


def test_the_steps_are_those_of_the_page() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.partition("## How to add a phase\n")[2].partition("\n## ")[0]
    steps = re.findall(r"^\d+\. (.*?)(?=^\d+\. |^$)", section, re.MULTILINE | re.DOTALL)
    assert [re.findall(r"`([^`]+?)(?:Decision)?`", step)[0] for step in steps] == list(EDITS)
    assert len(EDITS) <= 4


@pytest.mark.slow
def test_a_phase_that_is_added_by_these_steps_decides_and_stands_on_the_board(own_run: Run, project: Path) -> None:
    for edit in EDITS.values():
        edit(project)

    command = "from segment5b_lib.cli.main import main; main()"
    record = json.loads(python(project, command, "phase", "p6", own_run.run_id, "--as-what-if", "--json"))
    assert (record["status"], record["decision"]) == ("complete", "GO_ARCHIVE")

    pointer = current("p6", own_run.run_id, what_if=True)
    assert pointer is not None and pointer.items == {"P6.1": "green"} and current("p6", own_run.run_id) is None
    assert [written.artefact for written in pointer.artefacts] == ["p6_usage", "p6_usage"]
    artefact = read_json(reports_folder(own_run.run_id) / pointer.documents[0].file)
    assert artefact["what_if"] is True and artefact["files"]["S4"] == len(own_run.outputs("S4")) > 0

    board = (
        "from segment5b_lib.phases.engine.table import phase_board as board; from segment5b_lib.store import catalogue"
    )
    rows = json.loads(python(project, f"{board}; print(board(catalogue.list_runs()).write_json())"))
    assert [(row["phase"], row["decision"], row["stands"]) for row in rows] == [("P6", "GO_ARCHIVE", "what-if")]
