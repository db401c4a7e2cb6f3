"""P0: what is wrong with the baseline, by how much, and who owns it?

Red gates are what P0 is for: it opens P1 as soon as the picture is complete, however bad it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import polars as pl

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Decision, Verdict
from segment5b_lib.gates import scoring
from segment5b_lib.gates.gate import Group
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import GATES, SCORED_DATASETS, gates_of
from segment5b_lib.gates.wording import value_text
from segment5b_lib.phases.engine.envelope import Body, DodItem, Node
from segment5b_lib.phases.engine.page import Section, frame_section, gate_section
from segment5b_lib.phases.engine.parameters import PhaseParameters
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, Subject, item
from segment5b_lib.phases.engine.repair import next_steps, runnable
from segment5b_lib.phases.p0_figures import FigureLine, PublishedFigures, figure_lines, figures_frame, verdict_counts
from segment5b_lib.phases.p0_measures import MEASURED_ON
from segment5b_lib.phases.shared_items import chain_complete
from segment5b_lib.store.attachments import OWN_POLICIES
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import rows_of

AXES: Final[dict[str, tuple[str, ...]]] = {"DST": gates_of(Group.LOCAL_TIME, Group.CLOCK)} | {
    group.value: gates_of(group)
    for group in (Group.CONCENTRATION, Group.VIRTUAL_SHARE, Group.CONSERVATION, Group.RHYTHM, Group.AUDIT)
}
"""The plan's four axes and the gates that decide each; T8 and T9 come from the remediation report."""

EARLIER_BOUNDS: Final = (("T1", "b", 0.0020), ("T1", "bplus", 0.0005), ("T3", "bplus", 0.8))
"""Upper bounds that stood in the remediation report before the plan; context, never a verdict."""


class ContextLine(Node):
    """A figure that the reader may know from elsewhere, next to the measured one."""

    gate_id: str
    level: Literal["b", "bplus"]
    max: float
    value: float | None
    unit: str
    within: bool | None
    source: str


class AxisLine(Node):
    """One axis of realism: does it hold, and who owns what does not."""

    axis: str
    stands: Literal["holds", "fails", "undecided"]
    gates: dict[str, Verdict]
    owners: list[str]


class OwnerLine(Node):
    """One failed gate: its only primary owner, and the smallest rerun that can fix it."""

    gate_id: str
    axis: str
    owner: str
    cause: str
    upstream: str
    rerun: list[str]
    command: str


class RealismGateboard(Body, artefact="p0_realism_gateboard"):
    """Every gate of the baseline, with the earlier figures as context."""

    context: list[ContextLine]


class OwnerStateMatrix(Body, artefact="p0_owner_state_matrix"):
    """What is wrong, on which axis, and who owns it."""

    axes: list[AxisLine]
    owners: list[OwnerLine]


@dataclass(frozen=True, kw_only=True)
class P0Measured(Measured):
    """The picture of a run.

    Attributes
    ----------
    arrivals_written : rows in the footers of the arrivals' files
    figures : every published figure with the run's own
    """

    run: Run
    arrivals_written: int
    figures: tuple[FigureLine, ...]

    @cached_property
    def context(self) -> list[ContextLine]:
        """Bounds from before the plan: context, never a verdict."""
        return [
            ContextLine(
                gate_id=gate_id,
                level="b" if level == "b" else "bplus",
                max=bound,
                value=result.value,
                unit=result.unit,
                within=None if result.value is None else result.value <= bound,
                source="remediation report, before the plan",
            )
            for gate_id, level, bound in EARLIER_BOUNDS
            for result in [self.scorecard.result(gate_id)]
        ]

    @cached_property
    def axes(self) -> list[AxisLine]:
        """How each axis of realism stands."""
        return [
            _axis(axis, [result for result in self.scorecard.results if result.gate_id in gates], self.scorecard)
            for axis, gates in AXES.items()
        ]

    @cached_property
    def owners(self) -> list[OwnerLine]:
        """Every failed gate with its owner."""
        return [
            OwnerLine(
                gate_id=attribution.gate_id,
                axis=attribution.axis,
                owner=attribution.owner,
                cause=attribution.cause,
                upstream=attribution.upstream,
                rerun=list(attribution.rerun),
                command=runnable(attribution, self.scorecard).text,
            )
            for attribution in self.scorecard.attributions
        ]

    @cached_property
    def earlier_bounds(self) -> pl.DataFrame:
        """`context` as texts."""
        stands = {True: "within", False: "outside", None: "not measured"}
        rows = [
            (
                c.gate_id,
                c.level,
                f"≤ {value_text(c.max, c.unit)}",
                value_text(c.value, c.unit),
                stands[c.within],
                c.source,
            )
            for c in self.context
        ]
        return pl.DataFrame(rows, ("gate", "level", "bound", "value", "stands", "source"), orient="row")

    @cached_property
    def published_figures(self) -> pl.DataFrame:
        """`figures` as texts; what lies outside is shown, and decides nothing."""
        return figures_frame(self.figures)


def _axis(axis: str, results: Sequence[GateResult], scorecard: Scorecard) -> AxisLine:
    owners = {attribution.owner for result in results if (attribution := scorecard.owner(result.gate_id))}
    failed = any(result.verdict is Verdict.FAIL for result in results)
    decided = bool(results) and all(result.passed or result.verdict is Verdict.NOT_APPLICABLE for result in results)
    return AxisLine(
        axis=axis,
        stands="fails" if failed else "holds" if decided else "undecided",
        gates={result.gate_id: result.verdict for result in results},
        owners=sorted(owners),
    )


def measure(subject: Subject[PhaseParameters]) -> P0Measured:
    """Score the run and measure every published figure."""
    return measured_on(subject.run, scoring.scorecard(subject.run))


def measured_on(run: Run, scorecard: Scorecard) -> P0Measured:
    """The picture of a scored run."""
    written = sum(
        rows_of(run.files("arrival_events_5B", scenario_id), dataset("arrival_events_5B"))
        for scenario_id in run.scenarios
    )
    figures = tuple(figure_lines(scorecard))
    return P0Measured(scorecards=(scorecard,), run=run, arrivals_written=written, figures=figures)


def items(measured: P0Measured) -> list[DodItem]:
    """The picture is complete, and every failure has one owner."""
    return [
        chain_complete("P0.1", [measured.run]),
        _scored(measured.scorecard),
        _full_scan(measured),
        _provenance(measured.run, measured.scorecard),
        _owners(measured.scorecard),
        _axes(measured.axes),
        _figures(measured.figures),
    ]


def conclude(measured: P0Measured, items: Sequence[DodItem]) -> Conclusion:
    """What fails is the reason; what to do about it is the next step."""
    rows = measured.scorecard.frame().to_dicts()
    failed = [
        f"{row['gate']} {row['title']}: {row['value']}, B is {row['b']}; owner {row['owner']}: {row['cause']}"
        for row in rows
        if row["verdict"] == Verdict.FAIL
    ]
    complete = f"the picture is complete: {len(rows)} gates measured, {len(failed)} fail"
    return Conclusion(Decision.UNLOCK_P1, [complete, *failed], next_steps=next_steps(measured.scorecard))


def bodies(measured: P0Measured) -> list[Body]:
    """The gateboard, the owners, the published figures."""
    return [
        RealismGateboard(context=measured.context),
        OwnerStateMatrix(axes=measured.axes, owners=measured.owners),
        PublishedFigures(figures=list(measured.figures)),
    ]


def sections(measured: P0Measured) -> list[Section]:
    """The page's tables in reading order."""
    axes = [(line.axis, line.stands, ", ".join(line.gates), ", ".join(line.owners)) for line in measured.axes]
    owners = [
        (line.gate_id, line.owner, line.cause, " ".join(line.rerun), f"`{line.command}`") for line in measured.owners
    ]
    return [
        gate_section(measured.scorecard),
        frame_section("Earlier figures, for context only", measured.earlier_bounds),
        Section("Axes", ("axis", "stands", "gates", "owners"), axes),
        Section("Owners of what fails", ("gate", "owner", "cause", "smallest rerun", "command"), owners),
    ]


def _scored(scorecard: Scorecard) -> DodItem:
    results = {result.gate_id: result for result in scorecard.results}
    problems = [f"{entry.gate_id}: no result" for entry in GATES if entry.gate_id not in results]
    problems += [
        f"{result.gate_id}: not measured ({result.reason})"
        for result in scorecard.results
        if result.verdict is Verdict.NOT_MEASURED
    ]
    failed = sum(result.verdict is Verdict.FAIL for result in scorecard.results)
    undecided = [r.gate_id for r in scorecard.results if r.verdict is Verdict.INSUFFICIENT_POWER]
    evidence = f"{len(results)} gates measured, {failed} of them fail"
    if undecided:
        evidence += f"; too little data to decide {', '.join(undecided)}"
    return item("P0.2", "every gate of the scorecard is measured", problems, evidence)


def _full_scan(measured: P0Measured) -> DodItem:
    """The scan's count of arrivals against the row counts in the files' footers."""
    written, scanned = measured.arrivals_written, measured.scorecard.result("T1").population
    problems = [] if scanned == written else [f"{scanned} arrivals scanned, {written} written"]
    text = "the gates saw every arrival, not a sample"
    return item("P0.3", text, problems, f"{written:,} arrivals written, as many scanned")


def _provenance(run: Run, scorecard: Scorecard) -> DodItem:
    """Each threshold must be the number that stands in the run's policy under the key it names."""
    problems = [
        f"{result.gate_id}: {threshold.policy_key} is not {threshold.value}"
        for result in scorecard.results
        for threshold in result.thresholds
        if run.policies.at("validation", threshold.policy_key, None) != threshold.value
    ]
    problems += [f"{result.gate_id}: no threshold" for result in scorecard.results if not result.thresholds]
    count = sum(len(result.thresholds) for result in scorecard.results)
    lent = run.attachment.judged_by if run.attachment else OWN_POLICIES
    which = "that the run was made with" if lent == OWN_POLICIES else f"of posture {lent}, lent to an attached run"
    text = f"every threshold comes from the policy {which}"
    return item("P0.4", text, problems, f"{count} thresholds found under the keys that they name")


def _owners(scorecard: Scorecard) -> DodItem:
    failed = [result.gate_id for result in scorecard.results if result.verdict is Verdict.FAIL]
    owned = [attribution.gate_id for attribution in scorecard.attributions]
    problems = [f"{name}: {owned.count(name)} owners" for name in failed if owned.count(name) != 1]
    owners = sorted({attribution.owner for attribution in scorecard.attributions})
    evidence = f"{len(failed)} failing gates, owners: {', '.join(owners) or 'none needed'}"
    return item("P0.5", "every failing gate has exactly one owner", problems, evidence)


def _axes(lines: Sequence[AxisLine]) -> DodItem:
    """An axis is attributed when something on it was measured and what fails has an owner."""
    problems = [
        f"{line.axis}: nothing measured"
        for line in lines
        if all(verdict is Verdict.NOT_MEASURED for verdict in line.gates.values())
    ]
    problems += [f"{line.axis}: fails without an owner" for line in lines if line.stands == "fails" and not line.owners]
    evidence = "; ".join(
        f"{line.axis} {line.stands}" + (f" ({', '.join(line.owners)})" if line.owners else "") for line in lines
    )
    return item("P0.6", "every axis is attributed to its owner", problems, evidence)


def _figures(lines: Sequence[FigureLine]) -> DodItem:
    """What lies outside is for people to judge; what could be measured and was not keeps the picture incomplete."""
    problems = [f"{line.title}: {line.reason}" for line in lines if line.ours is None and line.population != 0]
    counts = verdict_counts(lines)
    evidence = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in counts.items())
    return item("P0.7", "every published figure stands next to the measured one", problems, evidence)


PHASE: Final = Phase(
    name="P0",
    question="What is wrong with this run, by how much, and who owns it?",
    notebook="p0_realism_baseline",
    after=("POPT.5",),
    hold=Decision.HOLD_P0_REOPEN,
    parameters=PhaseParameters,
    artefacts=(RealismGateboard, OwnerStateMatrix, PublishedFigures),
    pages=(RealismGateboard.ARTEFACT,),
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    sections=sections,
    evidence={*SCORED_DATASETS, *MEASURED_ON},
)
