"""T5: a physical arrival has a site and no edge, a virtual one an edge and no site.

Value: number of arrivals of which that is not true, or that do not say which they are; population: all arrivals.
Source: plan §3.1.

Thresholds: validation_policy_5B.yaml, gates.T5.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.verdicts import Measurement
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group

_BROKEN = (pl.col("has_site") == pl.col("is_virtual")) | (pl.col("has_edge") != pl.col("is_virtual"))


def measure(evidence: Evidence) -> Measurement:
    total = evidence.arrivals
    broken = evidence.census.filter(_BROKEN.fill_null(True))
    kinds = (
        broken.group_by("is_virtual", "has_site", "has_edge")
        .agg(pl.col("arrivals").sum())
        .sort("is_virtual", "has_site", "has_edge")
    )
    return Measurement(float(broken["arrivals"].sum()), total, "arrivals", {"kinds": kinds.to_dicts()})


GATES: Final = (
    Gate(
        gate_id="T5",
        title="Physical and virtual nullability",
        unit="rows",
        formula="arrivals that are not (physical: site, no edge) and not (virtual: edge, no site)",
        evidence=(ARRIVALS,),
        owner="S4",
        cause="routing fills the wrong one of site and edge",
        group=Group.CONSERVATION,
        measure=measure,
    ),
)
