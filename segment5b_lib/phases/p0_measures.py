"""How each published figure is measured on a run: a value and the number of things it is about, from its evidence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import polars as pl

from segment5b_lib import views
from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.units import HOUR_S
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.model.statistics import TOP_ZONES
from segment5b_lib.store.scan import rows_of
from segment5b_lib.views.inequality import arrivals_by, gini
from segment5b_lib.views.rhythm import HOUR_RANGES

MEASURED_ON: Final = (
    "s1_time_grid_5B",
    "s1_grouping_5B",
    "s2_realised_intensity_5B",
    "s3_bucket_counts_5B",
    "s4_arrival_summary_5B",
    "arrival_events_5B",
    "virtual_classification_3B",
)
"""Datasets that figures are measured on, besides those of the gates."""
_LEADERS: Final = 3


class FigureMeasurement(NamedTuple):
    """What was measured; `value` is None where it could not be."""

    value: float | tuple[str, ...] | None
    population: int | None


def measure_figures(scorecard: Scorecard) -> dict[str, FigureMeasurement]:
    """Every figure of the published report, by its id."""
    evidence = scorecard.evidence
    groups = (
        _sizes(evidence),
        _keys(evidence),
        _in_use(evidence),
        _gates(scorecard),
        _clock(evidence),
        _zones(scorecard),
        _hybrid(evidence),
        _latent(evidence),
        _merchants(evidence),
        _hours(evidence),
    )
    return {figure_id: measurement for group in groups for figure_id, measurement in group}


_Measurements = Iterator[tuple[str, FigureMeasurement]]


def _size(figure_id: str, count: int) -> tuple[str, FigureMeasurement]:
    return figure_id, FigureMeasurement(float(count), count)


def _sizes(evidence: Evidence) -> _Measurements:
    run, names = evidence.run, [horizon.scenario_id for horizon in evidence.horizons]
    for figure_id, dataset_id in (("s2_rows", "s2_realised_intensity_5B"), ("s3_rows", "s3_bucket_counts_5B")):
        files = [path for name in names for path in run.files(dataset_id, name)]
        yield _size(figure_id, rows_of(files, dataset(dataset_id)))
    yield _size("series", sum(run.table("s1_grouping_5B", ["series_id"], name).num_rows for name in names))
    yield _size("arrivals", evidence.arrivals)
    yield "zero_rate", FigureMeasurement(views.zero_rate(evidence), int(evidence.merchant_counts["rows"].sum()))


def _keys(evidence: Evidence) -> _Measurements:
    frame = views.component_multiplicity(evidence)
    yield _size("row_keys", int(frame["row_keys"].sum()))
    yield _size("series_keys", int(frame["series_keys"].sum()))
    by_number = dict(frame.select("components", "series_keys").iter_rows())
    for number in range(1, 7):
        yield _size(f"components_{number}", by_number.get(number, 0))


def _in_use(evidence: Evidence) -> _Measurements:
    for kind in ("merchants", "sites", "edges", "zones"):
        yield _size(kind, len(arrivals_by(evidence, kind)))
    for figure_id, kind in (("site_gini", "sites"), ("edge_gini", "edges")):
        arrivals = arrivals_by(evidence, kind)
        yield figure_id, FigureMeasurement(gini(arrivals), len(arrivals))


def _gates(scorecard: Scorecard) -> _Measurements:
    for gate_id in ("T1", "T2", "T6", "T7", "T9"):
        result = scorecard.result(gate_id)
        yield gate_id.lower(), FigureMeasurement(result.value, result.population)
    weekend = scorecard.result("T8")
    for basis in ("expected", "observed"):
        yield f"weekend_{basis}", FigureMeasurement(weekend.detail.get(basis), weekend.population)


def _clock(evidence: Evidence) -> _Measurements:
    ahead = evidence.census.filter(pl.col("error_seconds") == HOUR_S)
    share = int(ahead["arrivals"].sum()) / evidence.arrivals if evidence.arrivals else None
    yield "one_hour_ahead", FigureMeasurement(share, evidence.arrivals)
    names = ahead["tzid"].drop_nulls().unique().sort().to_list()
    yield "zones_ahead", FigureMeasurement(tuple(names), len(names))


def _zones(scorecard: Scorecard) -> _Measurements:
    evidence = scorecard.evidence
    tenth = scorecard.result("T6").detail.get("top_10_percent_of_zones_share")
    yield "top_10_percent_of_zones", FigureMeasurement(tenth, evidence.arrivals)
    bound = views.row_zone_shares(evidence)
    top = float(bound["share"].head(TOP_ZONES).sum()) if bound.height else None
    yield "t6_row_zone", FigureMeasurement(top, int(bound["arrivals"].sum()))
    leaders = views.zone_shares(evidence).drop_nulls("tzid")["tzid"].head(_LEADERS)
    yield "largest_zones", FigureMeasurement(tuple(leaders.to_list()), evidence.arrivals)


def _hybrid(evidence: Evidence) -> _Measurements:
    modes = evidence.run.world.frame("virtual_classification_3B", ["merchant_id", "virtual_mode"]).filter(
        pl.col("virtual_mode") == VirtualMode.HYBRID.value
    )
    arrivals = evidence.places.join(modes, on="merchant_id", how="semi")["arrivals"].sum()
    share = int(arrivals) / evidence.arrivals if evidence.arrivals else None
    yield "hybrid_share", FigureMeasurement(share, evidence.arrivals)


def _latent(evidence: Evidence) -> _Measurements:
    names = ("factor_mean", "factor_p50", "factor_p90", "factor_p99", "factor_lag_1")
    rows = views.latent_factor(evidence).select("value", "population").iter_rows()
    for figure_id, (value, population) in zip(names, rows, strict=True):
        yield figure_id, FigureMeasurement(value, population)


def _merchants(evidence: Evidence) -> _Measurements:
    names = ("median", "p90", "p99", "max", "top_1", "top_5")
    merchants = len(arrivals_by(evidence, "merchants"))
    for name, value in zip(names, views.merchant_tail(evidence)["value"], strict=True):
        shared = name.startswith("top")
        yield f"merchant_{name}", FigureMeasurement(value, evidence.arrivals if shared else merchants)


def _hours(evidence: Evidence) -> _Measurements:
    stored = views.day_shares(evidence).filter(pl.col("basis") == "stored")
    rows = {row["kind"]: row for row in stored.iter_rows(named=True)}
    for kind in ("physical", "virtual"):
        row = rows.get(kind, {})
        population = row.get("arrivals", 0)
        for name in ("peak_hour", *(f"hours_{part}" for part in HOUR_RANGES)):
            yield f"{kind}_{name}", FigureMeasurement(row.get(name), population)
