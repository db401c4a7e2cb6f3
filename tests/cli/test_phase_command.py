"""`segment5b phase`: its options are the parameters that the phases declare, and reach the notebook as given."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from segment5b_lib.cli import phase
from segment5b_lib.cli.main import app
from segment5b_lib.cli.phase import declared_options
from segment5b_lib.reports.notebooks import NOTEBOOKS

FIELDS = {name for entry in NOTEBOOKS.values() if entry.phase for name in entry.parameters.model_fields}


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []
    monkeypatch.setattr(phase, "execute_phase", lambda name, parameters, *, json: calls.append((name, parameters)))
    return calls


def test_every_declared_parameter_is_an_option_and_no_other() -> None:
    assert {option.name for option in declared_options()} == FIELDS - {"run_id", "as_what_if"}
    text = CliRunner().invoke(app, ["phase", "--help"], env={"COLUMNS": "200"}).output
    assert all(
        option in text for option in ("--baseline", "--witness", "--waiver", "--panel", "--as-what-if", "--json")
    )
    assert "the run that P0 was about" in text


def test_options_reach_the_notebook_as_its_parameters(executed: list[Any]) -> None:
    words = ["phase", "P1", "@last", "--baseline", "ab", "--witness", "cd", "--witness", "ef", "--as-what-if"]
    assert CliRunner().invoke(app, words).exit_code == 0
    given = {"run_id": "@last", "baseline": "ab", "witnesses": ["cd", "ef"], "as_what_if": True}
    assert executed == [("P1", given)]


def test_what_is_not_given_is_left_to_the_phase(executed: list[Any]) -> None:
    assert CliRunner().invoke(app, ["phase", "P0"]).exit_code == 0
    assert executed == [("P0", {"run_id": "@last"})]
    assert CliRunner().invoke(app, ["phase", "P0", "--wavier", "x"]).exit_code == 2
