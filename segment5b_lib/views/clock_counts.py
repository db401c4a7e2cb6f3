"""A run's arrivals counted by zone, quarter of an hour and error of the clock, in DuckDB: one scan, many queries.

The table is the gates' census, so a view of one zone agrees with the scorecard to the arrival. It stays in memory
with the object: one scan, then every query aggregates counts, not rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from segment5b_lib.gates.evidence.census import NO_HOUR
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.store.query import connect, q

_CENSUS: Final = ("tzid", "second", "error_seconds", "expected_hour", "stored_hour", "is_virtual", "arrivals")
_TABLE: Final = """
CREATE TABLE census AS SELECT *, CASE WHEN error_seconds IS DISTINCT FROM 0 THEN arrivals ELSE 0 END AS wrong
FROM scanned ORDER BY tzid, second
"""
_ZONES: Final = """
SELECT tzid, sum(arrivals)::BIGINT AS arrivals, sum(wrong)::BIGINT AS mismatches,
       min(second) FILTER (wrong > 0) AS first_wrong
FROM census WHERE tzid IS NOT NULL GROUP BY tzid ORDER BY mismatches DESC, arrivals DESC, tzid
"""
_OFFSETS: Final = """
SELECT error_seconds AS offset_seconds, sum(arrivals)::BIGINT AS arrivals,
       sum(arrivals)::BIGINT / sum(sum(arrivals)) OVER () AS share
FROM census WHERE tzid = $1 AND second >= $2 AND second < $3 GROUP BY error_seconds ORDER BY 1 NULLS LAST
"""
_HOURS: Final = """
WITH selected AS (
    SELECT CASE WHEN is_virtual THEN 'virtual' ELSE 'physical' END AS kind, expected_hour, stored_hour, arrivals
    FROM census WHERE tzid = $1 AND second >= $2 AND second < $3
), shown AS (
    SELECT kind, 'expected' AS basis, expected_hour AS week_hour, arrivals FROM selected
    UNION ALL SELECT kind, 'stored', stored_hour, arrivals FROM selected
), counted AS (
    SELECT kind, basis, (week_hour % 24)::BIGINT AS hour, sum(arrivals) AS counted FROM shown
    WHERE week_hour <> $4 GROUP BY kind, basis, hour
), totals AS (SELECT kind, sum(arrivals) AS total FROM selected GROUP BY kind)
SELECT kind, basis, hour, coalesce(counted, 0)::BIGINT AS arrivals, coalesce(counted, 0)::DOUBLE / total AS share
FROM totals CROSS JOIN (SELECT unnest(['expected', 'stored']) AS basis)
CROSS JOIN (SELECT unnest(range(24)) AS hour) LEFT JOIN counted USING (kind, basis, hour) ORDER BY kind, basis, hour
"""
_SINCE: Final = """
SELECT (floor((second - $2) / 86400.0))::BIGINT AS day, sum(arrivals)::BIGINT AS arrivals,
       sum(wrong)::BIGINT AS mismatches
FROM census WHERE tzid = $1 GROUP BY day ORDER BY day
"""
_BEFORE_FIRST_WRONG: Final = """
SELECT coalesce(sum(arrivals), 0)::BIGINT AS before FROM census
WHERE tzid = $1 AND second >= $2 AND second < $3
  AND second < (SELECT min(second) FROM census WHERE tzid = $1 AND second >= $2 AND second < $3 AND wrong > 0)
"""


class ClockCounts:
    """The counted arrivals of a run. Times are epoch seconds UTC, spans are half-open [start, end).

    Example: `views.ClockCounts(evidence).zones()`
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._connection = connect([])
        census = evidence.census.select(_CENSUS).to_arrow()
        self._connection.register("scanned", census)
        self._connection.execute(_TABLE)
        self._connection.unregister("scanned")

    def ask(self, query: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """Result of a query on the table `census`: columns as in `gates.evidence.census`, and `wrong` arrivals.

        Example: `views.ClockCounts(evidence).ask("SELECT sum(arrivals) AS arrivals FROM census")`
        """
        return q(self._connection, query, parameters)

    def zones(self) -> pl.DataFrame:
        """Zones with arrivals, most wrong clocks first: `tzid`, `arrivals`, `mismatches`, `first_wrong` (or null).

        Example: `views.ClockCounts(evidence).zones()`
        """
        return self.ask(_ZONES)

    def offset_distribution(self, tzid: str, start: int, end: int) -> pl.DataFrame:
        """As `views.offset_distribution`, of one zone on [start, end).

        Example: `views.ClockCounts(evidence).offset_distribution("Europe/Berlin", 1767225600, 1767312000)`
        """
        return self.ask(_OFFSETS, [tzid, start, end])

    def hour_profile(self, tzid: str, start: int, end: int) -> pl.DataFrame:
        """As `views.hour_profile`, of one zone on [start, end); an hour without arrivals has a row as well.

        Example: `views.ClockCounts(evidence).hour_profile("Europe/Berlin", 1767225600, 1767312000)`
        """
        return self.ask(_HOURS, [tzid, start, end, NO_HOUR])

    def days_since(self, tzid: str, transition: int) -> pl.DataFrame:
        """Wrong clocks of a zone by whole days since one of its changes, negative before it.

        Returns `day`, `arrivals`, `mismatches`, `rate` (0..1), ascending; days without arrivals are left out.

        Example: `views.ClockCounts(evidence).days_since("Europe/Berlin", 1774746000)`
        """
        frame = self.ask(_SINCE, [tzid, transition])
        return frame.with_columns(rate=pl.col("mismatches") / pl.col("arrivals"))

    def before_first_wrong(self, tzid: str, start: int, end: int) -> int:
        """Arrivals of a zone on [start, end) before the quarter of an hour with its first wrong one; 0 for none.

        Example: `views.ClockCounts(evidence).before_first_wrong("Europe/Berlin", 1767225600, 1798761600)`
        """
        return int(self.ask(_BEFORE_FIRST_WRONG, [tzid, start, end])["before"][0])
