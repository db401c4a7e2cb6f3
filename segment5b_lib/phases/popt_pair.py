"""Two sides of an optimisation phase: a candidate run, and a baseline that is a run or a file of figures.

Time is compared with the baseline. Structure is compared with a second run of the same work: the baseline if it is a
run, else any other run of the candidate's world, policies and seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import UsageError
from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.phases.popt_budgets import too_few
from segment5b_lib.phases.popt_figures import Figures, load_figures, shipped
from segment5b_lib.phases.popt_timing import Rounded, Sample, Timing, Verdict, compared, of_figures, siblings, timing_of
from segment5b_lib.store.catalogue import open_run
from segment5b_lib.store.runs import Run

CANDIDATE = "candidate"
BASELINE = "baseline"


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
    verdict: Verdict | Literal["not_measured", "not_applicable"]


@dataclass(frozen=True)
class Pair:
    """Candidate and baseline, each with its repetitions, and the second run that structure is compared with."""

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
        found: dict[str, list[Run]] = {}
        seen = {self.run.run_id}
        roles: list[tuple[str, Sequence[Run]]] = [
            (BASELINE, [self.baseline.run, *self.baseline.repetitions] if isinstance(self.baseline, Timing) else ()),
            ("replay", siblings(self.run)),
        ]
        for role, runs in roles:
            for one in runs:
                if one.run_id not in seen:
                    seen.add(one.run_id)
                    found.setdefault(role, []).append(one)
        return found

    @property
    def other_scale(self) -> str:
        """Why times cannot be compared; empty where they can."""
        if isinstance(self.baseline, Timing) or self.baseline.scale == self.run.world.scale:
            return ""
        return (
            f"the figures of {self.baseline.name} are of the {self.baseline.scale} scale, "
            f"and this world is {self.run.world.scale}"
        )

    def before(self, phase: str, state: str) -> Sample:
        """The baseline's sample of a state, or the figure that the phase is anchored to."""
        if isinstance(self.baseline, Timing):
            return self.baseline.state(state)
        return of_figures(self.baseline, phase, state)

    def after(self, state: str) -> Sample:
        """The candidate's sample of a state."""
        return self.candidate.state(state)

    def few(self, phase: str, states: Sequence[str]) -> list[str]:
        """Samples of either side that are too small to say anything."""
        samples = [(BASELINE, self.before(phase, state)) for state in states]
        return too_few(self.run, [*samples, *((CANDIDATE, self.after(state)) for state in states)])


def is_figures(baseline: str) -> bool:
    """Whether a baseline's name is that of a file of figures."""
    return baseline in shipped() or baseline.endswith(".yaml")


def pair_of(run: Run, baseline: str) -> Pair:
    """Open a baseline (name of a run or of a file of figures) beside a candidate.

    Raises
    ------
    UsageError : there is no such baseline, or it is a run of another world or seed.
    """
    if is_figures(baseline):
        return Pair(timing_of(run), load_figures(baseline), next(iter(siblings(run)[1:]), None))
    other = open_run(baseline)
    _require_same_work(run, other)
    second = [one for one in (other, *siblings(run)) if one.run_id != run.run_id]
    return Pair(timing_of(run), timing_of(other), next(iter(second), None))


def _require_same_work(run: Run, other: Run) -> None:
    mine, theirs = ((one.receipt.manifest_fingerprint, one.receipt.seed) for one in (run, other))
    if mine != theirs:
        raise UsageError(
            "5B.POPT.OTHER_WORK",
            "the baseline is a run of another world or seed, so neither time nor structure compares",
            where=f"baseline {other.run_id[:8]}, candidate {run.run_id[:8]}",
            expected=f"world {mine[0][:12]}, seed {mine[1]}",
            found=f"world {theirs[0][:12]}, seed {theirs[1]}",
            next_step="choose a run of this world and seed, or a file of figures such as published_run",
        )


def runtime_lines(pair: Pair, phase: str) -> list[RuntimeLine]:
    """Every state on both sides."""
    comparable = not pair.other_scale
    return [_line(state, pair.before(phase, state), pair.after(state), comparable) for state in STATES]


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
