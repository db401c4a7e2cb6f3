"""The published figures as data, how each is judged, and the artefact that shows them beside ours."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from segment5b_lib.contract.words import ItemStatus
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.phases import p0, p0_figures
from segment5b_lib.phases.engine.attempts import read_artefact
from segment5b_lib.phases.engine.envelope import artefact_model, artefact_schema
from segment5b_lib.phases.p0_figures import (
    PublishedFigure,
    PublishedFigures,
    Tolerance,
    figure_lines,
    figures_frame,
    published_report,
    verdict_counts,
)
from segment5b_lib.phases.p0_measures import FigureMeasurement, measure_figures
from segment5b_lib.store.runs import Run
from tests.phases.execute import artefacts, execute

FIGURES = published_report().figures
TABLE = """
s2_rows 35700480 exact · s3_rows 35700480 exact · series 16528 exact
row_keys 29913840 relative 0.02 · series_keys 13849 relative 0.02
components_1 11883 relative 0.15 · components_2 1468 relative 0.15 · components_3 358 relative 0.15
components_4 91 relative 0.15 · components_5 23 relative 0.15 · components_6 26 relative 0.15
merchants 886 exact · sites 23989 exact · edges 5000 exact · zones 139 exact
arrivals 124724153 relative 0.01
t1 0.0264 absolute 0.003 · t2 0.0264 absolute 0.003 · one_hour_ahead 0 absolute 0.003
t6 0.7519 absolute 0.015 · t6_row_zone 0.7519 absolute 0.015 · top_10_percent_of_zones 0.8130 absolute 0.015
t7 0.022466 absolute 0.003 · hybrid_share 0 absolute 0.003
t9 1.40 absolute 0.05 · zero_rate 0.8897 absolute 0.02
factor_mean 0.997 absolute 0.02 · factor_p50 0.962 absolute 0.02 · factor_p90 1.357 absolute 0.02
factor_p99 1.807 absolute 0.02 · factor_lag_1 0.96 absolute 0.02
merchant_median 58385 relative 0.15 · merchant_p90 215799 relative 0.15 · merchant_p99 1543702 relative 0.15
merchant_max 16954915 relative 0.15 · merchant_top_1 0.2880 absolute 0.02 · merchant_top_5 0.4946 absolute 0.02
site_gini 0.384 absolute 0.05 · edge_gini 0.605 absolute 0.05
physical_peak_hour 12 hours 1 · physical_hours_09-17 0.5805 absolute 0.03
physical_hours_18-23 0.2480 absolute 0.03 · physical_hours_00-05 0.0907 absolute 0.03
virtual_peak_hour 21 hours 2 · virtual_hours_09-17 0.3234 absolute 0.05
virtual_hours_18-23 0.3048 absolute 0.05 · virtual_hours_00-05 0.2675 absolute 0.05
weekend_expected 0.28617 absolute 0.01 · weekend_observed 0.28653 absolute 0.01
"""
"""The design's table, typed a second time."""


@pytest.fixture(scope="module")
def scorecard(published_run: Run) -> Scorecard:
    return score(published_run)


def test_the_data_are_the_designs_table() -> None:
    numbers = {}
    for entry in re.split(r"·|\n", TABLE.strip()):
        figure_id, value, kind, *amount = entry.split()
        numbers[figure_id] = (float(value), kind, float(amount[0]) if amount else 0.0)
    found = {
        figure.figure_id: (figure.published, figure.tolerance.kind, figure.tolerance.amount)
        for figure in FIGURES
        if not isinstance(figure.published, tuple)
    }
    assert found == numbers
    names = {figure.figure_id: figure.published for figure in FIGURES if isinstance(figure.published, tuple)}
    assert names == {
        "largest_zones": ("Europe/London", "Europe/Berlin", "Europe/Paris"),
        "zones_ahead": ("Africa/Casablanca", "Africa/El_Aaiun"),
    }


def test_every_figure_is_measured_and_nothing_else(scorecard: Scorecard) -> None:
    found = measure_figures(scorecard)
    assert set(found) == {figure.figure_id for figure in FIGURES}
    assert all(ours.value is not None and ours.population is not None for ours in found.values())
    assert len({figure.figure_id for figure in FIGURES}) == len(FIGURES)


def test_gate_figures_are_the_gates_values(scorecard: Scorecard) -> None:
    lines = {line.figure_id: line for line in figure_lines(scorecard)}
    for gate_id in ("T1", "T2", "T6", "T7", "T9"):
        result = scorecard.result(gate_id)
        assert lines[gate_id.lower()].ours == pytest.approx(result.value, rel=1e-8)
        assert lines[gate_id.lower()].population == result.population


def test_sizes_compare_at_the_published_scale_only(scorecard: Scorecard) -> None:
    lines = {line.figure_id: line for line in figure_lines(scorecard)}
    for figure in FIGURES:
        line = lines[figure.figure_id]
        assert (line.verdict == "not_comparable") == figure.depends_on_size
        assert ("tiny" in line.reason and "authority" in line.reason) == figure.depends_on_size
    assert lines["arrivals"].ours == scorecard.evidence.arrivals
    assert lines["series"].verdict == "not_comparable"
    assert sum(verdict_counts(list(lines.values())).values()) == len(FIGURES)


def figure(published: float | tuple[str, ...], kind: Any, amount: float = 0.0) -> PublishedFigure:
    return PublishedFigure(
        figure_id="x",
        title="x",
        unit="1",
        published=published,
        tolerance=Tolerance(kind=kind, amount=amount),
        population_unit="things",
        measured="by hand",
    )


@pytest.mark.parametrize(
    ("entry", "value", "factor", "verdict", "difference"),
    [
        (figure(10, "exact"), 10.0, 1.0, "within", 0.0),
        (figure(10, "exact"), 11.0, 2.0, "outside", 1.0),
        (figure(100, "relative", 0.15), 115.0, 1.0, "within", 0.15),
        (figure(100, "relative", 0.15), 116.0, 1.0, "outside", 0.16),
        (figure(100, "relative", 0.15), 116.0, 2.0, "within", 0.16),
        (figure(0.5, "absolute", 0.02), 0.48, 1.0, "within", -0.02),
        (figure(0.5, "absolute", 0.02), 0.47, 1.0, "outside", -0.03),
        (figure(23, "hours", 2), 1.0, 1.0, "within", 2.0),
        (figure(1, "hours", 2), 22.0, 1.0, "outside", -3.0),
        (figure(("A", "B"), "order"), ("A", "B"), 1.0, "within", None),
        (figure(("A", "B"), "order"), ("B", "A"), 1.0, "outside", None),
        (figure(("A", "B"), "among"), ("B",), 1.0, "within", None),
        (figure(("A", "B"), "among"), ("B", "C"), 1.0, "outside", None),
        (figure(10, "exact"), None, 1.0, "not_comparable", None),
    ],
)
def test_verdicts_by_hand(
    entry: PublishedFigure, value: Any, factor: float, verdict: str, difference: float | None
) -> None:
    line = p0_figures._line(entry, FigureMeasurement(value, 7), "", factor)
    assert line.verdict == verdict
    assert line.difference == (None if difference is None else pytest.approx(difference))
    assert bool(line.reason) == (verdict == "not_comparable")


def test_another_seed_has_twice_the_tolerance(scorecard: Scorecard, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {line.tolerance.factor for line in figure_lines(scorecard)} == {1.0}
    run = scorecard.evidence.run
    ones = {entry.figure_id: FigureMeasurement(1.0, 1) for entry in FIGURES}
    monkeypatch.setattr(p0_figures, "measure_figures", lambda _: ones)
    monkeypatch.setitem(run.__dict__, "receipt", run.receipt.model_copy(update={"seed": 43}))
    assert {line.tolerance.factor for line in figure_lines(scorecard)} == {2.0}


def test_the_artefact_fits_its_schema_and_says_the_same(released_run: Run) -> None:
    phase = execute("P0", released_run)
    document = read_artefact("p0", released_run.run_id, "p0_published_figures")
    jsonschema.Draft202012Validator.check_schema(artefact_schema(PublishedFigures))
    jsonschema.validate(document, artefact_schema(PublishedFigures))
    assert artefacts(phase)[2].name == f"segment5b_p0_published_figures_{released_run.run_id}.json"
    assert [line["figure_id"] for line in document["figures"]] == [entry.figure_id for entry in FIGURES]
    assert [list(artefact_model(PublishedFigures).model_validate(document).figures)] == [figure_lines(phase.scorecard)]
    inputs = [entry["path"] for entry in document["inputs"]]
    for needed in ("s1_grouping", "arrival_summary", "s2_realised_intensity", "virtual_classification"):
        assert any(needed in path for path in inputs), needed


def test_the_notebooks_table_is_words(scorecard: Scorecard) -> None:
    frame = figures_frame(figure_lines(scorecard))
    rows = {row["figure"]: row for row in frame.iter_rows(named=True)}
    assert frame.height == len(FIGURES)
    assert rows["arrivals"]["published"] == "124,724,153" and rows["arrivals"]["within"] == "± 1.0%"
    assert rows["T7 virtual share"]["published"] == "2.25%" and rows["T7 virtual share"]["within"] == "± 0.30 pp"
    assert rows["largest zones"]["published"] == "Europe/London, Europe/Berlin, Europe/Paris"
    assert rows["series"]["verdict"] == "not comparable"


def test_what_is_not_measured_keeps_the_picture_incomplete(published_run: Run, scorecard: Scorecard) -> None:
    def status(card: Scorecard) -> ItemStatus:
        return {item.id: item.status for item in p0.items(p0.measured_on(published_run, card))}["P0.7"]

    assert status(scorecard) is ItemStatus.GREEN
    results = tuple(
        replace(result, value=None, population=None) if result.gate_id == "T9" else result
        for result in scorecard.results
    )
    assert status(replace(scorecard, results=results)) is ItemStatus.RED


def test_a_run_without_virtual_arrivals_has_nothing_to_compare_there(
    published_run: Run, scorecard: Scorecard, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = scorecard.evidence
    monkeypatch.setitem(evidence.__dict__, "census", evidence.census.filter(~evidence.census["is_virtual"]))
    monkeypatch.setitem(evidence.__dict__, "places", evidence.places.filter(evidence.places["edge_id"].is_null()))
    lines = {line.figure_id: line for line in figure_lines(scorecard)}
    for figure_id in ("edge_gini", "virtual_peak_hour", "virtual_hours_18-23"):
        assert lines[figure_id].verdict == "not_comparable" and "not measured" in lines[figure_id].reason
    statuses = {item.id: item.status for item in p0.items(p0.measured_on(published_run, scorecard))}
    assert statuses["P0.7"] is ItemStatus.GREEN
