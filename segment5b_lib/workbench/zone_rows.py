"""The arrivals of one zone and one day, a page at a time, in order of time, with stored and expected clocks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import polars as pl

from segment5b_lib.contract.units import DAY_S, SECOND_US
from segment5b_lib.workbench.open_run import OpenRun

PAGE_ROWS: Final = 15
_PAGES_READ: Final = 40
"""Pages read by one scan, so that turning to the next page takes no time."""
_ROWS: Final = """
SELECT ts_utc, ts_local_primary, merchant_id, legal_country_iso, is_virtual, site_id, edge_id, arrival_seq
FROM arrival_events_5B
WHERE tzid_primary = $1 AND ts_utc >= $2 AND ts_utc < $3
ORDER BY ts_utc, merchant_id, arrival_seq LIMIT $4 OFFSET $5
"""


class ZoneRows:
    """Pages of the rows of a run, by zone and UTC day; the last pages read are kept."""

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        self._kept: tuple[tuple[str, int, int], pl.DataFrame] | None = None

    def page(self, tzid: str, day: int, number: int) -> pl.DataFrame:
        """Page `number` (from 0) of the rows of `tzid` on the UTC day that starts at epoch second `day`.

        Returns `ts_utc`, `stored_local`, `expected_local` (null for an unknown zone),
        `error_seconds`, `merchant_id`, `country`, `place` (site or edge), `arrival_seq`; at most PAGE_ROWS rows.
        """
        block, within = divmod(number, _PAGES_READ)
        if self._kept is None or self._kept[0] != (tzid, day, block):
            self._kept = (tzid, day, block), self._read(tzid, day, block)
        return self._formatted(tzid, self._kept[1].slice(within * PAGE_ROWS, PAGE_ROWS))

    def _read(self, tzid: str, day: int, block: int) -> pl.DataFrame:
        begin, end = (datetime.fromtimestamp(second, UTC) for second in (day, day + DAY_S))
        rows = PAGE_ROWS * _PAGES_READ
        return self._run.sql(_ROWS, tzid, begin, end, rows, block * rows)

    def _formatted(self, tzid: str, rows: pl.DataFrame) -> pl.DataFrame:
        instant = pl.col("ts_utc").to_physical()
        site, edge = (pl.format("{} {}", pl.lit(kind), f"{kind}_id") for kind in ("site", "edge"))
        return rows.with_columns(expected=instant + self._offsets(tzid, rows["ts_utc"])).select(
            "ts_utc",
            stored_local="ts_local_primary",
            expected_local=pl.col("expected").cast(pl.Datetime("us")),
            error_seconds=(pl.col("ts_local_primary").to_physical() - pl.col("expected")) / SECOND_US,
            merchant_id=pl.col("merchant_id").cast(pl.String),
            country="legal_country_iso",
            place=pl.when("is_virtual").then(edge).otherwise(site),
            arrival_seq="arrival_seq",
        )

    def _offsets(self, tzid: str, instants: pl.Series) -> pl.Series:
        """True offsets from UTC in microseconds."""
        for clock in self._run.evidence.clocks.values():
            if tzid in clock.zones:
                seconds = instants.to_physical().to_numpy() // SECOND_US
                return pl.Series(clock.zones[tzid].at(seconds) * SECOND_US)
        return pl.Series([None] * len(instants), dtype=pl.Int64)


def pages(rows: int) -> int:
    """Number of pages for a number of rows; at least one, which may be empty."""
    return max(1, -(-rows // PAGE_ROWS))


def stamps(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Times as text to the millisecond."""
    return frame.with_columns(pl.col(name).dt.strftime("%Y-%m-%d %H:%M:%S%.3f") for name in columns)
