"""Timing as evidence: which runs count as repetitions, what medians and spreads say, figures as a baseline."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import PolicyError, UsageError
from segment5b_lib.phases.popt_pair import load_figures, of_figures, pair_of, reduction
from segment5b_lib.phases.popt_timing import (
    Sample,
    below_scale,
    budget_frame,
    budget_item,
    compared,
    siblings,
    state_budgets,
    timing_of,
    too_few,
)
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from tests.phases.popt_track import edit_records, figures_file, plant_seconds, plant_version, repetitions


def sample(*seconds: float, whole: float = 1.0) -> Sample:
    return Sample("S1", {str(n): value for n, value in enumerate(seconds)}, whole)


def test_repetitions_are_complete_runs_of_the_same_work_and_version(own_run: Run, own_world: World) -> None:
    first, second, other_version = repetitions(own_world, 3)
    repetitions(own_world, 1, seed=7)
    repetitions(own_world, 1, changes={"validation.sampling.seed": 6})
    plant_version([other_version], "0.0.9")
    assert {run.run_id for run in timing_of(own_run).repetitions} == {own_run.run_id, first.run_id, second.run_id}
    assert other_version.run_id in {run.run_id for run in siblings(own_run)}
    second.marker_path("S5").unlink()
    assert {run.run_id for run in timing_of(own_run).repetitions} == {own_run.run_id, first.run_id}


def test_a_sample_takes_attempts_that_passed_on_as_many_threads(own_run: Run, own_world: World) -> None:
    first, second = repetitions(own_world, 2)
    plant_seconds([own_run, first, second], {"S4": 3.0}, apart=0.1)
    timing = timing_of(own_run)
    assert sorted(timing.state("S4").seconds.values()) == pytest.approx([3.0, 3.3, 3.6])
    assert timing.state("S4").median == pytest.approx(3.3) and timing.state("S4").spread == pytest.approx(0.6)
    lanes = timing.lanes("S4")
    assert sum(lane.seconds[own_run.run_id] for lane in lanes.values()) <= 3.0
    both = timing.together(["S3", "S4"])
    assert both.seconds[first.run_id] == pytest.approx(timing.state("S3").seconds[first.run_id] + 3.3)
    edit_records(first, "S4", threads=7)
    edit_records(second, "S4", status="FAIL")
    assert set(timing_of(own_run).state("S4").seconds) == {own_run.run_id}
    assert set(timing_of(second).state("S4").seconds) == set(), "its own attempt has failed"


def test_a_difference_within_the_spread_is_no_difference() -> None:
    base = sample(10.0, 11.0, 12.0)
    assert compared(base, sample(10.0, 10.2, 10.1)) == "not_distinguishable"
    assert compared(base, sample(5.0, 5.1, 5.2)) == "faster"
    assert compared(base, sample(20.0, 21.0, 20.5)) == "slower"
    assert reduction(base, sample(5.5)) == pytest.approx(0.5)


def test_three_runs_count_or_one_that_is_long_and_says_so(own_run: Run) -> None:
    (few,) = too_few(own_run, [("candidate", sample(1.0, 1.0))])
    assert "--repeat 3" in few
    assert too_few(own_run, [("candidate", sample(1.0, 1.1, 1.0))]) == []
    assert too_few(own_run, [("candidate", sample(500.0, whole=745.0))]) == []
    assert too_few(own_run, [("candidate", sample(whole=745.0))]), "nothing at all is never enough"
    assert "a single run of 745 s" in sample(500.0, whole=745.0).text


def test_budgets_are_the_policy_s_and_bind_at_one_scale(own_run: Run, own_world: World) -> None:
    assert "authority" in below_scale(own_run) and budget_frame(own_run).is_empty()
    long = sample(91.0, 91.5, 92.0)
    assert budget_item("X", "S1", own_run, [(long, 90.0)]).status == "not_applicable"
    (bound,) = repetitions(own_world, 1, changes={"validation.runtime.pinned_scale": "tiny"})
    assert below_scale(bound) == "" and budget_frame(bound).height == 2 * len(STATES[1:])
    assert {state: budget.target_s for state, budget in state_budgets(bound).items()} == {
        "S1": 90,
        "S2": 35,
        "S3": 35,
        "S4": 240,
        "S5": 5,
    }
    assert budget_item("X", "S1", bound, [(long, 90.0)]).status == "red"
    assert budget_item("X", "S1", bound, [(sample(89.0, 90.0, 90.0), 90.0)]).status == "green"
    assert budget_item("X", "S1", bound, [(sample(1.0), 90.0)]).status == "red", "one short run says nothing"


def test_the_published_figures_are_those_of_the_plan() -> None:
    figures = load_figures()
    assert (figures.scale, figures.seed, figures.segment_seconds) == ("authority", 42, 745.263)
    assert figures.anchor("POPT.1", "S1") == 148.452 and figures.anchor("POPT.2", "S4") == 504.641
    assert [figures.anchor("POPT.3", state) for state in ("S2", "S3", "S4")] == [47.202, 51.75, None]
    assert figures.published("S4") == [504.641, 532.453, 558.859, 550.875, 460.968, 444.297]
    reopened = [figures.snapshots[name].seconds["S4"] for name in (figures.reopened.start, figures.reopened.best)]
    assert reopened == [550.875, 532.453]
    assert of_figures(figures, "POPT.1", "S1").n == 1 and of_figures(figures, "POPT.1", "S3").n == 0
    assert figures.frame().height == len(figures.snapshots)


@pytest.mark.parametrize(
    "broken",
    [
        {"anchors": {"POPT.1": {"S1": "nowhere"}}},
        {"anchors": {"POPT.1": {"S2": "popt0_baseline"}}},
        {"anchors": {"POPT.9": {}}},
        {"snapshots": {"a": {"seconds": {"S1": -1.0}}}},
        {"extra": 1},
    ],
)
def test_a_file_of_figures_is_checked_strictly(tmp_path: Path, broken: dict[str, object]) -> None:
    with pytest.raises(PolicyError):
        load_figures(figures_file(tmp_path, **broken))


def test_an_unknown_file_of_figures_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_figures(str(tmp_path / "none.yaml"))
    assert "published_run" in caught.value.expected


def test_a_pair_knows_its_sides_and_its_second_run(own_run: Run, own_world: World, tmp_path: Path) -> None:
    alone = pair_of("POPT.1", own_run, "published_run")
    assert alone.reference is None and alone.others == {} and "authority" in alone.other_scale
    first, second = repetitions(own_world, 2)
    old = plant_version([first], "0.0.9")[0]
    pair = pair_of("POPT.1", own_run, old.run_id)
    assert pair.reference is not None and pair.reference.run_id == old.run_id and pair.other_scale == ""
    assert {role: [run.run_id for run in runs] for role, runs in pair.others.items()} == {
        "baseline": [old.run_id],
        "replay": [second.run_id],
    }
    itself = pair_of("POPT.1", own_run, own_run.run_id)
    assert itself.reference is not None and itself.reference.run_id != own_run.run_id, "nothing proves itself"
    assert pair_of("POPT.1", own_run, figures_file(tmp_path, scale="tiny")).other_scale == ""


def test_a_baseline_of_other_work_is_refused(own_run: Run, own_world: World) -> None:
    (other,) = repetitions(own_world, 1, seed=7)
    with pytest.raises(UsageError) as caught:
        pair_of("POPT.1", own_run, other.run_id)
    assert caught.value.code == "5B.POPT.OTHER_WORK"


def test_runtime_lines_hold_both_medians(own_run: Run, own_world: World) -> None:
    before = plant_version(repetitions(own_world, 3), "0.0.9")
    plant_seconds(before, {"S1": 10.0}, apart=0.01)
    plant_seconds([own_run], {"S1": 1.0})
    lines = {line.state: line for line in pair_of("POPT.1", own_run, before[0].run_id).runtime()}
    medians = statistics.median([10.0, 10.1, 10.2])
    assert lines["S1"].baseline_s == pytest.approx(medians) and lines["S1"].baseline_runs == 3
    assert lines["S1"].reduction == pytest.approx(1 - 1 / medians) and lines["S1"].verdict == "faster"
