"""Where the time goes: by state and lane, owners ranked by what work on them could save, order of work, budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from segment5b_lib.contract.words import STATES, Lane
from segment5b_lib.phases import popt_timing
from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.phases.engine.order import SUBJECTS
from segment5b_lib.phases.popt_pair import load_figures
from segment5b_lib.views.timing import states as state_attempts

OUTSIDE_STEPS: Final = "outside_steps"
"""Time of a state that no step timer covers."""


class LaneShare(Node):
    """Seconds of the median in one lane, and its share of the state or segment."""

    lane: str
    seconds: popt_timing.Rounded
    share: popt_timing.Rounded


class StateLanes(Node):
    """One state: its time, its share of the segment, its lanes (largest first)."""

    state: str
    median_s: popt_timing.Rounded
    spread_s: popt_timing.Rounded
    runs: int
    share: popt_timing.Rounded
    lanes: list[LaneShare]


class Owner(Node):
    """A state as an owner of time. `expected_gain_s` is its largest lane: the most that work there can save."""

    rank: int
    bottleneck: str
    state: str
    elapsed_s: popt_timing.Rounded
    share: popt_timing.Rounded
    dominant_lane: str
    hot_step: str
    expected_gain_s: popt_timing.Rounded
    expected_gain_share: popt_timing.Rounded


class ReductionTarget(Node):
    """What a phase is to save of its state: the least share, the seconds that leaves, and where they can be found."""

    phase: str
    state: str
    least_reduction: popt_timing.Rounded
    target_s: popt_timing.Rounded
    dominant_lane: str
    dominant_lane_share: popt_timing.Rounded
    reachable_in_dominant_lane: bool


@dataclass(frozen=True)
class Hotspots:
    """A run's time by state and lane: its samples, the lanes of every state and of the segment, the owners."""

    samples: list[popt_timing.TimingLine]
    states: list[StateLanes]
    segment: list[LaneShare]
    owners: list[Owner]


_RANKS: Final = ("primary", "secondary", "tertiary")
_MAY_BE_MISSING: Final = ("elapsed_s", "rows_in", "rows_out", "share", "runs", "spread_s")
_ELAPSED: Final = ("state", "elapsed_s", "status", "rows_in", "rows_out", "share", "runs", "spread_s", "missing")


def hotspots(role: str, timing: popt_timing.Timing) -> Hotspots:
    """Where the time of a run and its repetitions goes; `role` is what its samples are called."""
    states = state_lanes(timing)
    return Hotspots(
        samples=[popt_timing.timing_line(role, timing.state(state), timing.lanes(state)) for state in STATES],
        states=states,
        segment=segment_lanes(states),
        owners=owners(timing, states),
    )


def elapsed(timing: popt_timing.Timing) -> pl.DataFrame:
    """One row per state: `elapsed_s` and `spread_s` over the `runs`, `share` of their sum; `status`, `rows_in` and
    `rows_out` of the run's own attempt. What is missing is null, and `missing` names it.
    """
    samples = [timing.state(state) for state in STATES]
    total = sum(sample.median for sample in samples if sample.n)
    times = [(s.median, s.median / total, s.n, s.spread) if s.n else (None, None, None, None) for s in samples]
    schema = {"elapsed_s": pl.Float64, "share": pl.Float64, "runs": pl.Int64, "spread_s": pl.Float64}
    own = state_attempts(timing.run).select("state", "status", "rows_in", "rows_out")
    absent = [pl.when(pl.col(name).is_null()).then(pl.lit(name)) for name in _MAY_BE_MISSING]
    missing = pl.concat_list(absent).list.drop_nulls().list.join(" ")
    frame = pl.concat([own, pl.DataFrame(times, schema=schema, orient="row")], how="horizontal")
    return frame.with_columns(missing=pl.when(missing != "").then(missing)).select(_ELAPSED)


def unnamed(table: pl.DataFrame) -> list[str]:
    """What is missing from a table of elapsed times without being named in its row."""
    return [
        f"{row['state']}: {name} is empty"
        for row in table.iter_rows(named=True)
        for name in _MAY_BE_MISSING
        if row[name] is None and name not in (row["missing"] or "").split()
    ]


def state_lanes(timing: popt_timing.Timing) -> list[StateLanes]:
    """Every state that was timed, in order; what is not is left out here and named in the table of elapsed times."""
    samples = {state: sample for state in STATES if (sample := timing.state(state)).n}
    total = sum(sample.median for sample in samples.values())
    return [
        StateLanes(
            state=state,
            median_s=sample.median,
            spread_s=sample.spread,
            runs=sample.n,
            share=sample.median / total,
            lanes=_shares(timing.lanes(state), sample),
        )
        for state, sample in samples.items()
    ]


def _shares(lanes: dict[str, popt_timing.Sample], state: popt_timing.Sample) -> list[LaneShare]:
    """Shares over all runs together, so that they add up to one; seconds are that part of the median."""
    total = sum(state.seconds.values())
    shares = {lane: sum(sample.seconds.values()) / total for lane, sample in lanes.items()}
    shares[OUTSIDE_STEPS] = max(1 - sum(shares.values()), 0.0)
    ordered = sorted(shares.items(), key=lambda entry: -entry[1])
    return [LaneShare(lane=lane, seconds=share * state.median, share=share) for lane, share in ordered]


def segment_lanes(states: Sequence[StateLanes]) -> list[LaneShare]:
    """The same over the whole segment."""
    total = sum(state.median_s for state in states) or 1.0
    names = [*(lane.value for lane in Lane), OUTSIDE_STEPS]
    seconds = {
        name: sum(part.seconds for state in states for part in state.lanes if part.lane == name) for name in names
    }
    return [LaneShare(lane=name, seconds=value, share=value / total) for name, value in seconds.items()]


def owners(timing: popt_timing.Timing, states: Sequence[StateLanes]) -> list[Owner]:
    """States by expected gain, largest first."""
    total = sum(state.median_s for state in states)
    ranked = sorted(states, key=lambda state: -_dominant(state).seconds)
    return [
        Owner(
            rank=position + 1,
            bottleneck=_RANKS[position] if position < len(_RANKS) else "",
            state=state.state,
            elapsed_s=state.median_s,
            share=state.share,
            dominant_lane=_dominant(state).lane,
            hot_step=step.name if (step := timing.hot_step(state.state, _dominant(state).lane)) else "",
            expected_gain_s=_dominant(state).seconds,
            expected_gain_share=_dominant(state).seconds / total,
        )
        for position, state in enumerate(ranked)
    ]


def _dominant(state: StateLanes) -> LaneShare:
    """The largest lane that has steps."""
    return next((part for part in state.lanes if part.lane != OUTSIDE_STEPS), state.lanes[0])


def reduction_targets(states: Sequence[StateLanes], least: dict[str, float]) -> list[ReductionTarget]:
    """One target per phase that has to save a share of its state, from what the state took."""
    known = {state.state: state for state in states}
    return [
        ReductionTarget(
            phase=phase,
            state=name,
            least_reduction=least[phase],
            target_s=(1 - least[phase]) * known[name].median_s,
            dominant_lane=_dominant(known[name]).lane,
            dominant_lane_share=_dominant(known[name]).share,
            reachable_in_dominant_lane=_dominant(known[name]).share >= least[phase],
        )
        for phase, subjects in SUBJECTS.items()
        for name in subjects
        if phase in least and name in known
    ]


def ranked_order(timing: popt_timing.Timing, ranking: Sequence[Owner]) -> list[str]:
    """POPT.1 to POPT.3: of S1 and S4 the one with the larger expected gain first, POPT.3 after both.

    As numbered where the two states' times cannot be distinguished; empty where one of them was not timed.
    """
    ranks = {owner.state: owner.rank for owner in ranking}
    if not {"S1", "S4"} <= set(ranks):
        return []
    apart = popt_timing.compared(timing.state("S1"), timing.state("S4")) != "not_distinguishable"
    return ["POPT.2", "POPT.1", "POPT.3"] if apart and ranks["S4"] < ranks["S1"] else ["POPT.1", "POPT.2", "POPT.3"]


LANE_SEEDS: Final = {"candidate": 1, "witness": 2, "certification": 4}
"""How many seeds each lane runs."""


class StateBudget(Node):
    """Seconds that a state may take: target and stretch, what was measured here, what had been published."""

    state: str
    target_s: popt_timing.Rounded
    stretch_s: popt_timing.Rounded
    measured_s: popt_timing.Rounded | None
    measured_runs: int
    published_s: list[float]
    applies: bool
    rationale: str


class LaneBudget(Node):
    """Seconds that a lane of some seeds may take; measured: S0 to S5 of the baseline, times the seeds."""

    lane: str
    seeds: int
    budget_s: popt_timing.Rounded
    measured_s: popt_timing.Rounded | None
    applies: bool
    rationale: str


def state_budget_lines(timing: popt_timing.Timing) -> list[StateBudget]:
    """Budgets of S1 to S5, each with the measured and the published figures that it is based on."""
    figures, reason = load_figures(), popt_timing.below_scale(timing.run)
    lines = []
    for state, budget in popt_timing.state_budgets(timing.run).items():
        sample, published = timing.state(state), figures.published(state)
        lines.append(
            StateBudget(
                state=state,
                target_s=budget.target_s,
                stretch_s=budget.stretch_s,
                measured_s=sample.median if sample.n else None,
                measured_runs=sample.n,
                published_s=published,
                applies=not reason,
                rationale=_rationale(sample, published, figures.scale, budget.target_s, reason),
            )
        )
    return lines


def _rationale(sample: popt_timing.Sample, published: list[float], scale: str, target: float, reason: str) -> str:
    rests = f"published {min(published):g} to {max(published):g} s at the {scale} scale" if published else "unpublished"
    if reason or not sample.n:
        return f"{rests}; measured here {sample.text}"
    stands = "confirmed" if sample.median <= target else f"{sample.median / target:.1f} × over"
    return f"{rests}; measured here {sample.text}: {stands}"


def lane_budget_lines(timing: popt_timing.Timing) -> list[LaneBudget]:
    """Budgets of the candidate, witness and certification lanes."""
    sample, reason = timing.together(STATES), popt_timing.below_scale(timing.run)
    return [
        LaneBudget(
            lane=lane,
            seeds=LANE_SEEDS[lane],
            budget_s=budget.target_s,
            measured_s=sample.median * LANE_SEEDS[lane] if sample.n else None,
            applies=not reason,
            rationale=f"{LANE_SEEDS[lane]} × S0 to S5 of the baseline, {sample.text}",
        )
        for lane, budget in popt_timing.budgets_of(timing.run).lanes.items()
    ]
