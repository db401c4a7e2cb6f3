"""The index page: runs, scorecards, phases and pages of an outputs folder, as one static file that needs no network.

It shows what has been recorded and measures nothing: a run without a saved scorecard has none here.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from segment5b_lib.contract.words import NotebookStatus, Verdict
from segment5b_lib.gates.scoring import ScorecardDocument, saved_file
from segment5b_lib.gates.wording import value_text
from segment5b_lib.identity import utc_now
from segment5b_lib.phases.engine.table import phase_board
from segment5b_lib.reports.html import asset, script_json
from segment5b_lib.reports.notebooks import NOTEBOOKS
from segment5b_lib.store.catalogue import list_runs
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.publish import write_file
from segment5b_lib.store.roots import outputs_folder, pages_of
from segment5b_lib.store.runs import Run
from segment5b_lib.views.timing import states

_DIGITS: Final = 8


def site_file() -> Path:
    """Path of the index page."""
    return outputs_folder() / "site" / "index.html"


def write_site() -> Path:
    """Write the index page from the recorded results; returns its path."""
    runs = list_runs()
    scorecards = {run.run_id: scorecard for run in runs if (scorecard := _saved_scorecard(run)) is not None}
    board = phase_board(runs).to_dicts()
    page = Template(asset("site.html")).substitute(
        style=asset("page.css"),
        written=escape(utc_now()[:16].replace("T", " ") + " UTC"),
        runs="\n".join(_run_row(run, scorecards.get(run.run_id), board) for run in reversed(runs)),
        phases="\n".join(_phase_row(row) for row in board),
        scorecards=script_json({run_id: _gates_of(scorecard) for run_id, scorecard in scorecards.items()}),
    )
    write_file(site_file(), page.encode())
    return site_file()


def _saved_scorecard(run: Run) -> ScorecardDocument | None:
    path = saved_file(run)
    return ScorecardDocument.model_validate_json(path.read_bytes()) if path.is_file() else None


def _gates_of(scorecard: ScorecardDocument) -> dict[str, Any]:
    gates = [
        {
            "id": gate.gate_id,
            "title": gate.title,
            "verdict": gate.verdict.value,
            "value": value_text(gate.value, gate.unit),
        }
        for gate in scorecard.gates
    ]
    return {"title": f"{scorecard.posture}, seed {scorecard.seed}, {scorecard.run_id[:_DIGITS]}", "gates": gates}


def _run_row(run: Run, scorecard: ScorecardDocument | None, board: Sequence[dict[str, Any]]) -> str:
    receipt = run.receipt
    decided = [row for row in board if row["run_id"] == run.run_id and row["stands"] != "what-if"]
    latest = max(decided, key=lambda row: row["created_utc"], default=None)
    ticked = "" if scorecard is None else f'<input type="checkbox" checked data-run="{escape(run.run_id)}">'
    cells = [
        f"<td>{ticked}</td>",
        f'<td><code title="{escape(run.run_id)}">{escape(run.run_id[:_DIGITS])}</code></td>',
        _cell(receipt.posture),
        f'<td class="number">{receipt.seed}</td>',
        _cell(run.world.scale),
        f'<td class="short">{escape(_states(run))}</td>',
        _cell(_gates(scorecard)),
        _cell("", "") if latest is None else _cell(f"{latest['phase']}: {latest['decision']}", latest["stands"]),
        f"<td>{_pages(run)}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _phase_row(row: dict[str, Any]) -> str:
    run = f"{row['posture']}, seed {row['seed']}, {row['run_id'][:_DIGITS]}"
    cells = [
        _cell(run),
        _cell(row["phase"]),
        _cell(row["decision"] + (" (what-if)" if row["stands"] == "what-if" else ""), row["stands"]),
        f'<td class="number">{row["attempt"]}</td>',
        _cell(row["held_by"]),
        _cell(row["created_utc"][:19].replace("T", " ")),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(text: str, mark: str = "") -> str:
    name = f' class="verdict {escape(mark)}"' if mark else ""
    return f"<td{name}>{escape(text)}</td>"


def _states(run: Run) -> str:
    table = states(run)
    bad = table.filter(~table["status"].is_in(["PASS", "LINKED"]))
    seconds = table["seconds"].sum()
    return f"{bad['state'][0]} {bad['status'][0]}" if bad.height else f"S0–S5 pass, {seconds:.1f} s"


def _gates(scorecard: ScorecardDocument | None) -> str:
    if scorecard is None:
        return "not scored"
    failed = [gate.gate_id for gate in scorecard.gates if gate.verdict is Verdict.FAIL]
    return f"{len(failed)} fail: {', '.join(failed)}" if failed else "none fails"


def _pages(run: Run) -> str:
    links = [
        f'<a href="../{escape(page.relative_to(outputs_folder()).as_posix())}">{escape(page.stem)}</a>{_outcome(page)}'
        for page in sorted(pages_of(run.run_id), key=_order)
    ]
    return "<br>".join(links)


def _order(page: Path) -> tuple[int, str]:
    """Pages in the order of the installed set, which is the plan's."""
    order = list(NOTEBOOKS)
    return order.index(page.stem) if page.stem in order else len(order), page.stem


def _outcome(page: Path) -> str:
    """How the notebook of a page ended, unless it is complete; and whether it is a what-if."""
    path = page.with_suffix(".record.json")
    if not path.is_file():
        return ""
    record = read_json(path)
    labels = [] if record["status"] == NotebookStatus.COMPLETE else [record["status"].replace("_", " ")]
    labels += ["what-if"] if record["parameters"].get("as_what_if") else []
    return f" ({escape(', '.join(labels))})" if labels else ""
