"""Other copies of the time-zone database against the pinned one: the world's cache, and this machine's own.

The machine's compute no stored value.
"""

from __future__ import annotations

import polars as pl

from segment5b_lib.civil_time.drift import DriftLine, drift_line, machine_drift
from segment5b_lib.contract.units import DAY_S
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.t01_civil_time import WRONG
from segment5b_lib.views.zone_clock import span


def cache_shortfalls(scorecard: Scorecard) -> pl.DataFrame:
    """Active zones whose cached transitions differ from the database, most wrong arrivals first.

    Returns `tzid`, `problem`, `first_utc` (first wrong instant), `expected_minutes` and `cached_minutes`
    (offsets from UTC there), `arrivals` and `mismatches` (of the primary clock, by full scan).

    Example: `views.cache_shortfalls(scorecard)`
    """
    texts = dict.fromkeys(("tzid", "problem", "first_utc"), pl.String)
    schema = {**texts, "expected_minutes": pl.Int64, "cached_minutes": pl.Int64}
    short = pl.DataFrame(scorecard.result("T11").detail.get("shortfalls", []), schema=schema)
    counts = scorecard.evidence.census.group_by("tzid").agg(
        pl.col("arrivals").sum(), pl.col("arrivals").filter(WRONG).sum().alias("mismatches")
    )
    return (
        short.join(counts, on="tzid", how="left")
        .with_columns(pl.col("arrivals", "mismatches").fill_null(0))
        .sort(["mismatches", "tzid"], descending=[True, False])
    )


def drift_lines(evidence: Evidence) -> list[DriftLine]:
    """Every database of this machine except the pinned one, compared over the horizon of gate T11."""
    start, last = span(evidence)
    end = last + evidence.policy.civil_time.horizon_margin_days * DAY_S
    return [drift_line(drift, evidence.active_zones, start, end) for drift in machine_drift(end)]


def tz_databases(evidence: Evidence) -> pl.DataFrame:
    """The machine's other tz databases against the pinned one, as texts.

    Returns `database`, `release`, `zones in use that differ`, `all that differ`, `from` (first instant, UTC), `later`
    (zones that differ only after the horizon). `segment5b doctor` checks that a release explains every difference.

    Example: `views.tz_databases(evidence)`
    """
    active = len(evidence.active_zones)
    return pl.DataFrame(
        [
            {
                "database": f"{line.database} {line.version}".strip(),
                "release": line.release,
                "zones in use that differ": f"{line.in_use} of {active}",
                "all that differ": str(line.zones),
                "from": line.first_utc or "–",
                "later": f"{line.later} from {line.later_utc}" if line.later else "–",
            }
            for line in drift_lines(evidence)
        ]
    )
