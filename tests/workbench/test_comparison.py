"""Runs side by side: what differs is there, what is the same is said to be, and two runs are needed."""

from __future__ import annotations

import pytest

import segment5b_lib as s5
from segment5b_lib import charts
from segment5b_lib.errors import UsageError
from segment5b_lib.workbench.comparison import Comparison


@pytest.fixture(scope="module")
def runs(published_run, civil_time_run, tmp_path_factory) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segment5b_lib.gates.scoring.outputs_folder", lambda: tmp_path_factory.mktemp("kept"))
        found = s5.compare(published_run.run_id, civil_time_run.run_id)
        assert len(found.scorecards) == 2
        return found


def test_identities_and_answer(runs: Comparison) -> None:
    page = runs.identities._repr_html_()
    assert all(run.run_id in page and run.receipt.manifest_fingerprint in page for run in runs.runs)
    answer = runs.answer._repr_html_()
    assert "better" in answer and "T1" in answer and "2A: last_transition_year=2028" in answer


def test_what_moved_is_what_the_scorecards_say(runs: Comparison) -> None:
    before, after = runs.scorecards
    moved = {row["gate"]: row for row in runs.moved().to_dicts()}
    assert moved["T1"]["moved"] == "better" and moved["T1"]["verdict_before"] == "fail"
    for result in after.results:
        old = before.result(result.gate_id)
        if (old.verdict, old.value) == (result.verdict, result.value):
            assert result.gate_id not in moved
        if old.verdict is not result.verdict:
            assert result.gate_id in moved


def test_the_plane_has_every_run_predicted_and_measured(runs: Comparison) -> None:
    plane = runs.plane()
    assert plane.height == 4
    for run, card in zip(runs.runs, runs.scorecards, strict=True):
        own = plane.filter(kind="measured").filter(plane.filter(kind="measured")["run"].str.contains(run.run_id[:8]))
        assert own.select("t6", "t7").row(0) == (card.result("T6").value, card.result("T7").value)
    assert charts.spec(charts.t6_t7_plane(plane, runs.bands()))


def test_structure_says_what_is_the_same_and_what_is_not(runs: Comparison) -> None:
    structure = {row["what"]: row for row in runs.structure().to_dicts()}
    assert not structure["arrival_events_5B"]["equal"]
    assert "ts_local_primary" in structure["arrival_events_5B"]["differs"]
    assert structure["s3_bucket_counts_5B"]["equal"]


def test_every_state_of_every_run_is_timed_and_too_few_runs_decide_nothing(runs: Comparison) -> None:
    timing, runtime = runs.timing(), runs.runtime()
    assert timing.height == 12 and runtime["state"].to_list() == [f"S{n}" for n in range(6)]
    verdicts = runtime[runtime.columns[-1]]
    assert set(verdicts) == {"too few runs"}
    assert "segment5b" in runs.next_steps._repr_html_()


@pytest.mark.parametrize("names", [(), ("same",)])
def test_it_takes_two_runs(published_run, names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        s5.compare(published_run.run_id, *(published_run.run_id for _ in names))
    assert caught.value.code == "5B.COMPARE.NOT_TWO_RUNS"
