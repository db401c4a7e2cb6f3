"""Kept scorecards: served while nothing has changed, never afterwards; their JSON follows the schema."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import polars as pl
import pytest

from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates import scoring
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import content_digest, saved_file, scorecard, scorecard_schema
from segment5b_lib.store.runs import Run
from tests.gates.hand_made import SCENARIO, clean, write_run


@pytest.fixture
def run(tmp_path: Path, private_outputs: Path) -> Run:
    return write_run(clean(), tmp_path / "made")


@pytest.fixture
def kept(run: Run) -> Scorecard:
    return scorecard(run)


@pytest.fixture
def no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_run: Run) -> Scorecard:
        raise AssertionError("measured again")

    monkeypatch.setattr(scoring, "score", refuse)


def test_a_kept_scorecard_says_the_same_and_when_it_was_measured(run: Run, kept: Scorecard, no_measuring: None) -> None:
    again = scorecard(run)
    assert kept.origin is not None and again.origin is not None
    assert (kept.origin.cached, again.origin.cached) == (False, True)
    assert again.origin.measured_utc == kept.origin.measured_utc
    assert again.results == tuple(entry for entry in json_round(kept).results)
    assert again.attributions == kept.attributions and again.identity == kept.identity
    assert f"cached, measured at {kept.origin.measured_utc[:19]}Z" in again._repr_html_()
    assert "cached" not in kept._repr_html_()


def json_round(card: Scorecard) -> Scorecard:
    """The same scorecard, its details through JSON (tuples become lists)."""
    for entry in card.results:
        entry.detail.update(json.loads(json.dumps(entry.detail)))
    return card


def test_the_evidence_of_a_kept_scorecard_is_taken_when_it_is_asked_for(run: Run, kept: Scorecard) -> None:
    again = scorecard(run)
    assert again.evidence.arrivals == clean().arrivals.height == kept.evidence.arrivals


def test_fresh_measures_again(run: Run, kept: Scorecard) -> None:
    again = scorecard(run, fresh=True)
    assert again.origin is not None and not again.origin.cached
    assert again.document()["gates"] == kept.document()["gates"]


def arrivals_change(run: Run) -> None:
    path = run.files("arrival_events_5B", SCENARIO)[0]
    stat = path.stat()
    frame = pl.read_parquet(path, hive_partitioning=False)
    path.unlink()
    frame.sample(fraction=1.0, shuffle=True, seed=1).write_parquet(path)
    import os

    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def policy_changes(run: Run) -> None:
    path = next((run.root / "policies").glob("validation*.yaml"))
    path.write_text(path.read_text() + "\n# a comment\n")


def file_vanishes(run: Run) -> None:
    run.files("arrival_events_5B", SCENARIO)[0].unlink()


def file_appears(run: Run) -> None:
    (run.root / "markers").mkdir(exist_ok=True)
    (run.root / "markers" / "new.json").write_text("{}")


def world_changes(run: Run) -> None:
    path = run.world.files("tz_timetable_cache_json")[0]
    path.write_text(path.read_text() + " ")


@pytest.mark.parametrize("change", [arrivals_change, policy_changes, file_vanishes, file_appears, world_changes])
def test_a_change_of_any_file_is_measured_anew(
    run: Run, kept: Scorecard, change, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(run)
    measured = []
    monkeypatch.setattr(scoring, "score", lambda seen: measured.append(seen) or kept)
    again = scorecard(run)
    assert measured == [run]
    assert again.origin is not None and kept.origin is not None
    assert again.origin.content_digest != kept.origin.content_digest


def test_other_code_is_measured_anew_and_a_lock_file_is_not(
    run: Run, kept: Scorecard, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept.origin is not None
    (run.root / ".lock").write_text("somebody")
    assert content_digest(run) == kept.origin.content_digest
    monkeypatch.setattr(scoring, "library_digest", lambda: "another library")
    assert content_digest(run) != kept.origin.content_digest


@pytest.mark.parametrize("damage", [b"", b"{}", b"not json", b'{"run_id": 1}'])
def test_a_damaged_kept_file_is_replaced(run: Run, kept: Scorecard, damage: bytes) -> None:
    whole = saved_file(run).read_bytes()
    saved_file(run).write_bytes(damage)
    again = scorecard(run)
    assert again.origin is not None and not again.origin.cached
    assert json.loads(saved_file(run).read_bytes())["gates"] == json.loads(whole)["gates"]


def test_a_kept_scorecard_of_another_run_is_not_served(run: Run, kept: Scorecard) -> None:
    document = json.loads(saved_file(run).read_bytes())
    saved_file(run).write_text(json.dumps({**document, "run_id": "c" * 32}))
    again = scorecard(run)
    assert again.origin is not None and not again.origin.cached


def test_the_library_digest_is_of_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.py").write_text("1")
    monkeypatch.setattr(scoring, "PACKAGE", tmp_path)
    digests = []
    for text in ("1", "2"):
        (tmp_path / "one.py").write_text(text)
        digests.append(scoring.library_digest.__wrapped__())
    assert digests[0] != digests[1]


def test_the_document_follows_its_schema_and_a_wrong_one_does_not(kept: Scorecard) -> None:
    checker = jsonschema.Draft202012Validator(scorecard_schema())
    checker.check_schema(scorecard_schema())
    document = json.loads(json.dumps(kept.document()))
    checker.validate(document)
    wrong = {
        "a verdict that does not exist": lambda d: d["gates"][0].update(verdict="green"),
        "no provenance": lambda d: d["gates"][2]["thresholds"][0].pop("policy_key"),
        "no population": lambda d: d["gates"][2].pop("population"),
        "value as text": lambda d: d["gates"][2].update(value="0 %"),
        "an unknown key": lambda d: d.update(colour="red"),
        "no digest": lambda d: d.pop("content_digest"),
    }
    for name, spoil in wrong.items():
        spoilt = copy.deepcopy(document)
        spoil(spoilt)
        assert not checker.is_valid(spoilt), name


def test_every_verdict_is_a_word_of_the_schema() -> None:
    text = json.dumps(scorecard_schema())
    assert all(f'"{verdict.value}"' in text for verdict in Verdict)
