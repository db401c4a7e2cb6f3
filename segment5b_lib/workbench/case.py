"""Selection of an investigation: a run, a zone, one of its offset changes, a day, and a page of the day's rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import polars as pl

from segment5b_lib.contract.units import DAY_S, SECOND_US
from segment5b_lib.errors import UsageError
from segment5b_lib.gates.t03_dst_windows import transitions
from segment5b_lib.gates.wording import value_text
from segment5b_lib.views.cache_what_if import cache_year, t1_by_cache_year
from segment5b_lib.views.clock_counts import ClockCounts
from segment5b_lib.views.zone_clock import span
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


def page_count(rows: int) -> int:
    """Number of pages for a number of rows; at least one, which may be empty."""
    return max(1, -(-rows // PAGE_ROWS))


def stamps(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Times as text to the millisecond."""
    return frame.with_columns(pl.col(name).dt.strftime("%Y-%m-%d %H:%M:%S%.3f") for name in columns)


class Case:
    """One run under investigation, and the current selection.

    `tzid` zone, `transition` epoch second of one of its changes (None without any), `day` epoch second at which
    the UTC day begins, `page` of the day's rows (from 0), `year` the last one of the cache in the what-if. Opening
    scans the arrivals once; a new selection aggregates counts.
    """

    def __init__(self, run: OpenRun) -> None:
        self.run = run
        self.scorecard = run.scorecard()
        self.counts = ClockCounts(run.evidence)
        self.zones = self.counts.zones()
        self.horizon = span(run.evidence)
        self.day_rows = ZoneRows(run)
        self.tzid, self.day, self.page = "", self.horizon[0], 0
        self.transition: int | None = None
        self.year = cache_year(run.evidence)
        self.choose_zone(self._busiest())

    def _busiest(self) -> str:
        """The zone with most wrong clocks; if all are right, the largest zone that changes its offset."""
        changing = self.zones.filter(pl.col("tzid").is_in(self._changes["tzid"].unique().implode()))
        candidates = self.zones if self.zones["mismatches"].sum() or changing.is_empty() else changing
        return str(candidates["tzid"][0])

    @cached_property
    def _changes(self) -> pl.DataFrame:
        """`tzid`, `transition` (epoch seconds), `change_seconds`, once each, in order of time."""
        return transitions(self.run.evidence).drop("scenario_id").unique().sort("tzid", "transition")

    def changes(self, tzid: str = "") -> list[tuple[int, int]]:
        """Instant (epoch second) and size (s) of a zone's offset changes in the horizon; default: the chosen zone."""
        return [(row[1], row[2]) for row in self._changes.filter(tzid=tzid or self.tzid).iter_rows()]

    def transition_on(self, day: int) -> int:
        """The zone's change on the UTC day that begins at an epoch second."""
        instants = [instant for instant, _ in self.changes()]
        for instant in instants:
            if day <= instant < day + DAY_S:
                return instant
        raise UsageError(
            "5B.DST.NO_SUCH_CHANGE",
            f"{self.tzid} does not change its offset on {day_text(day)}",
            expected=f"one of: {', '.join(day_text(instant) for instant in instants) or 'none within the horizon'}",
            found=day_text(day),
        )

    def choose_zone(self, tzid: str) -> None:
        """Select a zone and the change after which its clock is wrong, else its first change, else the first day."""
        tzids = self.zones["tzid"].to_list()
        if tzid not in tzids:
            raise UsageError(
                "5B.DST.ZONE_WITHOUT_ARRIVALS",
                f"run {self.run.run_id[:8]} has no arrivals in zone {tzid!r}",
                expected=f"one of: {', '.join(tzids)}",
                found=tzid,
            )
        self.tzid = tzid
        first_wrong = self.zones.filter(tzid=tzid)["first_wrong"][0]
        self.choose_transition(self._latest_change(self.horizon[0] if first_wrong is None else first_wrong + 1))

    def _latest_change(self, before: int) -> int | None:
        """The zone's latest change before an instant, else its first; None without any."""
        instants = [instant for instant, _ in self.changes()]
        return max((instant for instant in instants if instant < before), default=min(instants, default=None))

    def choose_transition(self, transition: int | None) -> None:
        """Select one of the zone's changes, and its day."""
        self.transition = transition
        self.choose_day(self.horizon[0] if transition is None else transition)

    def choose_day(self, second: int) -> None:
        """Select the UTC day of an instant, and the page of its rows with the first wrong one."""
        self.day = second // DAY_S * DAY_S
        self.page = page_count(self.counts.before_first_wrong(self.tzid, *self.span_of_day) + 1) - 1

    def choose_cell(self, cell: tuple[str, int]) -> None:
        """Select a zone and a day (a cell of the heatmap), and the zone's latest change until then."""
        tzid, day = cell
        self.choose_zone(tzid)
        self.transition = self._latest_change(day + DAY_S)
        self.choose_day(day)

    def turn_to(self, page: int) -> None:
        """Select another page of the day's rows."""
        self.page = page

    @property
    def span_of_day(self) -> tuple[int, int]:
        """The chosen day, half-open."""
        return self.day, self.day + DAY_S

    @property
    def day_label(self) -> str:
        """The chosen zone and day as text."""
        return f"{self.tzid}, {day_text(self.day)} UTC"

    @property
    def days(self) -> list[tuple[str, int]]:
        """Every UTC day of the horizon: its date, and the epoch second at which it begins."""
        start, end = self.horizon
        return [(day_text(second), second) for second in range(start // DAY_S * DAY_S, end, DAY_S)]

    @property
    def rows_of_day(self) -> int:
        """Arrivals of the chosen zone on the chosen day."""
        return int(self.counts.offset_distribution(self.tzid, *self.span_of_day)["arrivals"].sum())

    @property
    def pages(self) -> int:
        """Pages of the chosen day's rows."""
        return page_count(self.rows_of_day)

    @cached_property
    def what_if(self) -> pl.DataFrame:
        """T1 by the last year of the cache (see `views.t1_by_cache_year`)."""
        return t1_by_cache_year(self.counts)

    @property
    def predicted_text(self) -> str:
        """T1 predicted for the chosen last year of the cache, as HTML."""
        row = self.what_if.filter(year=self.year).row(0, named=True)
        share, now = value_text(row["t1"], "share"), " (as it is now)" if row["own"] else ""
        return f"<p>Cache through {self.year}{now}: predicted T1 <b>{share}</b>, {row['mismatches']:,} arrivals.</p>"


def day_text(second: int) -> str:
    """The UTC date of an epoch second as YYYY-MM-DD."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d}"


def day_second(text: str) -> int:
    """The epoch second at which a UTC date begins, from YYYY-MM-DD."""
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise UsageError("5B.DST.NOT_A_DATE", "not a date", expected="YYYY-MM-DD, a UTC date", found=text) from error


def change_text(transition: int, change: int) -> str:
    """A change of offset as text: instant (UTC) and size (h)."""
    return f"{datetime.fromtimestamp(transition, UTC):%Y-%m-%d %H:%M} UTC, {change / 3600:+g} h"
