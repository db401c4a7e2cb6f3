"""The phases on runs that somebody else made: the data engine, and older versions of this library."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from segment5b_lib.contract.words import Decision
from segment5b_lib.engine.attach.attach import attach
from segment5b_lib.engine.retention import keep_set
from segment5b_lib.errors import StaleError, UsageError
from segment5b_lib.phases import p0, popt0, popt2, popt3
from segment5b_lib.phases.engine.execution import PhaseExecution
from segment5b_lib.store.catalogue import find_run
from segment5b_lib.store.runs import Run
from tests.engine_root import COUNTED, RUN_ID, edit_records, engine_root
from tests.phases.execute import artefacts, execute
from tests.phases.popt_track import Track, check_artefacts, plant_seconds, remade, statuses

PUBLISHED = {"S0": 0.5, "S1": 148.0, "S2": 47.0, "S3": 45.0, "S4": 504.0, "S5": 1.5}
"""About what the engine's own run of the plan took: long enough for a single run to count."""
NOW = {"S0": 0.5, "S1": 60.0, "S2": 30.0, "S3": 30.0, "S4": 200.0, "S5": 1.5}


def evidence(phase: PhaseExecution[Any, Any]) -> dict[str, str]:
    return {item.id: item.evidence for item in phase.items}


@pytest.fixture
def engine_run(track: Track, tmp_path: Path) -> Run:
    """The engine's run of the same work, in its own time; three of ours take less."""
    root = engine_root(track.plain[0], tmp_path / "engine", records=COUNTED)
    wall = {state: {"durations": {"wall_ms": seconds * 1e3}} for state, seconds in PUBLISHED.items()}
    edit_records(root, lambda record: {**record, **wall[record["state"]]})
    plant_seconds(track.plain, NOW, apart=0.01)
    return attach(root, scale="tiny").run


def test_popt_0_names_the_timing_that_is_missing(engine_run: Run) -> None:
    phase = execute("POPT.0", find_run(RUN_ID))
    assert phase.decision.word is Decision.HOLD_POPT_0 and RUN_ID not in keep_set()
    red = {name for name, status in statuses(phase).items() if status == "red"}
    assert red == {"POPT.0.1a", "POPT.0.3a"}
    assert "S1: 0 steps" in evidence(phase)["POPT.0.3a"] and "n = 1" in evidence(phase)["POPT.0.2a"]
    assert "without step timers" in evidence(phase)["POPT.0.3b"]
    check_artefacts(phase, popt0.PHASE.artefacts)


def test_popt_0_without_records_has_no_times_at_all(track: Track, tmp_path: Path) -> None:
    attach(engine_root(track.plain[0], tmp_path / "engine", records=(), world=False))
    phase = execute("POPT.0", find_run(RUN_ID))
    assert phase.decision.word is Decision.HOLD_POPT_0
    assert {"POPT.0.2a", "POPT.0.3a", "POPT.0.5"} <= {n for n, s in statuses(phase).items() if s == "red"}
    (table,) = (path.read_text() for path in artefacts(phase) if path.suffix == ".csv")
    for row in csv.DictReader(io.StringIO(table)):
        assert row["status"] == "ATTACHED" and row["elapsed_s"] == "" and "elapsed_s" in row["missing"]


@pytest.mark.reaches(Decision.UNLOCK_POPT3_CONTINUE, Decision.UNLOCK_POPT3, Decision.UNLOCK_POPT4_CONTINUE)
def test_our_runs_against_the_engines(engine_run: Run, track: Track) -> None:
    """Time by its run records, structure by columns: text and timestamps, other files, the same rows."""
    run = track.plain[0]
    assert execute("POPT.0", run).decision.word is Decision.GO_POPT_1
    assert execute("POPT.2", run, baseline=RUN_ID).decision.word is Decision.UNLOCK_POPT3_CONTINUE
    assert execute("POPT.1", run, baseline=RUN_ID).decision.word is Decision.UNLOCK_POPT3
    phase = execute("POPT.3", run, baseline=RUN_ID)
    assert phase.decision.word is Decision.UNLOCK_POPT4_CONTINUE, phase.decision.reasons
    written = check_artefacts(phase, popt3.PHASE.artefacts)["popt3_closure"]
    assert written["reference"] == RUN_ID and {line["compared_by"] for line in written["datasets"]} == {"columns"}
    assert any(line["path"].startswith(f"baseline/{RUN_ID}/run/attachment.json") for line in written["inputs"])
    assert RUN_ID not in {line["run_id"] for line in written["replays"]}


def test_the_engines_run_as_the_candidate_says_what_it_lacks(engine_run: Run, track: Track) -> None:
    phase = execute("POPT.1", find_run(RUN_ID), baseline=track.plain[0].run_id, as_what_if=True)
    found = evidence(phase)
    assert phase.decision.word is Decision.HOLD_POPT1_REOPEN and found["POPT.1.2"] == "S1: no step timers"
    assert statuses(phase)["POPT.1.3a"] == statuses(phase)["POPT.1.3c"] == statuses(phase)["POPT.1.5c"] == "green"


def test_counters_that_nobody_recorded_are_named(track: Track, tmp_path: Path) -> None:
    attach(engine_root(track.plain[0], tmp_path / "engine"))
    phase = execute("POPT.1", track.plain[0], baseline=RUN_ID, as_what_if=True)
    assert "S1 total_bucket_count: not recorded before, 2160 now" in evidence(phase)["POPT.1.3a"]
    assert statuses(phase)["POPT.1.3c"] == "green"


def test_rows_that_differ_are_found_in_either_encoding(track: Track, tmp_path: Path) -> None:
    root = engine_root(track.plain[0], tmp_path / "engine", records=COUNTED)
    path = min(root.glob("data/layer2/5B/arrival_events/*/*/*/*.parquet"))
    pl.read_parquet(path, hive_partitioning=False).with_columns(
        ts_utc=pl.col("ts_utc").str.replace(r"\.\d{6}Z$", ".000000Z")
    ).write_parquet(path)
    attach(root)
    phase = execute("POPT.2", track.plain[0], baseline=RUN_ID, as_what_if=True)
    assert evidence(phase)["POPT.2.4a"] == "arrival_events_5B: (row), ts_utc differ (columns)"


def test_evidence_that_changed_since_it_was_attached_is_refused(engine_run: Run, track: Track) -> None:
    path = min(engine_run.root.glob("data/layer2/5B/arrival_events/*/*/*/*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StaleError, match=r"5B\.PHASE\.INPUT_CHANGED"):
        execute("POPT.2", track.plain[0], baseline=RUN_ID, as_what_if=True)


def test_p0_on_the_engines_run(engine_run: Run, track: Track) -> None:
    ours, theirs = (execute("P0", run, as_what_if=True) for run in (track.plain[0], find_run(RUN_ID)))
    assert theirs.decision.word is ours.decision.word is Decision.UNLOCK_P1
    assert statuses(theirs) == statuses(ours)
    check_artefacts(theirs, p0.PHASE.artefacts)


def test_p0_by_lent_policies_says_so(track: Track, tmp_path: Path) -> None:
    attach(engine_root(track.plain[0], tmp_path / "engine", policies=False), posture="published")
    (item,) = (i for i in execute("P0", RUN_ID, as_what_if=True).items if i.id == "P0.4")
    assert "of posture published, lent to an attached run" in item.text
    found = evidence(execute("POPT.0", find_run(RUN_ID)))
    assert found["POPT.0.1c"].startswith("nobody knows them")


def older(runs: list[Run], folder: Path) -> Run:
    """A run as version 0.0.9 left it, in its own outputs: another generation of receipt, markers and run records."""
    (old,) = remade(runs[:1])
    for path in old.records_root.glob("utc_day=*/*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row["run_id"] = old.run_id
            for name in ("threads", "machine", "peak_rss_bytes", "error_context"):
                del row[name]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    receipt = json.loads((old.root / "run_receipt.json").read_text())
    for name in ("nonce", "changes", "changed_states", "parent_run"):
        del receipt[name]
    (old.root / "run_receipt.json").write_text(json.dumps({**receipt, "generation": 1, "made_by": "somebody"}))
    for path in (old.root / "markers").glob("S?.json"):
        marker = json.loads(path.read_text())
        del marker["produced_by_parameter_hash"], marker["inputs"]
        path.unlink()
        path.write_text(json.dumps(marker))
    shutil.rmtree(old.root / "logs")
    target = folder / "outputs" / "runs" / old.run_id
    target.parent.mkdir(parents=True)
    return Run(Path(shutil.move(old.root, target)))


@pytest.mark.reaches(Decision.UNLOCK_POPT3_CONTINUE)
def test_a_run_of_an_older_version_is_a_baseline_and_a_replay(track: Track, tmp_path: Path) -> None:
    """Its receipt has keys of another generation, so that it cannot be opened; attached, it can."""
    old = older(track.plain, tmp_path / "old")
    edit_records(old.root, lambda r: {**r, "durations": {"wall_ms": PUBLISHED[r["state"]] * 1e3}, "steps": []})
    plant_seconds(track.plain, NOW, apart=0.01)
    with pytest.raises(UsageError, match=r"5B\.RUN\.UNKNOWN"):
        find_run(old.run_id)
    found = attach(old.root)
    assert found.record.world_in == "outputs" and found.run.receipt.library_version == "0.0.9"
    assert {"sealed_inputs_5B.json", "S4.json", "bundle of 5B"} <= set(found.record.verified)
    execute("POPT.0", track.plain[0])
    phase = execute("POPT.2", track.plain[0], baseline=old.run_id)
    assert phase.decision.word is Decision.UNLOCK_POPT3_CONTINUE, phase.decision.reasons
    written = check_artefacts(phase, popt2.PHASE.artefacts)["popt2_closure"]
    (replay,) = (line for line in written["replays"] if line["run_id"] == old.run_id)
    assert replay["library_version"] == "0.0.9" and replay["differs"] == []


def test_an_older_run_that_no_longer_is_what_its_markers_say_is_refused(track: Track, tmp_path: Path) -> None:
    old = older(track.plain, tmp_path / "old")
    path = min(old.root.glob("data/layer2/5B/s3_bucket_counts/*/*/*/*.parquet"))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(Exception, match=r"5B\.ATTACH\.CHANGED|5B\.STORE\.NOT_PARQUET"):
        attach(old.root)


def test_policies_of_another_generation_are_lent_by_name(track: Track, tmp_path: Path) -> None:
    old = older(track.plain, tmp_path / "old")
    policy = old.root / "policies" / "validation_policy_5B.yaml"
    text = policy.read_text()
    policy.unlink()
    policy.write_text(text + "key_of_another_generation: 1\n")
    with pytest.raises(UsageError, match=r"5B\.ATTACH\.NO_POLICIES"):
        attach(old.root)
    attach(old.root, posture="published")
    phase = execute("POPT.1", track.plain[0], baseline=old.run_id, as_what_if=True)
    assert "S1: made under other policies or unknown ones" in evidence(phase)["POPT.1.1"]
