"""POPT.1, POPT.2 and POPT.3: every decision word by evidence that warrants it, in the order that POPT.0 has ranked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from segment5b_lib.contract.words import Decision
from segment5b_lib.errors import GateRefusal
from segment5b_lib.phases import popt1, popt2, popt3
from segment5b_lib.phases.engine.attempts import reports_folder
from segment5b_lib.store.runs import Run
from tests.phases.execute import artefacts, execute
from tests.phases.popt_track import Track, check_artefacts, edit_records, figures_file, plant_seconds, remade, statuses

BEFORE = {"S0": 1.0, "S1": 40.0, "S2": 30.0, "S3": 30.0, "S4": 100.0, "S5": 3.0}
S1_FIRST = BEFORE | {"S1": 150.0}


def sides(runs: list[Run], after: dict[str, float], before: dict[str, float] = BEFORE) -> tuple[Run, str]:
    """A candidate that takes `after`, and the name of a baseline of an older version that takes `before`."""
    old = remade(runs)
    plant_seconds(old, before, apart=0.01)
    plant_seconds(runs, before | after, apart=0.01)
    return runs[0], old[0].run_id


def test_nothing_starts_before_popt_0(track: Track) -> None:
    for name in ("POPT.1", "POPT.2", "POPT.3"):
        with pytest.raises(GateRefusal) as caught:
            execute(name, track.plain[0])
        assert caught.value.code == "5B.PHASE.NOT_OPENED"
    assert not reports_folder(track.plain[0].run_id).exists()


@pytest.mark.reaches(Decision.UNLOCK_POPT3_CONTINUE, Decision.UNLOCK_POPT3, Decision.UNLOCK_POPT4_CONTINUE)
def test_s4_first_then_s1_opens_popt_3(track: Track) -> None:
    run, baseline = sides(track.plain, {"S1": 20.0, "S4": 50.0})
    execute("POPT.0", track.plain[0])
    with pytest.raises(GateRefusal, match=r"POPT\.2"):
        execute("POPT.1", run, baseline=baseline)
    assert execute("POPT.2", run, baseline=baseline).decision.word is Decision.UNLOCK_POPT3_CONTINUE
    with pytest.raises(GateRefusal, match=r"POPT\.1"):
        execute("POPT.3", run, baseline=baseline)
    assert execute("POPT.1", run, baseline=baseline).decision.word is Decision.UNLOCK_POPT3
    phase = execute("POPT.3", run, baseline=baseline)
    assert phase.decision.word is Decision.UNLOCK_POPT4_CONTINUE
    document = check_artefacts(phase, popt3.PHASE.artefacts)["popt3_closure"]
    assert [opening["phase"] for opening in document["opened_by"]] == ["POPT.1", "POPT.2"]


@pytest.mark.reaches(Decision.UNLOCK_POPT2_CONTINUE)
def test_s1_first_then_s4(track: Track) -> None:
    run, baseline = sides(track.plain, {"S1": 60.0, "S4": 40.0}, S1_FIRST)
    plant_seconds(track.pinned, S1_FIRST, apart=0.01)
    assert execute("POPT.0", track.pinned[0]).decision.reasons[1].startswith("order of work: POPT.1 (S1) → POPT.2")
    with pytest.raises(GateRefusal, match=r"POPT\.1"):
        execute("POPT.2", run, baseline=baseline)
    assert execute("POPT.1", run, baseline=baseline).decision.word is Decision.UNLOCK_POPT2_CONTINUE
    assert execute("POPT.2", run, baseline=baseline).decision.word is Decision.UNLOCK_POPT3_CONTINUE


def test_the_artefacts_of_a_pair_say_what_was_compared(track: Track) -> None:
    run, baseline = sides(track.plain, {"S1": 20.0})
    phase = execute("POPT.1", run, baseline=baseline, as_what_if=True)
    written = check_artefacts(phase, popt1.PHASE.artefacts)
    line = next(line for line in written["popt1_lane_timing"]["runtime"] if line["state"] == "S1")
    assert line["reduction"] == pytest.approx(0.5, abs=1e-3) and line["verdict"] == "faster"
    assert (line["baseline_runs"], line["candidate_runs"]) == (3, 3)
    names = {counter["counter"] for counter in written["popt1_closure"]["counters"]}
    assert {"total_bucket_count", "total_grouping_rows", "total_unique_group_ids"} <= names
    assert any("max_group_share" in name for name in names)
    assert len(written["popt1_closure"]["replays"]) == 5 and written["popt1_closure"]["reference"] == baseline
    assert phase.measured.before_after.filter(state="S1").height == 6
    assert phase.measured.structure["equal"].all()
    assert "segment5b_popt1_closure_" in artefacts(phase)[-1].name and artefacts(phase)[-1].suffix == ".md"


@pytest.mark.reaches(Decision.HOLD_POPT1_REOPEN)
def test_a_gain_within_the_spread_holds(track: Track) -> None:
    old = remade(track.plain)
    plant_seconds(old, BEFORE, apart=1.0)
    plant_seconds(track.plain, BEFORE | {"S1": 30.0}, apart=1.0)
    phase = execute("POPT.1", track.plain[0], baseline=old[0].run_id, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_POPT1_REOPEN
    assert statuses(phase)["POPT.1.5b"] == "red" and "not_distinguishable" in phase.decision.reasons[0]


def test_two_runs_are_too_few(track: Track) -> None:
    run, baseline = sides(track.plain, {"S1": 10.0})
    edit_records(track.plain[1], "S1", threads=9)
    phase = execute("POPT.1", run, baseline=baseline, as_what_if=True)
    assert statuses(phase)["POPT.1.5b"] == "red" and "--repeat 3" in phase.decision.reasons[0]


def moved_counter(run: Run) -> None:
    marker = json.loads(run.marker_path("S1").read_text())
    marker["counters"]["total_grouping_rows"] += 1
    run.marker_path("S1").write_text(json.dumps(marker))


def moved_shape(run: Run) -> None:
    marker = json.loads(run.marker_path("S1").read_text())
    marker["counters"]["scenarios"][run.scenarios[0]]["max_group_share"] += 2e-9
    run.marker_path("S1").write_text(json.dumps(marker))


def new_failure(run: Run) -> None:
    """An attempt that failed before the one that passed."""
    (path,) = run.records_root.glob("utc_day=*/*.jsonl")
    lines = path.read_text().splitlines()
    failure = {**json.loads(lines[-1]), "status": "FAIL", "error_code": "5B.S5.TEST"}
    path.write_text("\n".join([json.dumps(failure), *lines]) + "\n")


@pytest.mark.parametrize(
    ("spoil", "item"), [(moved_counter, "POPT.1.3a"), (moved_shape, "POPT.1.3b"), (new_failure, "POPT.1.5c")]
)
def test_what_is_not_the_same_holds(track: Track, spoil: Callable[[Run], None], item: str) -> None:
    run, baseline = sides(track.plain, {"S1": 10.0})
    spoil(run)
    phase = execute("POPT.1", run, baseline=baseline, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_POPT1_REOPEN
    assert {name for name, status in statuses(phase).items() if status == "red"} == {item}


def test_against_figures_of_another_scale_only_structure_is_judged(track: Track) -> None:
    phase = execute("POPT.1", track.plain[0], as_what_if=True)
    assert phase.decision.word is Decision.UNLOCK_POPT2_CONTINUE
    found = statuses(phase)
    assert found.pop("POPT.1.5b") == "not_applicable" and set(found.values()) == {"green"}


def test_structure_is_never_compared_with_figures(track: Track) -> None:
    run, *others = track.plain
    for other in others:
        other.marker_path("S5").unlink()
    phase = execute("POPT.1", run, as_what_if=True)
    found = statuses(phase)
    assert phase.decision.word is Decision.HOLD_POPT1_REOPEN
    assert [found[name] for name in ("POPT.1.1", "POPT.1.3a", "POPT.1.5d")] == ["red"] * 3


def test_figures_of_this_scale_are_a_baseline(track: Track, tmp_path: Path) -> None:
    figures = figures_file(tmp_path, scale="tiny")
    plant_seconds(track.plain, {"S1": 80.0, "S4": 320.0}, apart=0.01)
    assert (
        execute("POPT.1", track.plain[0], baseline=figures, as_what_if=True).decision.word
        is Decision.UNLOCK_POPT2_CONTINUE
    )
    assert (
        execute("POPT.2", track.plain[0], baseline=figures, as_what_if=True).decision.word
        is Decision.UNLOCK_POPT3_CONTINUE
    )
    plant_seconds(track.plain, {"S1": 100.0, "S4": 340.0}, apart=0.01)
    assert (
        execute("POPT.1", track.plain[0], baseline=figures, as_what_if=True).decision.word is Decision.HOLD_POPT1_REOPEN
    )
    assert (
        execute("POPT.2", track.plain[0], baseline=figures, as_what_if=True).decision.word is Decision.HOLD_POPT2_REOPEN
    )


@pytest.mark.parametrize(("seconds", "status"), [(80.0, "green"), (95.0, "red")])
def test_a_budget_that_binds_is_the_other_way_to_close_popt_1(track: Track, seconds: float, status: str) -> None:
    run, baseline = sides(track.pinned, {"S1": seconds}, S1_FIRST | {"S1": 100.0})
    phase = execute("POPT.1", run, baseline=baseline, as_what_if=True)
    assert statuses(phase)["POPT.1.5b"] == status and phase.decision.opens == (status == "green")


@pytest.mark.reaches(Decision.HOLD_POPT2_REOPEN)
def test_a_neighbour_that_has_become_slower_holds_popt_2(track: Track) -> None:
    run, baseline = sides(track.plain, {"S4": 50.0, "S3": 36.0})
    phase = execute("POPT.2", run, baseline=baseline, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_POPT2_REOPEN
    assert {name for name, status in statuses(phase).items() if status == "red"} == {"POPT.2.5c"}


def test_an_anchor_that_was_not_published_is_named_and_not_judged(track: Track, tmp_path: Path) -> None:
    plant_seconds(track.plain, {"S2": 30.0, "S3": 30.0, "S4": 50.0, "S5": 4.0}, apart=0.001)
    phase = execute("POPT.2", track.plain[0], baseline=figures_file(tmp_path, scale="tiny"), as_what_if=True)
    (found,) = (line for line in phase.items if line.id == "POPT.2.5c")
    assert found.status == "green" and "S5: no anchor was published" in found.evidence


def test_a_broken_bundle_holds_popt_2(track: Track) -> None:
    run, baseline = sides(track.plain, {"S4": 50.0})
    (run.bundle_folder / run.policies.bundle_layout.flag).unlink()
    marker = json.loads(run.marker_path("S5").read_text())
    flag = f"/{run.policies.bundle_layout.flag}"
    marker["outputs"] = [output for output in marker["outputs"] if not output["path"].endswith(flag)]
    run.marker_path("S5").write_text(json.dumps(marker))
    phase = execute("POPT.2", run, baseline=baseline, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_POPT2_REOPEN and statuses(phase)["POPT.2.5d"] == "red"


@pytest.mark.parametrize(
    ("again", "decision"),
    [
        (88.0, Decision.UNLOCK_POPT3_CONTINUE),
        pytest.param(94.0, Decision.HOLD_POPT2R_REOPEN, marks=pytest.mark.reaches(Decision.HOLD_POPT2R_REOPEN)),
    ],
)
def test_popt_2_reopened_has_anchors_of_its_own(track: Track, again: float, decision: Decision) -> None:
    plant_seconds(track.pinned, BEFORE, apart=0.001)
    execute("POPT.0", track.pinned[0])
    run, baseline = sides(track.plain, {"S4": 95.0})
    held = execute("POPT.2", run, baseline=baseline)
    assert held.decision.word is Decision.HOLD_POPT2_REOPEN and "POPT.2R" not in statuses(held)
    better = remade(track.plain, version="0.0.11")
    plant_seconds(better, {"S4": again}, apart=0.001)
    phase = execute("POPT.2", better[0], baseline=baseline)
    assert phase.decision.word is decision
    assert statuses(phase)["POPT.2R"] == ("green" if decision.opens else "red")
    assert check_artefacts(phase, popt2.PHASE.artefacts)["popt2_closure"]["reopened_from"]["start"] > 90


def test_popt_2_reopened_against_figures_takes_their_anchors(track: Track, tmp_path: Path) -> None:
    figures = figures_file(tmp_path, scale="tiny")
    plant_seconds(track.pinned, BEFORE, apart=0.01)
    execute("POPT.0", track.pinned[0])
    plant_seconds(track.plain, {"S2": 30.0, "S3": 30.0, "S4": 540.0, "S5": 1.7}, apart=0.001)
    assert execute("POPT.2", track.plain[0], baseline=figures).decision.word is Decision.HOLD_POPT2_REOPEN
    better = remade(track.plain)
    plant_seconds(better, {"S4": 460.968}, apart=0.001)
    phase = execute("POPT.2", better[0], baseline=figures)
    assert phase.decision.word is Decision.UNLOCK_POPT3_CONTINUE
    anchors = check_artefacts(phase, popt2.PHASE.artefacts)["popt2_closure"]["reopened_from"]
    assert anchors == {"start": 550.875, "best": 532.453}


@pytest.mark.parametrize(
    ("seconds", "before", "waiver", "decision"),
    [
        ({"S2": 30.0, "S3": 34.0}, 50.0, "", Decision.UNLOCK_POPT4_CONTINUE),
        pytest.param(
            {"S2": 40.0, "S3": 34.0},
            50.0,
            "S2 reads twice",
            Decision.UNLOCK_POPT4_CONTINUE_WITH_WAIVER,
            marks=pytest.mark.reaches(Decision.UNLOCK_POPT4_CONTINUE_WITH_WAIVER),
        ),
        pytest.param(
            {"S2": 40.0, "S3": 34.0},
            50.0,
            "",
            Decision.HOLD_POPT3_REOPEN,
            marks=pytest.mark.reaches(Decision.HOLD_POPT3_REOPEN),
        ),
        ({"S2": 46.0, "S3": 34.0}, 50.0, "S2 reads twice", Decision.HOLD_POPT3_REOPEN),
        ({"S2": 40.0, "S3": 34.0}, 40.2, "S2 reads twice", Decision.HOLD_POPT3_REOPEN),
    ],
    ids=["target", "waived", "no reason", "stretch missed", "no movement"],
)
def test_popt_3_keeps_the_target_or_the_stretch_with_a_reason(
    track: Track, seconds: dict[str, float], before: float, waiver: str, decision: Decision
) -> None:
    run, baseline = sides(track.pinned, seconds, BEFORE | {"S2": before, "S3": before})
    phase = execute("POPT.3", run, baseline=baseline, waiver=waiver, as_what_if=True)
    assert phase.decision.word is decision
    document = check_artefacts(phase, popt3.PHASE.artefacts)["popt3_closure"]
    waived = decision is Decision.UNLOCK_POPT4_CONTINUE_WITH_WAIVER
    assert statuses(phase)["POPT.3.3b"] == ("waived" if waived else "green" if decision.opens else "red")
    assert (document["waiver"] or {}).get("reason") == (waiver if waived else None)


def test_below_the_pinned_scale_popt_3_has_no_budgets(track: Track) -> None:
    plant_seconds(track.plain, {"S2": 900.0, "S3": 900.0})
    phase = execute("POPT.3", track.plain[0], as_what_if=True)
    assert phase.decision.word is Decision.UNLOCK_POPT4_CONTINUE and statuses(phase)["POPT.3.3b"] == "not_applicable"
