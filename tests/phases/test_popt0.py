"""POPT.0: the baseline is pinned when the picture is complete; what is missing is named and holds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import polars as pl
import pytest

import segment5b_lib as s5
from segment5b_lib.contract.words import STATES, Decision
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.engine.retention import keep_set
from segment5b_lib.phases import popt0
from segment5b_lib.phases.engine.attempts import read_artefact
from segment5b_lib.phases.popt0_done import PIN_FILE
from segment5b_lib.phases.popt0_hotspots import elapsed, unnamed
from segment5b_lib.phases.popt_timing import timing_of
from segment5b_lib.store.roots import runs_folder
from segment5b_lib.store.runs import Run
from tests.phases.execute import artefacts, execute
from tests.phases.popt_track import Track, check_artefacts, edit_records, plant_seconds, statuses

SECONDS = {"S0": 1.0, "S1": 20.0, "S2": 8.0, "S3": 9.0, "S4": 60.0, "S5": 2.0}


@pytest.mark.reaches(Decision.GO_POPT_1)
def test_a_complete_picture_goes_and_pins_the_baseline(track: Track) -> None:
    plant_seconds(track.plain, SECONDS, apart=0.01)
    run = track.plain[0]
    phase = execute("POPT.0", run)
    assert phase.decision.word is Decision.GO_POPT_1 and set(statuses(phase).values()) == {"green"}
    assert (runs_folder() / PIN_FILE).read_text().strip() == run.run_id and run.run_id in keep_set()
    written = check_artefacts(phase, popt0.PHASE.artefacts)
    hot = written["popt0_hotspot_map"]
    assert (hot["owners"][0]["state"], hot["owners"][0]["bottleneck"]) == ("S4", "primary")
    assert [line["share"] for line in hot["states"]] == pytest.approx([s / 100 for s in SECONDS.values()], abs=1e-6)
    for line in hot["states"]:
        assert sum(part["share"] for part in line["lanes"]) == pytest.approx(1, abs=1e-3)
    assert sum(part["share"] for part in hot["segment"]) == pytest.approx(1, abs=1e-3)
    targets = {line["phase"]: line for line in hot["reduction_targets"]}
    assert targets["POPT.1"]["target_s"] == pytest.approx(0.6 * 20.2) and targets["POPT.2"]["state"] == "S4"
    assert hot["order_of_work"] == ["POPT.2", "POPT.1", "POPT.3"]
    budgets = written["popt0_budget_pin"]
    assert [line["target_s"] for line in budgets["states"]] == [90, 35, 35, 240, 5]
    assert [line["budget_s"] for line in budgets["lanes"]] == [420, 840, 1800]
    assert all(line["measured_s"] and line["published_s"] and line["rationale"] for line in budgets["states"])


def test_the_table_of_elapsed_times_is_there(track: Track) -> None:
    plant_seconds(track.plain, SECONDS)
    phase = execute("POPT.0", track.plain[0])
    (path,) = (path for path in artefacts(phase) if path.suffix == ".csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert path.name.startswith("segment5b_popt0_state_elapsed_") and [row["state"] for row in rows] == list(STATES)
    assert [float(row["elapsed_s"]) for row in rows] == pytest.approx(list(SECONDS.values()))
    assert all(row["missing"] == "" and row["status"] == "PASS" and int(row["runs"]) == 3 for row in rows)
    assert any(
        path.name.startswith("segment5b_popt0_baseline_lock_") and path.suffix == ".md" for path in artefacts(phase)
    )


@pytest.mark.parametrize(
    ("planted", "order"),
    [
        ({"S1": 60.0, "S4": 20.0}, ["POPT.1", "POPT.2", "POPT.3"]),
        ({"S1": 20.0, "S4": 60.0}, ["POPT.2", "POPT.1", "POPT.3"]),
    ],
)
def test_the_order_of_work_follows_from_where_the_time_goes(
    track: Track, planted: dict[str, float], order: list[str]
) -> None:
    plant_seconds(track.plain, SECONDS | planted)
    execute("POPT.0", track.plain[0])
    found = read_artefact("popt0", track.plain[0].run_id, "popt0_hotspot_map")
    assert found["order_of_work"] == order


def test_states_that_cannot_be_told_apart_are_worked_on_as_numbered(track: Track) -> None:
    plant_seconds(track.plain, SECONDS | {"S1": 20.0, "S4": 21.0}, apart=1.0)
    execute("POPT.0", track.plain[0])
    found = read_artefact("popt0", track.plain[0].run_id, "popt0_hotspot_map")
    assert found["order_of_work"] == ["POPT.1", "POPT.2", "POPT.3"]


def alone(track: Track) -> Run:
    """A run without repetitions."""
    run, *others = track.plain
    for other in others:
        other.marker_path("S5").unlink()
    return run


def failed(track: Track) -> Run:
    """A run with repetitions, and a superseded run that failed beside it."""
    edit_records(track.pinned[0], "S4", status="FAIL", error_code="5B.S4.TEST")
    return track.plain[0]


def unfinished(track: Track) -> Run:
    track.plain[0].marker_path("S5").unlink()
    return track.plain[0]


def untimed(track: Track) -> Run:
    """A run whose S3 has left no record."""
    edit_records(track.plain[0], "S3", state="S9")
    return track.plain[0]


def padded(track: Track) -> Run:
    """A run whose steps claim more time than the state has taken."""
    run = track.plain[0]
    record = run.last_records()["S2"]
    edit_records(run, "S2", steps=[{**step.model_dump(), "wall_ms": step.wall_ms * 2} for step in record.steps])
    return run


@pytest.mark.parametrize(
    ("spoil", "item", "says"),
    [
        (alone, "POPT.0.2b", "segment5b run --repeat 3"),
        (failed, "POPT.0.1d", "segment5b prune"),
        (unfinished, "POPT.0.1b", "S5"),
        (untimed, "POPT.0.2a", "S3"),
        (padded, "POPT.0.3a", "S2"),
    ],
)
@pytest.mark.reaches(Decision.HOLD_POPT_0)
def test_evidence_that_is_missing_holds_and_is_named(
    track: Track, spoil: Callable[[Track], Run], item: str, says: str
) -> None:
    phase = execute("POPT.0", spoil(track))
    assert phase.decision.word is Decision.HOLD_POPT_0
    found = {line.id: line for line in phase.items}
    assert found[item].status == "red" and says in found[item].evidence
    assert found["POPT.0.1a"].status == "red" and not (runs_folder() / PIN_FILE).exists()
    assert any(reason.startswith(item) for reason in phase.decision.reasons)
    check_artefacts(phase, popt0.PHASE.artefacts)


def test_states_linked_from_a_parent_have_no_times_of_their_own(track: Track) -> None:
    child = prepare_rerun(track.plain[0], "S5", {"validation.sampling.seed": 6}, threads=2)
    phase = execute("POPT.0", child)
    assert statuses(phase)["POPT.0.2a"] == "red" and statuses(phase)["POPT.0.2d"] == "green"
    (path,) = (path for path in artefacts(phase) if path.suffix == ".csv")
    rows = {row["state"]: row for row in csv.DictReader(io.StringIO(path.read_text()))}
    assert rows["S3"]["status"] == "LINKED" and rows["S3"]["missing"].split()[:2] == ["elapsed_s", "rows_in"]


def test_a_field_that_is_empty_and_not_named_is_found(track: Track) -> None:
    table = elapsed(timing_of(track.plain[0]))
    assert unnamed(table) == []
    of_s0 = pl.col("state") == "S0"
    emptied = [pl.when(~of_s0).then(pl.col(name)).alias(name) for name in ("elapsed_s", "share")]
    spoilt = table.with_columns(*emptied, missing=pl.when(of_s0).then(pl.lit("share")))
    assert unnamed(spoilt) == ["S0: elapsed_s is empty"]


def test_nothing_is_pinned_before_the_artefacts_are_written(track: Track) -> None:
    """The item names the run that is pinned so far; only publication pins another."""
    plant_seconds(track.plain, SECONDS, apart=0.01)
    first, second = track.plain[:2]
    phase = s5.phase("POPT.0", first)
    assert phase.decision.word is Decision.GO_POPT_1 and phase.items[0].evidence.endswith("no run was pinned before")
    assert not (runs_folder() / PIN_FILE).exists() and first.run_id not in keep_set()
    phase.publish()
    again, other = (execute("POPT.0", run).items[0] for run in (first, second))
    assert (again.id, other.id) == ("POPT.0.1a", "POPT.0.1a") and again.evidence.endswith("it was pinned before")
    assert other.evidence.endswith(f"run {first.run_id[:8]} was pinned before")
    assert (runs_folder() / PIN_FILE).read_text() == f"{second.run_id}\n" and second.run_id in keep_set()


def test_a_what_if_pins_nothing(track: Track) -> None:
    phase = execute("POPT.0", track.plain[0], as_what_if=True)
    assert statuses(phase)["POPT.0.1a"] == "not_applicable" and not (runs_folder() / PIN_FILE).exists()
    assert json.loads(artefacts(phase)[0].read_text())["what_if"] is True
