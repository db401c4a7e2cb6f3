"""T1 if the transition cache ended in another year, and nothing else changed.

No draw depends on the cache: a run of a world whose 2A is reopened has the same arrivals at the same instants and
places, with other local times. So T1 under another cache is counted, not estimated: to the error of every arrival
the difference between the two caches' offsets at its instant is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.civil_time.cache import TzCache
from segment5b_lib.civil_time.oracle import known_zones
from segment5b_lib.civil_time.tzif import changes_within
from segment5b_lib.contract.verdicts import thresholds_of
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.views.clock_counts import ClockCounts
from segment5b_lib.views.zone_clock import span

_EARLIER: Final = 6
_LATER: Final = 2
"""Years before and after the horizon that the what-if offers."""
_MOVED: Final = """
WITH shift AS (SELECT unnest($1::BIGINT[]) AS year, unnest($2::VARCHAR[]) AS tzid, unnest($3::BIGINT[]) AS start,
                      unnest($4::BIGINT[]) AS stop, unnest($5::BIGINT[]) AS seconds)
SELECT year, (coalesce(sum(arrivals) FILTER (error_seconds IS DISTINCT FROM -seconds), 0)
            - sum(wrong))::BIGINT AS more
FROM census JOIN shift USING (tzid) WHERE second >= start AND second < stop GROUP BY year
"""
_TOTALS: Final = "SELECT sum(arrivals)::BIGINT AS arrivals, coalesce(sum(wrong), 0)::BIGINT AS mismatches FROM census"


def cache_year(evidence: Evidence) -> int:
    """The last year of the world's cache: as declared, else that of its last entry."""
    declared = evidence.cache_document.get("transitions_through_utc")
    if declared is not None:
        return datetime.fromisoformat(str(declared)).year - 1
    return datetime.fromtimestamp(int(evidence.cache.seconds.max()), UTC).year


def years_around(evidence: Evidence) -> tuple[int, ...]:
    """Years of the what-if: some before and after the horizon, and the cache's own."""
    first, last = (datetime.fromtimestamp(second, UTC).year for second in span(evidence))
    return tuple(sorted({*range(first - _EARLIER, last + _LATER + 1), cache_year(evidence)}))


def t1_by_cache_year(counts: ClockCounts, years: Sequence[int] | None = None) -> pl.DataFrame:
    """T1 for each last transition year of the cache, all else equal.

    Returns `year`, `mismatches`, `arrivals` (counts), `t1` (share, 0..1), `own` (whether it is the cache's own year),
    `b`, `bplus` (thresholds of T1, shares).

    Example: `views.t1_by_cache_year(views.ClockCounts(evidence), [2025, 2028])`
    """
    evidence = counts.evidence
    requested = list(years if years is not None else years_around(evidence))
    totals = counts.ask(_TOTALS).row(0, named=True)
    moved = counts.ask(_MOVED, _columns(_shifts(evidence, requested)))
    gate = thresholds_of(evidence.policy, "T1")
    mismatches = totals["mismatches"] + pl.col("more").fill_null(0)
    return (
        pl.DataFrame({"year": requested}, schema={"year": pl.Int64})
        .join(moved, on="year", how="left", maintain_order="left")
        .with_columns(mismatches=mismatches, arrivals=pl.lit(totals["arrivals"]))
        .with_columns(
            t1=pl.col("mismatches") / pl.col("arrivals"),
            own=pl.col("year") == cache_year(evidence),
            b=pl.lit(gate.b.max),
            bplus=pl.lit(gate.bplus.max),
        )
        .drop("more")
    )


Shift = tuple[int, str, int, int, int]
"""Year, zone, and a span [start, stop) and the seconds by which that year's cache is ahead of the world's."""


def _shifts(evidence: Evidence, years: Iterable[int]) -> list[Shift]:
    database, zones = set(known_zones()), evidence.census["tzid"].drop_nulls().unique().sort().to_list()
    shifts: list[Shift] = []
    for year in years:
        other = tz_cache.compile_zones([zone for zone in zones if zone in database], year)
        shifts += [(year, *shift) for zone in other.names for shift in _zone_shifts(evidence, zone, other)]
    return shifts


def _zone_shifts(evidence: Evidence, tzid: str, other: TzCache) -> list[tuple[str, int, int, int]]:
    start, end = span(evidence)
    current, changed = evidence.cache.zone(tzid), other.zone(tzid)
    if current is None or changed is None:
        return []
    instants = changes_within(start, end, current.utc_seconds, changed.utc_seconds)
    shifted, stops = changed.seconds_at(instants) - current.seconds_at(instants), np.append(instants[1:], end)
    return [
        (tzid, int(first), int(stop), int(ahead))
        for first, stop, ahead in zip(instants, stops, shifted, strict=True)
        if ahead
    ]


def _columns(shifts: Sequence[Shift]) -> list[list[int] | list[str]]:
    return [list(column) for column in zip(*shifts, strict=True)] if shifts else [[] for _ in range(5)]
