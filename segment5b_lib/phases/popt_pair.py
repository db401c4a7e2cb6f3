"""Two sides of an optimisation phase: a candidate run, and a baseline that is a run or a file of figures.

Time is compared with the baseline. Structure is compared with a second run of the same work: the baseline if it is a
run, else any other run of the candidate's world, policies and seed. Figures are
seconds that were measured elsewhere, without a run to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal

import polars as pl
from pydantic import Field, model_validator

from segment5b_lib.contract.strict import Positive, Strict
from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import UsageError
from segment5b_lib.phases.engine.envelope import MeasuredValue, Node
from segment5b_lib.phases.engine.parameters import Resolves
from segment5b_lib.phases.popt_timing import (
    OnTimedRun,
    Rounded,
    Sample,
    SpeedChange,
    Timing,
    compared,
    median_value,
    siblings,
    timing_of,
    too_few,
)
from segment5b_lib.store.catalogue import find_run
from segment5b_lib.store.documents import read_yaml, validated
from segment5b_lib.store.roots import parameters_folder
from segment5b_lib.store.runs import Run

PUBLISHED: Final = "published_run"
"""The file that ships: the plan's own figures."""

State = Annotated[str, Field(pattern=r"^S[0-5]$")]
LaneName = Annotated[str, Field(pattern="^(input_load|compute|validation|write)$")]
Paired = Annotated[str, Field(pattern=r"^POPT\.[123]$")]


class Snapshot(Strict):
    """What was measured on one occasion: seconds of wall time by state, and lanes where they were published."""

    seconds: dict[State, Positive]
    lanes: dict[State, dict[LaneName, Positive]] = Field(default_factory=dict)


class Reopened(Strict):
    """Snapshots that a reopened POPT.2 is compared with: the S4 it starts from, and the best S4 before that."""

    start: str = Field(alias="from")
    best: str


class Figures(Strict):
    """A run as figures. One value each: its own run took `segment_seconds`, long enough for a single run to count."""

    name: str
    run_id: str
    scale: str
    seed: int
    segment_seconds: Positive
    snapshots: dict[str, Snapshot]
    anchors: dict[Paired, dict[State, str]]
    reopened: Reopened

    @model_validator(mode="after")
    def _known(self) -> Figures:
        named = [(name, state) for states in self.anchors.values() for state, name in states.items()]
        named += [(self.reopened.start, "S4"), (self.reopened.best, "S4")]
        for name, state in named:
            if name not in self.snapshots or state not in self.snapshots[name].seconds:
                raise ValueError(f"snapshot {name} does not give the seconds of {state}")
        return self

    def anchor(self, phase: str, state: str) -> float | None:
        """Seconds that a phase holds a state against; None where none were published."""
        snapshot = self.anchors.get(phase, {}).get(state)
        return self.snapshots[snapshot].seconds[state] if snapshot else None

    def lanes(self, phase: str, state: str) -> dict[LaneName, float]:
        """Seconds of the lanes of a state that a phase is compared with; empty where none were published."""
        snapshot = self.anchors.get(phase, {}).get(state)
        return dict(self.snapshots[snapshot].lanes.get(state, {})) if snapshot else {}

    def published(self, state: str) -> list[float]:
        """Every published figure of a state, in the order of the snapshots."""
        return [snapshot.seconds[state] for snapshot in self.snapshots.values() if state in snapshot.seconds]

    def frame(self) -> pl.DataFrame:
        """One row per snapshot: its seconds by state, null where not published."""
        states = sorted({state for snapshot in self.snapshots.values() for state in snapshot.seconds})
        rows = [
            {"snapshot": name, **{state: snapshot.seconds.get(state) for state in states}}
            for name, snapshot in self.snapshots.items()
        ]
        return pl.DataFrame(rows, schema={"snapshot": pl.String, **dict.fromkeys(states, pl.Float64)})


def load_figures(name: str = PUBLISHED) -> Figures:
    """Figures by the name of a shipped file, or by the path of another."""
    path = Path(name) if name.endswith(".yaml") else parameters_folder() / "figures" / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(
            "5B.POPT.UNKNOWN_FIGURES",
            "there is no such file of figures",
            where=str(path),
            expected=f"{', '.join(shipped())}, or the path of a .yaml file",
            found=name,
        )
    return validated(Figures, read_yaml(path), str(path))


def shipped() -> list[str]:
    """Names of the files with a run's figures that come with the library: `<name>_run.yaml`."""
    return sorted(path.stem for path in (parameters_folder() / "figures").glob("*_run.yaml"))


CANDIDATE = "candidate"
BASELINE = "baseline"


def is_figures(baseline: str) -> bool:
    """Whether a baseline's name is that of a file of figures."""
    return baseline in shipped() or baseline.endswith(".yaml")


def _baseline_id(name: str) -> str:
    return name if is_figures(name) else find_run(name).run_id


class PairParameters(OnTimedRun):
    """A candidate, and what it is measured against."""

    baseline: Annotated[str, Resolves(_baseline_id)] = Field(
        PUBLISHED, description="a run, a shipped file of figures (published_run), or the path of another"
    )


class RuntimeLine(Node):
    """A state's medians on both sides. `reduction` is the share of the baseline's time that was saved.

    `not_applicable`: the baseline is of another scale, so that times do not compare.
    """

    state: str
    baseline_s: Rounded | None
    candidate_s: Rounded | None
    baseline_runs: int
    candidate_runs: int
    difference_s: Rounded | None
    spread_s: Rounded | None
    reduction: Rounded | None
    verdict: SpeedChange | Literal["not_measured", "not_applicable"]


@dataclass(frozen=True)
class Pair:
    """Candidate and baseline, each with its repetitions, and the second run that structure is compared with.

    `phase` is the one that compares them: figures are anchored to it.
    """

    phase: str
    candidate: Timing
    baseline: Timing | Figures
    reference: Run | None

    @property
    def run(self) -> Run:
        """The candidate."""
        return self.candidate.run

    @cached_property
    def others(self) -> dict[str, list[Run]]:
        """Every other run that the evidence is about, once, by role."""
        by_role: dict[str, list[Run]] = {}
        seen = {self.run.run_id}
        roles: list[tuple[str, Sequence[Run]]] = [
            (BASELINE, [self.baseline.run, *self.baseline.repetitions] if isinstance(self.baseline, Timing) else ()),
            ("replay", siblings(self.run)),
        ]
        for role, runs in roles:
            for other in runs:
                if other.run_id not in seen:
                    seen.add(other.run_id)
                    by_role.setdefault(role, []).append(other)
        return by_role

    @property
    def other_scale(self) -> str:
        """Why times cannot be compared; empty where they can."""
        if isinstance(self.baseline, Timing) or self.baseline.scale == self.run.world.scale:
            return ""
        return (
            f"the figures of {self.baseline.name} are of the {self.baseline.scale} scale, "
            f"and this world is {self.run.world.scale}"
        )

    @property
    def baseline_name(self) -> str:
        """How the baseline is called."""
        return self.baseline.run.run_id if isinstance(self.baseline, Timing) else f"figures {self.baseline.name}"

    @cached_property
    def sides(self) -> dict[str, dict[str, Sample]]:
        """Both sides' samples by role and state; of figures what the phase is anchored to."""
        base = self.baseline
        before = base.state if isinstance(base, Timing) else lambda state: of_figures(base, self.phase, state)
        sides = {BASELINE: before, CANDIDATE: self.candidate.state}
        return {role: {state: sample(state) for state in STATES} for role, sample in sides.items()}

    def before(self, state: str) -> Sample:
        """The baseline's sample of a state."""
        return self.sides[BASELINE][state]

    def after(self, state: str) -> Sample:
        """The candidate's sample of a state."""
        return self.sides[CANDIDATE][state]

    def few(self, states: Sequence[str]) -> list[str]:
        """Samples of either side that are too small to say anything."""
        return too_few(self.run, [(role, samples[state]) for role, samples in self.sides.items() for state in states])

    def medians(self) -> tuple[MeasuredValue, ...]:
        """Every state's median on both sides, as measured values."""
        return tuple(median_value(role, sample) for role, side in self.sides.items() for sample in side.values())

    def runtime(self) -> list[RuntimeLine]:
        """Every state's medians on both sides, and what the difference says."""
        comparable = not self.other_scale
        return [_line(state, self.before(state), self.after(state), comparable) for state in STATES]


def pair_of(phase: str, run: Run, baseline: str) -> Pair:
    """Open a baseline (name of a run or of a file of figures) for a phase that compares a run with it.

    Raises
    ------
    UsageError : there is no such baseline, or it is a run of another world or seed.
    """
    if is_figures(baseline):
        return Pair(phase, timing_of(run), load_figures(baseline), next(iter(siblings(run)[1:]), None))
    other = find_run(baseline)
    candidate, base = ((side.receipt.manifest_fingerprint, side.receipt.seed) for side in (run, other))
    if candidate != base:
        raise UsageError(
            "5B.POPT.OTHER_WORK",
            "the baseline is a run of another world or seed, so neither time nor structure compares",
            where=f"baseline {other.run_id[:8]}, candidate {run.run_id[:8]}",
            expected=f"world {candidate[0][:12]}, seed {candidate[1]}",
            found=f"world {base[0][:12]}, seed {base[1]}",
            next_step="choose a run of this world and seed, or a file of figures such as published_run",
        )
    others = [sibling for sibling in (other, *siblings(run)) if sibling.run_id != run.run_id]
    return Pair(phase, timing_of(run), timing_of(other), next(iter(others), None))


def _line(state: str, before: Sample, after: Sample, comparable: bool) -> RuntimeLine:
    both = bool(before.n and after.n and comparable)
    return RuntimeLine(
        state=state,
        baseline_s=before.median if before.n else None,
        candidate_s=after.median if after.n else None,
        baseline_runs=before.n,
        candidate_runs=after.n,
        difference_s=after.median - before.median if both else None,
        spread_s=max(before.spread, after.spread) if both else None,
        reduction=reduction(before, after) if both else None,
        verdict=compared(before, after) if both else "not_measured" if comparable else "not_applicable",
    )


def reduction(before: Sample, after: Sample) -> float:
    """Share of the baseline's median that the candidate saves; negative where it is slower."""
    return 1 - after.median / before.median


def of_figures(figures: Figures, phase: str, state: str) -> Sample:
    """A published figure as a sample of one."""
    seconds = figures.anchor(phase, state)
    return Sample(state, {} if seconds is None else {figures.run_id: seconds}, figures.segment_seconds)
