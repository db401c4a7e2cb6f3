"""The published run's figures, which are data, and how a run's own figures are compared with them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import polars as pl
from pydantic import Field

from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.engine.envelope import Body, Node
from segment5b_lib.phases.p0_measures import FigureMeasurement, measure_figures
from segment5b_lib.store.documents import read_yaml, validated
from segment5b_lib.store.roots import parameters_folder

ToleranceKind = Literal["exact", "relative", "absolute", "hours", "order", "among"]
"""How a measurement is compared with the published value: equal; relative or absolute difference; difference on the
clock's circle of 24 hours; the same names in the same order; no other names than these."""
FigureVerdict = Literal["within", "outside", "not_comparable"]
_DIGITS: Final = 9
"""Beyond these, sums depend on the order in which threads added them up."""
_WHOLE: Final = 1_000
"""Numbers from here on are shown without decimals."""


class Tolerance(Node):
    """How far a figure may be from the published one. `amount` is a fraction for `relative`, else in its unit."""

    kind: ToleranceKind
    amount: float = 0.0


class PublishedFigure(Node):
    """One published figure.

    Attributes
    ----------
    figure_id, title, unit : what it is; a `share` is a fraction
    published : a number, or names
    tolerance : how far the measurement may be from it
    population_unit : what is counted, or measured over
    measured : how, in words
    depends_on_size : whether it depends on how large the world is, so that only one of the published scale compares
    """

    figure_id: str
    title: str
    unit: str
    published: float | tuple[str, ...]
    tolerance: Tolerance
    population_unit: str
    measured: str
    depends_on_size: bool = False


class PublishedReport(Node):
    """Everything that is known of the published run (`parameters/figures/published_report.yaml`)."""

    scale: str
    seed: int
    scenarios: tuple[str, ...]
    other_seeds_factor: float = Field(gt=0)
    figures: tuple[PublishedFigure, ...]


@lru_cache(maxsize=1)
def published_report() -> PublishedReport:
    """The figures as shipped."""
    path = parameters_folder() / "figures" / "published_report.yaml"
    return validated(PublishedReport, read_yaml(path), str(path))


class ToleranceLine(Node):
    """How far `ours` may be: the design's `amount` (a fraction where `kind` is relative), times `factor`."""

    kind: ToleranceKind
    amount: float
    factor: float


class FigureLine(Node):
    """One published figure and the run's. `difference` is `ours` minus `published`, relative where the tolerance is."""

    figure_id: str
    title: str
    unit: str
    published: float | list[str]
    ours: float | list[str] | None
    difference: float | None
    tolerance: ToleranceLine
    verdict: FigureVerdict
    reason: str
    population: int | None
    population_unit: str
    measured: str


class PublishedFigures(Body, artefact="p0_published_figures"):
    """Every published figure with the run's own."""

    figures: list[FigureLine]


def figure_lines(scorecard: Scorecard) -> list[FigureLine]:
    """Measure and judge every published figure; a figure that depends on size compares at the published scale only."""
    evidence, measured, report = scorecard.evidence, measure_figures(scorecard), published_report()
    size = _other_size(evidence, report)
    factor = 1.0 if evidence.run.receipt.seed == report.seed else report.other_seeds_factor
    return [_line(figure, measured[figure.figure_id], size, factor) for figure in report.figures]


def _other_size(evidence: Evidence, report: PublishedReport) -> str:
    """Why the world is not of the published size; empty where it is."""
    scale, scenarios = evidence.run.world.scale, tuple(horizon.scenario_id for horizon in evidence.horizons)
    if (scale, scenarios) == (report.scale, report.scenarios):
        return ""
    return (
        f"depends on the size of the world, which is {scale} with {', '.join(scenarios)} and "
        f"was {report.scale} with {', '.join(report.scenarios)}"
    )


def _line(figure: PublishedFigure, measurement: FigureMeasurement, size: str, factor: float) -> FigureLine:
    value = (
        float(f"{measurement.value:.{_DIGITS}g}") if isinstance(measurement.value, (int, float)) else measurement.value
    )
    reason = size if figure.depends_on_size else ""
    if value is None:
        reason = "not measured: there is nothing to measure it on"
    return FigureLine(
        figure_id=figure.figure_id,
        title=figure.title,
        unit=figure.unit,
        published=list(figure.published) if isinstance(figure.published, tuple) else figure.published,
        ours=list(value) if isinstance(value, tuple) else value,
        difference=_difference(figure, value),
        tolerance=ToleranceLine(kind=figure.tolerance.kind, amount=figure.tolerance.amount, factor=factor),
        verdict="not_comparable" if reason else "within" if _holds(figure, value, factor) else "outside",
        reason=reason,
        population=measurement.population,
        population_unit=figure.population_unit,
        measured=figure.measured,
    )


def _difference(figure: PublishedFigure, value: float | tuple[str, ...] | None) -> float | None:
    if isinstance(figure.published, tuple) or not isinstance(value, (int, float)):
        return None
    apart = value - figure.published
    if figure.tolerance.kind == "hours":
        apart = (apart + 12) % 24 - 12
    if figure.tolerance.kind == "relative":
        apart /= figure.published
    return float(f"{apart:.{_DIGITS}g}")


def _holds(figure: PublishedFigure, value: float | tuple[str, ...] | None, factor: float) -> bool:
    """Numbers by their difference, which must not exceed the tolerance; names by what the tolerance's kind says."""
    if isinstance(value, tuple) and isinstance(figure.published, tuple):
        return set(value) <= set(figure.published) if figure.tolerance.kind == "among" else value == figure.published
    difference = _difference(figure, value)
    return difference is not None and abs(difference) <= figure.tolerance.amount * factor


def verdict_counts(lines: Sequence[FigureLine]) -> dict[str, int]:
    """How many figures have which verdict."""
    verdicts = [line.verdict for line in lines]
    return {verdict: verdicts.count(verdict) for verdict in ("within", "outside", "not_comparable")}


def figures_frame(lines: Sequence[FigureLine]) -> pl.DataFrame:
    """The lines as texts: `figure`, `published`, `ours`, `difference`, `within`, `verdict`, `population`."""
    return pl.DataFrame([_texts(line) for line in lines])


def _texts(line: FigureLine) -> dict[str, str]:
    allowed = line.tolerance.amount * line.tolerance.factor
    relative = line.tolerance.kind == "relative"
    return {
        "figure": line.title,
        "published": _text(line.published, line.unit),
        "ours": _text(line.ours, line.unit),
        "difference": _apart(line.difference, line.unit, relative=relative),
        "within": f"± {_apart(allowed, line.unit, relative=relative).lstrip('+')}" if allowed else line.tolerance.kind,
        "verdict": line.verdict.replace("_", " "),
        "population": "" if line.population is None else f"{line.population:,} {line.population_unit}",
    }


def _text(value: float | list[str] | None, unit: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if unit == "share":
        return f"{value:.2%}"
    return f"{value:,.0f}" if float(value).is_integer() or value >= _WHOLE else f"{value:.3f}"


def _apart(value: float | None, unit: str, *, relative: bool) -> str:
    if value is None:
        return ""
    if relative:
        return f"{value:+.1%}"
    if unit == "share":
        return f"{100 * value:+.2f} pp"
    return f"{value:+,.0f}" if float(value).is_integer() else f"{value:+.3f}"
