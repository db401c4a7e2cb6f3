"""T6: how much of the whole the ten largest time zones hold.

Value: share of the ten largest tzid_primary, over all arrivals; in addition that of the largest tenth of the zones,
which is another number. Source: plan §3.1.

Thresholds: validation_policy_5B.yaml, gates.T6.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.verdicts import Measurement
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group
from segment5b_lib.model.statistics import top_share

_LISTED = 20


def measure(evidence: Evidence) -> Measurement:
    zones = zone_shares(evidence)
    tenth = max(1, -(-zones.height // 10))
    detail = {
        "zones": zones.height,
        "top_10_percent_of_zones": tenth,
        "top_10_percent_of_zones_share": top_share(zones["arrivals"], tenth),
        "largest": zones.head(_LISTED).to_dicts(),
    }
    return Measurement(top_share(zones["arrivals"]), evidence.arrivals, "arrivals", detail)


def zone_shares(evidence: Evidence) -> pl.DataFrame:
    """tzid, rank (1 is the largest; ties by name), arrivals, share, cumulative; one row per zone.

    Example: `views.zone_shares(evidence)`
    """
    return ranked_shares(evidence.census)


def ranked_shares(counts: pl.DataFrame) -> pl.DataFrame:
    """The columns of `zone_shares`, from a table of tzid and arrivals with any number of rows per zone."""
    zones = counts.group_by("tzid").agg(pl.col("arrivals").sum())
    ordered = zones.sort(["arrivals", "tzid"], descending=[True, False])
    share = pl.col("arrivals") / pl.col("arrivals").sum()
    return ordered.with_columns(rank=pl.int_range(1, pl.len() + 1), share=share, cumulative=share.cum_sum()).select(
        "tzid", "rank", "arrivals", "share", "cumulative"
    )


GATES: Final = (
    Gate(
        gate_id="T6",
        title="Zone concentration",
        unit="share",
        formula="arrivals in the ten largest tzid_primary",
        evidence=(ARRIVALS,),
        owner="S4 routing",
        group=Group.CONCENTRATION,
        measure=measure,
        watched_by_s5=True,
    ),
)
