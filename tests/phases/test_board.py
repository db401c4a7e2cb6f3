"""The phase board and the index page: every decision, what holds, no markup from names, links that lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

from segment5b_lib.contract.words import Decision
from segment5b_lib.gates import scoring
from segment5b_lib.phases.engine.table import COLUMNS, phase_board
from segment5b_lib.reports.site import site_file, write_site
from segment5b_lib.store.roots import executed_folder
from segment5b_lib.store.runs import Run
from tests.decisions import speak
from tests.phases.execute import execute


def test_the_board_tells_open_from_hold_and_what_if(own_run: Run) -> None:
    speak("POPT.0", own_run, Decision.GO_POPT_1)
    speak("P1", own_run, Decision.UNLOCK_P1_UPSTREAM_2A_REOPEN)
    speak("P3", own_run, Decision.HOLD_P3_REMEDIATE, what_if=True)
    execute("P0", own_run, as_what_if=True)
    board = phase_board([own_run])
    assert board.columns == list(COLUMNS)
    assert dict(zip(board["phase"], board["stands"], strict=True)) == {
        "POPT.0": "open",
        "P0": "what-if",
        "P1": "reopen",
        "P3": "what-if",
    }


def test_a_hold_names_its_first_red_item(own_run: Run) -> None:
    speak("POPT.5", own_run, Decision.GO_P0)
    own_run.marker_path("S5").unlink()
    execute("P0", own_run)
    (row,) = [row for row in phase_board([own_run]).to_dicts() if row["phase"] == "P0"]
    assert row["stands"] == "hold" and row["held_by"].startswith("P0.1")


def test_the_index_page_lists_runs_gates_phases_and_pages(own_run: Run, private_outputs: Path) -> None:
    page = executed_folder(own_run.run_id) / "p0_<b>.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>page</p>")
    page.with_suffix(".record.json").write_text('{"status": "timed_<i>out", "parameters": {"as_what_if": true}}')
    speak("POPT.5", own_run, Decision.GO_P0)
    scoring.scorecard(own_run)
    text = write_site().read_text()
    assert site_file() == private_outputs / "site" / "index.html"
    assert own_run.run_id[:8] in text and "GO_P0" in text and "<b>.html" not in text
    cards = json.loads(re.search(r'id="scorecards">(.*?)</script>', text, re.DOTALL)[1])
    assert {gate["id"] for gate in cards[own_run.run_id]["gates"]} >= {"T1", "T6", "A2"}
    assert not re.search(r"https?://", text), "nothing is fetched"
    (link,) = re.findall(r'href="([^"]+)"', text)
    assert link == f"../notebooks/{own_run.run_id}/p0_&lt;b&gt;.html"
    assert "(timed &lt;i&gt;out, what-if)" in text, "a page says how its notebook ended"


def test_an_empty_outputs_folder_has_a_page_too(private_outputs: Path) -> None:
    assert "Runs" in write_site().read_text()
