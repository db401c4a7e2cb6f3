"""Where the time goes: lanes of every state and of the segment, owners ranked by what work on them could save."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from segment5b_lib.contract.words import STATES, Lane
from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.phases.engine.order import SUBJECTS
from segment5b_lib.phases.popt_timing import Rounded, Sample, Timing, compared

OUTSIDE_STEPS: Final = "outside_steps"
"""Time of a state that no step timer covers."""


class LaneShare(Node):
    """Seconds of the median in one lane, and its share of the state or segment."""

    lane: str
    seconds: Rounded
    share: Rounded


class StateLanes(Node):
    """One state: its time, its share of the segment, its lanes (largest first)."""

    state: str
    median_s: Rounded
    spread_s: Rounded
    runs: int
    share: Rounded
    lanes: list[LaneShare]


class Owner(Node):
    """A state as an owner of time. `expected_gain_s` is its largest lane: the most that work there can save."""

    rank: int
    bottleneck: str
    state: str
    elapsed_s: Rounded
    share: Rounded
    dominant_lane: str
    hot_step: str
    expected_gain_s: Rounded
    expected_gain_share: Rounded


class ReductionTarget(Node):
    """What a phase is to save of its state: the least share, the seconds that leaves, and where they can be found."""

    phase: str
    state: str
    least_reduction: Rounded
    target_s: Rounded
    dominant_lane: str
    dominant_lane_share: Rounded
    reachable_in_dominant_lane: bool


_RANKS: Final = ("primary", "secondary", "tertiary")


def state_lanes(timing: Timing) -> list[StateLanes]:
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


def _shares(lanes: dict[str, Sample], state: Sample) -> list[LaneShare]:
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


def owners(timing: Timing, states: Sequence[StateLanes]) -> list[Owner]:
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


def order_of_work(timing: Timing, ranking: Sequence[Owner]) -> list[str]:
    """POPT.1 to POPT.3: of S1 and S4 the one with the larger expected gain first, POPT.3 after both.

    As numbered where the two states' times cannot be told apart.
    """
    ranks = {owner.state: owner.rank for owner in ranking}
    apart = compared(timing.state("S1"), timing.state("S4")) != "not_distinguishable"
    return ["POPT.2", "POPT.1", "POPT.3"] if apart and ranks["S4"] < ranks["S1"] else ["POPT.1", "POPT.2", "POPT.3"]
