"""What CONTRIBUTING.md says about adding a gate is done here, to copies of the files that it names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path("segment5b_lib/gates/table.py")
POLICY = Path("parameters/policies/validation_policy_5B.yaml")

SCORE = """
import json, sys
from datetime import timedelta
from pathlib import Path
import polars as pl
from segment5b_lib import gates
gates.__path__.insert(0, sys.argv[1])
from segment5b_lib.gates.scoring import score
from segment5b_lib.phases.p0 import AXES
from tests.gates.hand_made import clean, shifted, write_run

home = Path(sys.argv[2])
late = shifted("ts_local_primary", timedelta(hours=12), pl.lit(True))
cards = [score(write_run(frames, home / name)) for name, frames in (("a", clean()), ("b", clean().with_arrivals(late)))]
print(json.dumps({"cards": [card.document() for card in cards], "axes": AXES, "page": cards[0]._repr_html_()}))
"""
"""Scores a run without a defect and one whose local times are half a day late, with the copies in front."""


def section(title: str) -> str:
    """A section of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def block(text: str, language: str) -> str:
    """The example in this language, without the indentation of its list."""
    (example,) = re.findall(rf"^   ```{language}\n(.*?)^   ```$", text, re.MULTILINE | re.DOTALL)
    return "".join(line.removeprefix("   ") for line in example.splitlines(keepends=True))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the documented edits: a module, two lines of the table, a line of the policy."""
    text = section("How to add a gate")
    home = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "parameters", home / "parameters")
    (home / TABLE).parent.mkdir(parents=True)
    (home / TABLE).with_name("t13_night_share.py").write_text(block(text, "python"), encoding="utf-8")
    table = (ROOT / TABLE).read_text(encoding="utf-8")
    table = table.replace("    t12_local_contract,\n)", "    t12_local_contract,\n    t13_night_share,\n)")
    table = table.replace("        t09_dispersion,\n", "        t09_dispersion,\n        t13_night_share,\n")
    assert table.count("t13_night_share,") == 2
    (home / TABLE).write_text(table, encoding="utf-8")
    policy = (home / POLICY).read_text(encoding="utf-8")
    (home / POLICY).write_text(policy.replace("  A1: {", f"{block(text, 'yaml')}  A1: {{"), encoding="utf-8")
    return home


def run_python(home: Path, *arguments: str) -> str:
    environment = {**os.environ, "SEGMENT5B_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def seen(home: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(run_python(home, "-c", SCORE, str((home / TABLE).parent), str(home)))
    return loaded


def test_a_gate_takes_three_edits(home: Path) -> None:
    """A module and a line in each of two files, as the steps name them."""
    text = section("How to add a gate")
    paths = (path for path in home.rglob("*") if path.is_file())
    edited = {path.relative_to(home) for path in paths if not same(path, ROOT / path.relative_to(home))}
    steps = re.split(r"^\d\. ", text, flags=re.MULTILINE)[1:]
    assert len(edited) == len(steps) == 3
    for path, step in zip((TABLE.with_name("t13_night_share.py"), TABLE, POLICY), steps, strict=True):
        assert path in edited
        assert path.name in step


def same(left: Path, right: Path) -> bool:
    return right.is_file() and left.read_bytes() == right.read_bytes()


def test_the_gate_is_in_the_scorecard_with_its_thresholds(seen: dict[str, Any]) -> None:
    clean, late = ({result["gate_id"]: result for result in card["gates"]}["T13"] for card in seen["cards"])
    assert (clean["verdict"], clean["value"], late["verdict"]) == ("pass_bplus", 0.0, "fail")
    assert clean["population"] == late["population"] > 90_000
    assert [(bound["policy_key"], bound["value"]) for bound in clean["thresholds"]] == [
        ("gates.T13.b.max", 0.10),
        ("gates.T13.bplus.max", 0.05),
    ]
    assert clean["produced_by"] == "segment5b_lib.gates.t13_night_share.measure"
    order = [result["gate_id"] for result in seen["cards"][0]["gates"]]
    assert order[order.index("T9") + 1] == "T13"


def test_its_failure_is_attributed_and_page_and_phases_show_it(seen: dict[str, Any]) -> None:
    assert "T13" not in {line["gate_id"] for line in seen["cards"][0]["attributions"]}
    (line,) = (line for line in seen["cards"][1]["attributions"] if line["gate_id"] == "T13")
    assert (line["owner"], line["axis"], line["rerun"]) == ("S4", "rhythm and counts", ["S4", "S5"])
    assert line["cause"] == "local times are not those of the zone"
    assert line["command"] == "segment5b rerun --changed S4"
    assert "Night share" in seen["page"]
    assert "T13" in seen["axes"]["rhythm and counts"]


def test_the_gate_keeps_what_every_gate_keeps(home: Path) -> None:
    """The tests of the table and of attribution, and the formatter, accept the example."""
    start = "import sys, pytest; from segment5b_lib import gates; gates.__path__.insert(0, sys.argv[1]);"
    tests = ["tests/gates/test_table.py", "tests/gates/test_attribution.py"]
    options = ["-q", "-n0", "-p", "no:cacheprovider", "--basetemp", str(home / "basetemp")]
    output = run_python(home, "-c", f"{start} sys.exit(pytest.main({[*tests, *options]}))", str((home / TABLE).parent))
    assert "passed" in output
    folder = home / TABLE.parent
    run_python(home, "-m", "ruff", "format", "--check", "--config", str(ROOT / "pyproject.toml"), str(folder))
    run_python(home, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(folder))
