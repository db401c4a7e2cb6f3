"""A home of its own for notebooks that misbehave, and a run that is only a receipt."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from segment5b_lib.phases.engine.parameters import PhaseParameters
from segment5b_lib.reports import notebooks
from segment5b_lib.reports.notebooks import Notebook
from segment5b_lib.store.runs import RECEIPT_FILE, RunReceipt

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_ID = "0123456789abcdef" * 2

_PUBLISH = """
from segment5b_lib.phases.engine.attempts import Outcome, next_attempt
outcome = Outcome(decision="%s", created_utc="2026-01-01T00:00:00.000000Z", items={})
with next_attempt("p0", run_id) as attempt:
    attempt.publish({("p0_thing", "json"): b"{}"}, outcome)
"""
CELLS = {
    "opens": _PUBLISH % "UNLOCK_P1",
    "holds": _PUBLISH % "HOLD_P0_REOPEN",
    "raises": (
        "from segment5b_lib.errors import InputError\nraise InputError('5B.TEST.BAD', 'the <b>data</b> is bad')"
    ),
    "refuses": (
        "from segment5b_lib.errors import GateRefusal\n"
        "raise GateRefusal('5B.PHASE.NOT_OPENED', 'P2 may not <start>', next_step='segment5b phase P1 01234567')"
    ),
    "publishes_nothing": "run_id.upper()",
    "is_slow": "import time\ntime.sleep(60)",
    "dies": "import os\nos._exit(9)",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with one small notebook per way to end, and an outputs folder with one run."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name, cell in CELLS.items():
        parameters = new_code_cell('run_id: str = "@last"', metadata={"tags": ["parameters"]})
        last = [new_markdown_cell("secret of the last cell"), new_code_cell("1")] if name == "refuses" else []
        cells = [new_markdown_cell(f"# {name}"), parameters, new_code_cell(cell.strip()), *last]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / f"{name}.ipynb")
    monkeypatch.setenv("SEGMENT5B_HOME", str(tmp_path))
    monkeypatch.setenv("SEGMENT5B_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setattr(notebooks, "NOTEBOOKS", {name: Notebook(name, "P0", PhaseParameters) for name in CELLS})
    _write_receipt(tmp_path / "outputs" / "runs" / RUN_ID)
    return tmp_path


def _write_receipt(root: Path) -> None:
    receipt = RunReceipt(
        run_id=RUN_ID,
        seed=42,
        nonce=0,
        parameter_hash="0" * 64,
        manifest_fingerprint="0" * 64,
        rng_root="0" * 64,
        world="worlds/" + "0" * 64,
        posture="published",
        parent_run=None,
        changed_states=[],
        changes={},
        created_utc="2026-01-01T00:00:00.000000Z",
        library_version="0",
    )
    root.mkdir(parents=True)
    (root / RECEIPT_FILE).write_text(receipt.model_dump_json(), encoding="utf-8")
