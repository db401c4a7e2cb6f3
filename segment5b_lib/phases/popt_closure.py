"""What POPT.1, POPT.2 and POPT.3 have measured and leave behind: both sides' times, and what was compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, TypeVar

import polars as pl

from segment5b_lib.contract.words import Decision
from segment5b_lib.phases.engine.envelope import Body, DodItem
from segment5b_lib.phases.engine.order import SUBJECTS
from segment5b_lib.phases.engine.page import Section, frame_section
from segment5b_lib.phases.engine.phase import Measured, Phase, go_on
from segment5b_lib.phases.engine.repair import NextSteps, next_phase
from segment5b_lib.phases.popt_pair import BASELINE, CANDIDATE, Pair, PairParameters, RuntimeLine, pair_of
from segment5b_lib.phases.popt_structure import WRITTEN, CounterLine, DatasetLine
from segment5b_lib.phases.popt_timing import Timing, TimingLine, repeated, timing_line
from segment5b_lib.phases.shared_items import ReplayLine

PairP = TypeVar("PairP", bound=PairParameters)
PairM = TypeVar("PairM", bound="PairMeasured")

_ROWS: Final = {"S1": "groupings and buckets", "S2": "bucket rows", "S3": "bucket rows", "S4": "arrivals"}
"""What a row that a state writes stands for."""
_OPENED: Final = {
    Decision.UNLOCK_POPT2_CONTINUE: "POPT.2",
    Decision.UNLOCK_POPT3: "POPT.3",
    Decision.UNLOCK_POPT3_CONTINUE: "POPT.3",
    Decision.UNLOCK_POPT4_CONTINUE: "POPT.4",
    Decision.UNLOCK_POPT4_CONTINUE_WITH_WAIVER: "POPT.4",
}


class LaneTiming(Body):
    """Both sides' samples of every state, with lanes, and what the difference says."""

    baseline: str
    samples: list[TimingLine]
    runtime: list[RuntimeLine]


class PairClosure(Body):
    """What was compared, and whether it is the same."""

    reference: str | None
    counters: list[CounterLine]
    datasets: list[DatasetLine]
    replays: list[ReplayLine]


@dataclass(frozen=True, kw_only=True)
class PairMeasured(Measured):
    """Both sides of an optimisation phase; a phase adds what is special about its states.

    Attributes
    ----------
    pair : candidate and baseline with their repetitions, and the second run that structure is compared with
    counters, datasets : the structure of the candidate and of the second run
    replays : every other run of the same work, and what it wrote differently
    """

    pair: Pair
    counters: list[CounterLine]
    datasets: list[DatasetLine]
    replays: list[ReplayLine]

    @cached_property
    def samples(self) -> list[TimingLine]:
        """Every state's sample on both sides, with the medians of its lanes."""
        timings = {BASELINE: self.pair.baseline, CANDIDATE: self.pair.candidate}
        return [
            timing_line(role, sample, timing.lanes(state) if isinstance(timing, Timing) else None)
            for role, timing in timings.items()
            for state, sample in self.pair.sides[role].items()
        ]

    @cached_property
    def runtime(self) -> list[RuntimeLine]:
        """Every state's medians on both sides, and what the difference says."""
        return self.pair.runtime()

    @cached_property
    def before_after(self) -> pl.DataFrame:
        """Every run on both sides: `state`, `role`, `run`, `seconds`; a baseline of another scale is left out."""
        rows = [
            (line.name, line.role, run_id[:8], seconds)
            for line in self._comparable
            for run_id, seconds in line.seconds.items()
        ]
        schema = {"state": str, "role": str, "run": str, "seconds": float}
        return pl.DataFrame(rows, schema, orient="row").sort("state", maintain_order=True)

    @cached_property
    def lanes(self) -> pl.DataFrame:
        """Medians of the lanes of the phase's states on both sides: `state`, `role`, `lane`, `seconds`.

        A baseline of another scale is left out.
        """
        rows = [
            (line.name, line.role, lane, seconds)
            for line in self._comparable
            if line.name in SUBJECTS[self.pair.phase]
            for lane, seconds in (line.lanes or self._published_lanes(line)).items()
        ]
        return pl.DataFrame(rows, {"state": str, "role": str, "lane": str, "seconds": float}, orient="row")

    @cached_property
    def rates(self) -> pl.DataFrame:
        """Rates of the phase's states: `state`, `role`, `what`, `rows`, `seconds`, `rows_per_s`, `ns_per_row`.

        Figures give seconds and no rows, and are left out.
        """
        base = self.pair.baseline
        runs = {CANDIDATE: self.pair.run} | ({BASELINE: base.run} if isinstance(base, Timing) else {})
        rows = [
            (line.name, line.role, what, runs[line.role].counters(line.name).get("rows_out"), line.median_s)
            for line in self.samples
            if line.role in runs and line.name in SUBJECTS[self.pair.phase]
            for what in [_ROWS[line.name]]
        ]
        schema = {"state": str, "role": str, "what": str, "rows": int, "seconds": float}
        rate = pl.col("rows") / pl.col("seconds")
        return pl.DataFrame(rows, schema, orient="row").with_columns(rows_per_s=rate, ns_per_row=1e9 / rate)

    @cached_property
    def structure(self) -> pl.DataFrame:
        """What was compared: `what`, `before`, `now`, `equal`."""
        rows = [
            *((f"{c.state} {c.counter}", str(c.reference), str(c.candidate), c.equal) for c in self.counters),
            *(
                (d.dataset_id, f"by {d.compared_by}", ", ".join(d.differs) or "the same", d.equal)
                for d in self.datasets
            ),
        ]
        return pl.DataFrame(rows, {"what": str, "before": str, "now": str, "equal": bool}, orient="row")

    @property
    def _comparable(self) -> list[TimingLine]:
        return [line for line in self.samples if line.role == CANDIDATE or not self.pair.other_scale]

    def _published_lanes(self, line: TimingLine) -> dict[str, float]:
        base = self.pair.baseline
        return {} if line.role == CANDIDATE or isinstance(base, Timing) else base.lanes(self.pair.phase, line.name)


def pair_phase(declared: Phase[PairP, PairM]) -> Phase[PairP, PairM]:
    """What all phases have that compare a run with a baseline: roles, page, evidence, their place in POPT.0's order."""
    return replace(
        declared,
        pages=(declared.artefacts[-1].ARTEFACT,),
        roles=lambda run, parameters: pair_of(declared.name, run, parameters.baseline).others,
        sections=pair_sections,
        evidence=WRITTEN,
        ranked=True,
    )


def pair_bodies(
    timing: type[LaneTiming],
    closure: type[PairClosure],
    own: Callable[[PairM], Mapping[str, object]] = lambda measured: {},
) -> Callable[[PairM], list[Body]]:
    """Both sides' times, and what was compared; `own` gives the fields that only this closure has."""

    def bodies(measured: PairM) -> list[Body]:
        pair = measured.pair
        same = {name: getattr(measured, name) for name in ("counters", "datasets", "replays")}
        reference = pair.reference.run_id if pair.reference else None
        return [
            timing(baseline=pair.baseline_name, samples=measured.samples, runtime=measured.runtime),
            closure.model_validate({"reference": reference, **same, **own(measured)}),
        ]

    return bodies


def pair_sections(measured: PairMeasured) -> list[Section]:
    """Both sides' medians, what was compared, replays."""
    return [
        Section(
            f"Runtime against {measured.pair.baseline_name}",
            ("state", "before", "now", "less", "verdict"),
            [
                (
                    line.state,
                    _seconds(line.baseline_s, line.baseline_runs),
                    _seconds(line.candidate_s, line.candidate_runs),
                    "–" if line.reduction is None else f"{line.reduction:+.1%}",
                    line.verdict.replace("_", " "),
                )
                for line in measured.runtime
            ],
        ),
        frame_section("Structure", measured.structure),
        Section(
            "Replays",
            ("run", "library", "differs"),
            [(line.run_id, line.library_version, "; ".join(line.differs) or "nothing") for line in measured.replays],
        ),
    ]


def _seconds(value: float | None, runs: int) -> str:
    return "–" if value is None else f"{value:.3f} s (n = {runs})"


def pair_next_steps(pair: Pair, opens: Decision, items: Sequence[DodItem]) -> NextSteps:
    """The phase that is open now; or, where an item is red, how to measure again after the change."""
    opened = next_phase(_OPENED[opens], "performance", pair.run)
    return go_on(items, opened, " and ".join(SUBJECTS[pair.phase]), repeated(pair.run))
