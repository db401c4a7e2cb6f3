"""T5: a physical arrival has a site and no edge, a virtual one an edge and no site."""

from __future__ import annotations

import polars as pl

from segment5b_lib.gates.evidence import Evidence
from segment5b_lib.gates.results import Measurement, not_measured

_BROKEN = (pl.col("has_site") == pl.col("is_virtual")) | (pl.col("has_edge") != pl.col("is_virtual"))


def measure(evidence: Evidence) -> Measurement:
    """Number of arrivals that break the rule."""
    total = evidence.arrivals
    if total == 0:
        return not_measured("the run has no arrivals", "arrivals")
    broken = evidence.census.filter(_BROKEN.fill_null(True))
    kinds = (
        broken.group_by("is_virtual", "has_site", "has_edge")
        .agg(pl.col("arrivals").sum())
        .sort("is_virtual", "has_site", "has_edge")
    )
    return Measurement(float(broken["arrivals"].sum()), total, "arrivals", {"kinds": kinds.to_dicts()})
