"""POPT.4: replays in a throw-away copy, the overhead with its interval, and an S5 that refuses what was damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from segment5b_lib import charts
from segment5b_lib.contract.words import Decision
from segment5b_lib.engine.throwaway import stale_bundles, throwaway
from segment5b_lib.phases import popt4, popt4_overhead
from segment5b_lib.phases.popt4_overhead import Overhead, PairLine, overhead, pair_lines, paired_replays, replay_states
from segment5b_lib.phases.popt_timing import timing_of
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.runs import Run
from tests.phases.execute import execute
from tests.phases.popt_track import Track, check_artefacts, plant_seconds, statuses


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test judges how long things take, so that more pairs would tell it nothing."""
    for name in ("FEW_PAIRS", "MOST_PAIRS"):
        monkeypatch.setattr(popt4_overhead, name, 3)


def files_of(run: Run) -> dict[Path, str]:
    return {path: sha256_file(path) for path in sorted(run.root.rglob("*")) if path.is_file() and path.name != ".lock"}


def planted(mean: float, half: float, verdict: Literal["below", "above", "undecided"]) -> Overhead:
    return Overhead(pairs=9, mean=mean, low=mean - half, high=mean + half, limit=0.02, verdict=verdict)


@pytest.mark.reaches(Decision.UNLOCK_POPT5_CONTINUE)
def test_a_sound_run_opens_popt_5_and_is_not_touched(track: Track) -> None:
    run = track.plain[0]
    before = files_of(run)
    phase = execute("POPT.4", run, as_what_if=True)
    assert phase.decision.word is Decision.UNLOCK_POPT5_CONTINUE
    assert "red" not in statuses(phase).values() and statuses(phase)["POPT.4.1d"] == "green"
    assert files_of(run) == before
    assert [path.name for path in track.outputs.iterdir() if "throwaway" in path.name] == []
    written = check_artefacts(phase, popt4.PHASE.artefacts)
    assert len(written["popt4_lane_timing"]["pairs"]) == 3 and written["popt4_closure"]["replays"] == 8
    assert written["popt4_closure"]["refusal"] == "5B.S5.INPUT_CHANGED"
    pairs, interval = phase.measured.overhead_pairs, phase.measured.interval
    assert pairs.height == 3 and interval.row(0, named=True)["low"] <= interval.row(0, named=True)["high"]


@pytest.mark.reaches(Decision.HOLD_POPT4_REOPEN)
def test_a_bundle_that_replay_moves_aside_holds(track: Track) -> None:
    """What S5 had published is not what it publishes now: the copy's replay leaves a stale folder."""
    run = track.plain[0]
    (run.bundle_folder / "note.txt").write_text("left behind")
    phase = execute("POPT.4", run, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_POPT4_REOPEN
    assert {name for name, status in statuses(phase).items() if status == "red"} == {"POPT.4.1d"}
    assert "moved aside" in phase.decision.reasons[0]


def test_a_stale_folder_of_the_run_itself_holds(track: Track) -> None:
    run = track.plain[0]
    stale = run.bundle_folder.with_name(f"{run.bundle_folder.name}.stale_20260101T000000Z")
    stale.mkdir()
    assert stale_bundles(run) == [stale]
    phase = execute("POPT.4", run, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_POPT4_REOPEN and stale.name in phase.decision.reasons[0]


def test_an_s5_that_refuses_its_replay_holds(track: Track) -> None:
    """A draw that S3 never made: its marker vouches for it, S5 does not."""
    run = track.plain[0]
    marker = json.loads(run.marker_path("S3").read_text())
    marker["counters"]["rng"][0]["draws"] += 1
    run.marker_path("S3").write_text(json.dumps(marker))
    phase = execute("POPT.4", run, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_POPT4_REOPEN
    found = statuses(phase)
    assert found["POPT.4.1d"] == "red" and found["POPT.4.2"] == "red" and found["POPT.4.1b"] == "red"
    chart = charts.overhead_pairs(phase.measured.overhead_pairs, phase.measured.interval)
    assert "no interval" in charts.spec(chart)["title"]["subtitle"]


def test_an_s5_over_its_budget_holds_where_budgets_bind(track: Track) -> None:
    plant_seconds(track.pinned, {"S5": 6.0})
    phase = execute("POPT.4", track.pinned[0], as_what_if=True)
    assert phase.decision.word is Decision.HOLD_POPT4_REOPEN and statuses(phase)["POPT.4.1c"] == "red"


def test_the_overhead_is_judged_where_budgets_bind(track: Track) -> None:
    plain, pinned = track.plain[0], track.pinned[0]
    judged: dict[tuple[float, float, Literal["below", "above", "undecided"]], tuple[str, str]] = {
        (0.005, 0.01, "below"): ("green", "green"),
        (0.05, 0.01, "above"): ("not_applicable", "red"),
        (0.02, 0.03, "undecided"): ("not_applicable", "red"),
    }
    for found, expected in judged.items():
        items = [popt4._cheap(run, planted(*found)) for run in (plain, pinned)]
        assert tuple(one.status.value for one in items) == expected
    assert popt4._cheap(plain, None).status == "red"


def test_the_interval_is_student_s_over_logarithms() -> None:
    rng = np.random.default_rng(3)
    ratios = np.exp(rng.normal(0.01, 0.02, 12))
    lines = [PairLine(pair=n, quiet_s=1.0, reporting_s=r, overhead=r - 1) for n, r in enumerate(ratios)]
    found = overhead(lines)
    low, high = stats.ttest_1samp(np.log([line.overhead + 1 for line in lines]), 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((np.expm1(low), np.expm1(high)), abs=1e-6)
    assert found.mean == pytest.approx(stats.gmean(ratios) - 1, abs=1e-6)


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [((1.0, 1.001, 0.999), "below"), ((1.1, 1.101, 1.099), "above"), ((0.9, 1.0, 1.2), "undecided")],
)
def test_the_verdict_is_on_which_side_of_two_percent_the_interval_lies(ratios: tuple[float, ...], verdict: str) -> None:
    lines = [PairLine(pair=n, quiet_s=1.0, reporting_s=r, overhead=r - 1) for n, r in enumerate(ratios)]
    assert overhead(lines).verdict == verdict


def test_pairs_alternate_which_side_comes_first(track: Track, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[bool] = []

    def noted(copy: Run, states: tuple[str, ...], threads: int, *, quiet: bool) -> popt4_overhead.TimedReplay:
        order.append(quiet)
        return replay_states(copy, states, threads, quiet=quiet)

    monkeypatch.setattr(popt4_overhead, "replay_states", noted)
    with throwaway(track.plain[0]) as copy:
        pairs = list(paired_replays(copy, 2, 3))
    assert order == [True, False, False, True, True, False]
    assert [line.pair for line in pair_lines(pairs)] == [1, 2, 3]


def test_a_throw_away_copy_is_the_run_and_is_gone_whatever_happens(track: Track) -> None:
    run = track.plain[0]
    with pytest.raises(ZeroDivisionError), throwaway(run) as copy:
        assert copy.run_id == run.run_id and copy.world.root == run.world.root and copy.records() == []
        assert copy.receipt == run.receipt and copy.marker("S5") == run.marker("S5")
        root = copy.root
        raise ZeroDivisionError
    assert not root.exists() and run.marker("S5") is not None


def test_what_a_replay_says_of_its_audit_trail_is_read_from_it(track: Track) -> None:
    with throwaway(track.plain[0]) as copy:
        assert replay_states(copy, ("S5",), 2, quiet=True).audited
        log = copy.log
        log.write_text("")
        assert not popt4_overhead._audited(copy, copy.records())


def test_threads_are_those_of_the_run(track: Track) -> None:
    assert popt4._threads(track.plain[0]) == 2
    assert timing_of(track.plain[0]).state("S4").n == 3
