"""A4: sites and edges are picked by their exact weights.

Value: p-value of the chi-square test of the arrivals per site and per edge against weight × total of their group.
A site's group is what its pool is: merchant, country and zone under `row_zone`, merchant and zone under
`group_weights`; an edge's is its merchant. Cells that expect fewer than `min_expected` are pooled within the group;
df = Σ(cells − 1). Full population. An arrival at a place that is not its merchant's, or has no
weight, fails the gate.

Thresholds: validation_policy_5B.yaml, gates.A4.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
import scipy

from segment5b_lib.contract.upstream import SITE_KEY
from segment5b_lib.contract.verdicts import Measurement, without_power
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group

_LISTED = 10


def measure(evidence: Evidence) -> Measurement:
    least = evidence.policy.audit.min_expected
    tables = {"sites": _sites(evidence), "edges": _edges(evidence)}
    cells = {kind: pooled_cells(table, least) for kind, table in tables.items()}
    groups = pl.concat([_by_group(table) for table in cells.values()])
    df, statistic = int(groups["df"].sum()), float(groups["chi_square"].sum())
    arrivals = sum(int(table["arrivals"].sum()) for table in tables.values())
    listed = sum(int(counted.overflow.places["arrivals"].sum()) for counted in evidence.tallies.values())
    weightless = sum(int(table.filter(pl.col("weight") <= 0)["arrivals"].sum()) for table in tables.values())
    detail = {
        "chi_square": statistic,
        "degrees_of_freedom": df,
        "cells": {kind: table.height for kind, table in cells.items()},
        "arrivals_at_foreign_places": listed,
        "arrivals_at_places_without_weight": weightless,
        "worst_groups": groups.sort("chi_square", descending=True).head(_LISTED).to_dicts(),
    }
    if listed or weightless:
        reason = f"{listed + weightless:,} arrivals have no place, one of another merchant, or one without weight"
        return Measurement(None, arrivals, "arrivals", detail, Verdict.FAIL, reason)
    if df == 0:
        needed = f"a group of two places that expect {least:g} arrivals each"
        return without_power(None, arrivals, "arrivals", detail, needed)
    return Measurement(float(scipy.special.chdtrc(df, statistic)), arrivals, "arrivals", detail)


def _sites(evidence: Evidence) -> pl.DataFrame:
    """group, weight, arrivals of every site."""
    bound_to_row = evidence.run.policies.routing.bound_to_row
    group = ("merchant_id", "legal_country_iso", "tzid") if bound_to_row else ("merchant_id", "tzid")
    arrivals = np.sum([counted.tally.sites for counted in evidence.tallies.values()], axis=0)
    counted = evidence.sites.with_columns(arrivals=pl.Series(arrivals))
    weighted = counted.join(evidence.site_weights, on=SITE_KEY, how="left", maintain_order="left")
    return weighted.select(
        pl.concat_str(group, separator=" ").alias("group"), pl.col("weight").fill_null(0.0), "arrivals"
    )


def _edges(evidence: Evidence) -> pl.DataFrame:
    arrivals = np.sum([counted.tally.edges for counted in evidence.tallies.values()], axis=0)
    counted = evidence.edges.with_columns(arrivals=pl.Series(arrivals))
    return counted.select(pl.col("merchant_id").cast(pl.String).alias("group"), "weight", "arrivals")


def pooled_cells(places: pl.DataFrame, least: float) -> pl.DataFrame:
    """The cells of a chi-square test: group, cell, expected, arrivals.

    `places` has group, weight, arrivals; groups without arrivals and places without weight are left out. Cells that
    expect fewer than `least` are one cell of their group, joined by the next larger one if that still expects fewer.
    """
    total, weight = pl.col("arrivals").sum().over("group"), pl.col("weight").sum().over("group")
    drawn = places.filter((total > 0) & (pl.col("weight") > 0))
    expected = drawn.with_columns(expected=total * pl.col("weight") / weight)
    ordered = expected.sort("group", "expected").with_columns(small=pl.col("expected") < least)
    pooled = pl.col("expected").filter("small").sum().over("group")
    position = pl.int_range(pl.len()).over("group")
    next_larger = position == pl.col("small").sum().over("group")
    joins = pl.col("small") | (next_larger & (pooled > 0) & (pooled < least))
    return (
        ordered.with_columns(cell=pl.when(joins).then(-1).otherwise(position))
        .group_by("group", "cell", maintain_order=True)
        .agg(pl.col("expected", "arrivals").sum())
    )


def _by_group(cells: pl.DataFrame) -> pl.DataFrame:
    distance = (pl.col("arrivals") - pl.col("expected")) ** 2 / pl.col("expected")
    return cells.group_by("group", maintain_order=True).agg(df=pl.len().cast(pl.Int64) - 1, chi_square=distance.sum())


GATES: Final = (
    Gate(
        gate_id="A4",
        title="Routing law",
        unit="p",
        formula="chi-square of arrivals per site and edge against exact weights, given the totals of their groups",
        evidence=("site_timezones", "s1_site_weights", "edge_catalogue_3B", ARRIVALS),
        owner="S4 routing",
        group=Group.AUDIT,
        measure=measure,
        power="no group has two places that expect min_expected arrivals",
    ),
)
