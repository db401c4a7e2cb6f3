"""Timing as evidence: repetitions of a run, medians with their spread, and what a difference between two says.

Repetitions are all complete runs of the same world, policies, seed and library version (`segment5b run --repeat n`).
Of these a state's sample takes those that ran it on as many threads of the same machine as the run in question.
A sample is compared with the budgets of the run's validation policy, where they apply at its scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Annotated, Literal

import polars as pl
from pydantic import AfterValidator, Field

from segment5b_lib.contract.commands import Command, command
from segment5b_lib.contract.validation_policy import Budget, RuntimePolicy
from segment5b_lib.contract.words import Lane
from segment5b_lib.phases.engine.envelope import DodItem, MeasuredValue, Node
from segment5b_lib.phases.engine.parameters import PhaseParameters, RunName
from segment5b_lib.phases.engine.phase import item, not_applicable
from segment5b_lib.store.catalogue import list_runs
from segment5b_lib.store.records import StateRecord, StepRecord
from segment5b_lib.store.runs import Run

Rounded = Annotated[float, AfterValidator(lambda value: round(value, 6))]
"""Seconds and shares as artefacts carry them: to the microsecond, as run records do."""
SpeedChange = Literal["faster", "slower", "not_distinguishable"]
"""What two samples say about one another."""


class OnTimedRun(PhaseParameters):
    """Of a phase that judges how long a run takes, by default the latest."""

    run_id: RunName = Field("@last", description="the candidate: an id, the start of one, or a role such as @candidate")


@dataclass(frozen=True)
class Sample:
    """Seconds of wall time of one thing, one value per run; `whole_run_s` is what such a run takes in all."""

    name: str
    seconds: Mapping[str, float]
    whole_run_s: float

    @property
    def n(self) -> int:
        """Number of runs."""
        return len(self.seconds)

    @property
    def median(self) -> float:
        """Median of the runs."""
        return median(self.seconds.values())

    @property
    def spread(self) -> float:
        """Slowest minus fastest."""
        return max(self.seconds.values()) - min(self.seconds.values())

    @property
    def text(self) -> str:
        """Median, spread and number, e.g. `0.212 s, spread 0.040 s (n = 3)`; a single run says how long it is."""
        if not self.n:
            return "not measured"
        single = f", a single run of {self.whole_run_s:,.0f} s" if self.n == 1 else ""
        return f"{self.median:.3f} s, spread {self.spread:.3f} s (n = {self.n}{single})"


def compared(base: Sample, new: Sample) -> SpeedChange:
    """Faster or slower only where the medians are further apart than the larger spread of the two."""
    difference = new.median - base.median
    if abs(difference) <= max(base.spread, new.spread):
        return "not_distinguishable"
    return "faster" if difference < 0 else "slower"


@dataclass(frozen=True)
class Timing:
    """A run with its repetitions."""

    run: Run
    repetitions: tuple[Run, ...]

    @cached_property
    def _records(self) -> dict[str, dict[str, StateRecord]]:
        return {run.run_id: run.last_records() for run in self.repetitions}

    @cached_property
    def whole_run_s(self) -> float:
        """Median over the repetitions of the seconds of all their states."""
        walls = [[record.durations.wall_ms for record in records.values()] for records in self._records.values()]
        return median(sum(wall) / 1e3 for wall in walls)

    def state(self, state: str) -> Sample:
        """Seconds of a state; empty where the run has not run it itself or its last attempt failed."""
        seconds = {name: record.seconds for name, record in self._alike(state).items()}
        return Sample(state, seconds, self.whole_run_s)

    def lanes(self, state: str) -> dict[str, Sample]:
        """Seconds of a state by lane; lanes without a step are left out."""
        by_lane: dict[str, dict[str, float]] = {lane.value: {} for lane in Lane}
        for name, record in self._alike(state).items():
            for step in record.steps:
                seconds = by_lane[step.lane]
                seconds[name] = seconds.get(name, 0.0) + step.wall_ms / 1e3
        return {lane: Sample(f"{state} {lane}", sample, self.whole_run_s) for lane, sample in by_lane.items() if sample}

    def hot_step(self, state: str, lane: str = "") -> StepRecord | None:
        """The step of the run's own attempt that took longest (in one lane, if named), as its record has it."""
        record = self._alike(state).get(self.run.run_id)
        steps = [step for step in (record.steps if record else ()) if lane in ("", step.lane)]
        return max(steps, key=lambda step: step.wall_ms, default=None)

    def together(self, states: Sequence[str]) -> Sample:
        """Seconds of several states together, of the runs that have run all of them."""
        samples = [self.state(state).seconds for state in states]
        complete = set.intersection(*(set(sample) for sample in samples))
        seconds = {name: sum(sample[name] for sample in samples) for name in sorted(complete)}
        return Sample(" ".join(states), seconds, self.whole_run_s)

    def _alike(self, state: str) -> dict[str, StateRecord]:
        """Records of a state by run, where it passed as it did in the run itself."""
        own = self._records[self.run.run_id].get(state)
        if own is None or not own.passed:
            return {}
        ran = {name: records[state] for name, records in self._records.items() if state in records}
        return {name: record for name, record in ran.items() if _setting(record) == _setting(own)}


def _setting(record: StateRecord) -> tuple[object, ...]:
    return record.status, record.threads, record.machine


def timing_of(run: Run) -> Timing:
    """A run and its repetitions: every complete run of its identity and library version."""
    identity = _identity(run)
    return Timing(run, tuple(other for other in siblings(run) if _identity(other) == identity))


def timing_in(run: Run, roles: Mapping[str, Sequence[Run]]) -> Timing:
    """The same from the roles of a phase's evidence (`repetition_roles`)."""
    return Timing(run, (run, *roles["repetition"]))


def repetition_roles(run: Run) -> dict[str, list[Run]]:
    """A run's repetitions, apart from itself, as a role of a phase's evidence."""
    return {"repetition": [other for other in timing_of(run).repetitions if other.run_id != run.run_id]}


def repeated(run: Run, seed: int | None = None) -> Command:
    """The command that makes as many repetitions of a run as a sample needs, by default of its own seed."""
    receipt = run.receipt
    seed = receipt.seed if seed is None else seed
    return command("run", "--repeat", "3", "--posture", receipt.posture, "--seed", str(seed))


def siblings(run: Run) -> list[Run]:
    """Complete runs of the same world, policies and seed by any version of the library; the run itself comes first.

    What the data engine has made of them is another program's word and replays nothing.
    """
    identity = _identity(run)[:3]
    others = [other for other in list_runs() if other.run_id != run.run_id and _identity(other)[:3] == identity]
    return [run, *(other for other in others if other.complete and not other.by_engine)]


def _identity(run: Run) -> tuple[str, str, int, str]:
    receipt = run.receipt
    return receipt.manifest_fingerprint, receipt.parameter_hash, receipt.seed, receipt.library_version


class TimingLine(Node):
    """One sample as an artefact carries it."""

    role: str
    name: str
    n: int
    median_s: Rounded | None
    spread_s: Rounded | None
    seconds: dict[str, Rounded]
    lanes: dict[str, Rounded]
    whole_run_s: Rounded


def timing_line(role: str, sample: Sample, lanes: Mapping[str, Sample] | None = None) -> TimingLine:
    """A sample with its role (`baseline`, `candidate`), and the medians of its lanes."""
    return TimingLine(
        role=role,
        name=sample.name,
        n=sample.n,
        median_s=sample.median if sample.n else None,
        spread_s=sample.spread if sample.n else None,
        seconds=dict(sample.seconds),
        lanes={lane: part.median for lane, part in (lanes or {}).items()},
        whole_run_s=sample.whole_run_s,
    )


def median_value(role: str, sample: Sample) -> MeasuredValue:
    """A sample's median as a measured value."""
    value = sample.median if sample.n else None
    return MeasuredValue(
        name=f"{role} {sample.name}", value=value, unit="s", population=sample.n, population_unit="runs"
    )


def budgets_of(run: Run) -> RuntimePolicy:
    """The budgets that a run was made with."""
    return run.policies.validation.runtime


def state_budgets(run: Run) -> Mapping[str, Budget]:
    """Budgets by state."""
    return dict(budgets_of(run).states.items())


def budget_frame(run: Run) -> pl.DataFrame:
    """Budgets for a chart: `state`, `budget` (`target`, `stretch`), `seconds`; empty where they do not apply."""
    rows = [
        (state, name, seconds)
        for state, budget in ({} if below_scale(run) else state_budgets(run)).items()
        for name, seconds in (("target", budget.target_s), ("stretch", budget.stretch_s))
    ]
    return pl.DataFrame(rows, {"state": str, "budget": str, "seconds": float}, orient="row")


def below_scale(run: Run) -> str:
    """Why budgets do not apply to a run; empty where they do."""
    pinned, scale = budgets_of(run).pinned_scale, run.world.scale
    return "" if scale == pinned else f"budgets are pinned to the {pinned} scale, and this world is {scale}"


def too_few(run: Run, samples: Sequence[tuple[str, Sample]]) -> list[str]:
    """Samples, by role, that are too small to say anything: less than `min_runs` runs, and no single long one."""
    law = budgets_of(run)
    return [
        f"{role} {sample.name}: {sample.text}; it takes {law.min_runs} runs: segment5b run --repeat {law.min_runs}"
        for role, sample in samples
        if sample.n < law.min_runs and not (sample.n and sample.whole_run_s > law.long_run_s)
    ]


def budget_item(name: str, text: str, run: Run, bounds: Sequence[tuple[Sample, float]]) -> DodItem:
    """Samples within their budgets (seconds), by their medians; not applicable below the pinned scale."""
    if reason := below_scale(run):
        return not_applicable(name, text, reason)
    few = too_few(run, [("candidate", sample) for sample, _ in bounds])
    over = [f"{s.name}: {s.text}, budget {bound:g} s" for s, bound in bounds if s.n and s.median > bound]
    return item(name, text, few + over, "; ".join(f"{s.text} of {bound:g} s for {s.name}" for s, bound in bounds))
