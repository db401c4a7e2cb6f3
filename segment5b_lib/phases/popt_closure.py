"""What POPT.1, POPT.2 and POPT.3 have measured and leave behind: both sides' times, and what was compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

import polars as pl

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.phases.engine.envelope import Body, DodItem
from segment5b_lib.phases.engine.measured import Measured
from segment5b_lib.phases.engine.order import SUBJECTS
from segment5b_lib.phases.engine.page import Section, frame_section
from segment5b_lib.phases.engine.repair import NextSteps, next_phase, one_step
from segment5b_lib.phases.popt_items import ReplayLine
from segment5b_lib.phases.popt_pair import BASELINE, CANDIDATE, Pair, PairParameters, RuntimeLine, pair_of
from segment5b_lib.phases.popt_structure import CounterLine, DatasetLine
from segment5b_lib.phases.popt_timing import Timing, TimingLine, repeated
from segment5b_lib.store.runs import Run

T = TypeVar("T", bound="LaneTiming")
C = TypeVar("C", bound="PairClosure")

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
        return self.pair.samples()

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
        schema = {"state": pl.String, "role": pl.String, "run": pl.String, "seconds": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row").sort("state", maintain_order=True)

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
        schema = {"state": pl.String, "role": pl.String, "lane": pl.String, "seconds": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

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
        schema = {"state": pl.String, "role": pl.String, "what": pl.String, "rows": pl.Int64, "seconds": pl.Float64}
        rate = pl.col("rows") / pl.col("seconds")
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(rows_per_s=rate, ns_per_row=1e9 / rate)

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
        schema = {"what": pl.String, "before": pl.String, "now": pl.String, "equal": pl.Boolean}
        return pl.DataFrame(rows, schema=schema, orient="row")

    @property
    def _comparable(self) -> list[TimingLine]:
        return [line for line in self.samples if line.role == CANDIDATE or not self.pair.other_scale]

    def _published_lanes(self, line: TimingLine) -> dict[str, float]:
        base = self.pair.baseline
        return {} if line.role == CANDIDATE or isinstance(base, Timing) else base.lanes(self.pair.phase, line.name)


def pair_roles(phase: str, run: Run, parameters: PairParameters) -> dict[str, list[Run]]:
    """The other runs of the evidence: the baseline's, and those that replay the candidate."""
    return pair_of(phase, run, parameters.baseline).others


def lane_timing(kind: type[T], measured: PairMeasured) -> T:
    """The artefact of both sides' times."""
    return kind(baseline=measured.pair.baseline_name, samples=measured.samples, runtime=measured.runtime)


def pair_closure(kind: type[C], measured: PairMeasured, **own: Any) -> C:
    """The artefact of what was compared; `own` are further fields of its kind."""
    reference = measured.pair.reference
    return kind(
        reference=reference.run_id if reference else None,
        counters=measured.counters,
        datasets=measured.datasets,
        replays=measured.replays,
        **own,
    )


def pair_sections(measured: PairMeasured) -> list[Section]:
    """Both sides' medians, what was compared, replays."""
    return [
        Section(
            f"Runtime against {measured.pair.baseline_name}",
            ("state", "before", "now", "less", "verdict"),
            [_runtime_row(line) for line in measured.runtime],
        ),
        frame_section("Structure", measured.structure),
        Section(
            "Replays",
            ("run", "library", "differs"),
            [(line.run_id, line.library_version, "; ".join(line.differs) or "nothing") for line in measured.replays],
        ),
    ]


def _runtime_row(line: RuntimeLine) -> tuple[str, ...]:
    return (
        line.state,
        _seconds(line.baseline_s, line.baseline_runs),
        _seconds(line.candidate_s, line.candidate_runs),
        "–" if line.reduction is None else f"{line.reduction:+.1%}",
        line.verdict.replace("_", " "),
    )


def _seconds(value: float | None, runs: int) -> str:
    return "–" if value is None else f"{value:.3f} s (n = {runs})"


def pair_next_steps(pair: Pair, opens: Decision, items: Sequence[DodItem]) -> NextSteps:
    """The phase that is open now; or, where an item is red, how to measure again after the change."""
    red = [line.id for line in items if line.status is ItemStatus.RED]
    if not red:
        return next_phase(_OPENED[opens], "performance", pair.run)
    return one_step(" and ".join(SUBJECTS[pair.phase]), red, repeated(pair.run))
