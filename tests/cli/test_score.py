"""`segment5b score` and `compare`: what they show, what they keep, what they exit with."""

import json

import jsonschema
import pytest

from segment5b_lib.cli import verdicts
from segment5b_lib.gates import scoring
from segment5b_lib.gates.table import GATES
from segment5b_lib.store.runs import Run


@pytest.fixture
def kept_outputs(tmp_path, monkeypatch):
    """Scorecards are kept in a folder of the test's own; runs and worlds are the session's."""
    monkeypatch.setattr(scoring, "outputs_folder", lambda: tmp_path)


def test_score_says_no_names_the_owner_and_shows_every_column(segment5b, published_run, kept_outputs):
    code, out, _ = segment5b("score", published_run.run_id[:8])
    assert code == 1
    heading, columns, *rows = out.splitlines()
    assert published_run.run_id[:8] in heading and "measured at" in heading and "cached" not in heading
    for text in ("gate", "value", "verdict", "B", "B+", "distance", "owner", "population", "title", "thresholds from"):
        assert text in columns
    (t1,) = (line for line in rows if line.split()[:1] == ["T1"])
    for text in ("FAIL", "≤ 0.5 %", "≤ 0.1 %", "outside B", "2A", "arrivals", "validation_policy_5B: gates.T1"):
        assert text in t1
    assert "t01_civil_time.measure" in t1
    assert "next: segment5b world reopen" in out


def test_the_second_time_it_says_that_it_has_not_measured(segment5b, published_run, kept_outputs, monkeypatch):
    name = published_run.run_id[:8]
    first = segment5b("score", name)[1]
    moment = first.splitlines()[0].split("measured at ")[1]
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "score", None)
        code, out, _ = segment5b("score", name)
    assert code == 1
    assert f"cached, measured at {moment}" in out.splitlines()[0]
    assert out.splitlines()[1:] == first.splitlines()[1:]
    assert "cached" not in segment5b("score", name, "--fresh")[1].splitlines()[0]


def test_json_follows_the_schema_that_the_command_prints(segment5b, published_run, kept_outputs):
    code, text, _ = segment5b("score", "--schema")
    assert code == 0
    code, out, _ = segment5b("score", published_run.run_id[:8], "--json")
    assert code == 1
    document = json.loads(out)
    jsonschema.Draft202012Validator(json.loads(text)).validate(document)
    assert document["run_id"] == published_run.run_id
    assert [gate["gate_id"] for gate in document["gates"]] == [gate.gate_id for gate in GATES]


def test_one_gate_in_full(segment5b, published_run, kept_outputs):
    name = published_run.run_id[:8]
    code, out, _ = segment5b("score", name, "--gate", "T1")
    assert code == 1
    lines = {line[:24].strip(): line[24:].strip() for line in out.splitlines()}
    assert lines["verdict"] == "fail" and lines["owner"] == "2A"
    assert lines["thresholds from"] == "validation_policy_5B: gates.T1"
    assert lines["population"].endswith("arrivals")
    code, out, _ = segment5b("score", name, "--gate", "T4", "--json")
    assert code == 0
    assert json.loads(out)["value"] == 0
    assert segment5b("score", name, "--gate", "T99")[0] == 2


def test_a_narrow_terminal_shows_what_fits_and_says_where_the_rest_is(
    segment5b, published_run, kept_outputs, monkeypatch
):
    monkeypatch.setattr(verdicts, "table_width", lambda: 80)
    _, out, _ = segment5b("score", published_run.run_id[:8])
    assert out.splitlines()[1].split() == ["gate", "value", "verdict", "B", "B+"]
    assert "population, title, thresholds from, measured by: --gate GATE, --json" in " ".join(out.split())


def test_compare_says_which_verdicts_changed_and_by_how_much(segment5b, published_run, civil_time_run, kept_outputs):
    names = [run.run_id[:8] for run in (published_run, civil_time_run)]
    code, out, _ = segment5b("compare", *names)
    assert code == 0
    (t11,) = (line for line in out.splitlines() if line.startswith("  T11 "))
    assert "FAIL → B+" in t11 and "pp" in t11 and "better" in t11
    assert not [line for line in out.splitlines() if line.startswith("  T4 ")]
    code, out, _ = segment5b("compare", *names, "--json")
    document = json.loads(out)
    assert code == 0
    assert [card["run_id"][:8] for card in document["scorecards"]] == names
    assert all(card["cached"] for card in document["scorecards"])
    (difference,) = document["differences"]
    moved = {gate["gate"]: gate["moved"] for gate in difference["gates"]}
    assert (moved["T1"], moved["T4"]) == ("better", "same")


def test_a_changed_run_is_not_served_from_what_was_kept(segment5b, own_run: Run):
    name = own_run.run_id[:8]
    segment5b("score", name)
    assert "cached" in segment5b("score", name)[1].splitlines()[0]
    path = own_run.files("arrival_events_5B", own_run.scenarios[0])[0]
    path.unlink()
    code, out, _ = segment5b("score", name)
    assert code == 1
    assert "cached" not in out.splitlines()[0]
    assert "not measured" in out
