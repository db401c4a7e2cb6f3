"""The one pass over the arrivals of a scenario: every row is read once, by part file, on several threads.

What can be counted in dense tables is (see `kernel.arrival_tally`); rows that have no place there, which a right run
does not have, are taken out of each row group, grouped and counted. All counts are integers and every part file is
counted for itself, so that the result depends neither on threads nor on which of them took which file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from segment5b_lib.arrays import I32, I64
from segment5b_lib.contract.datasets import SERIES_KEY, dataset
from segment5b_lib.gates.evidence.arrival_tables import ArrivalTables
from segment5b_lib.kernel import tally_tables
from segment5b_lib.kernel.arrival_tally import clock_errors, finish_part, tally_rows
from segment5b_lib.kernel.tally_tables import Columns, Memory, Odd, Tally, new_odd
from segment5b_lib.store.columns import codes, flags, numbers, numbers_or_zero, words
from segment5b_lib.store.parquet import COUNTRY, NO_COUNTRY, check_files, no_country, open_file
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import each, no_rows, read_group


@dataclass(frozen=True)
class OverflowRows:
    """Rows outside the dense tables, grouped and counted in `arrivals` (i64).

    Attributes
    ----------
    census : tzid, cell (i64, of absolute time), digits (see `kernel.tally_tables.Odd`)
    roles : role, tzid, digit: the other two clocks of all virtual rows
    series : SERIES_KEY, bucket_index: keys that S3 does not have
    places : merchant_id, site_id, edge_id: places that are not the merchant's, or rows that are ill-formed
    sampled : SERIES_KEY, bucket_index, ts_utc (i64): one row per arrival of a sampled series
    """

    census: pl.DataFrame
    roles: pl.DataFrame
    series: pl.DataFrame
    places: pl.DataFrame
    sampled: pl.DataFrame


def _taken(table: pa.Table, positions: I32, names: Sequence[str]) -> pl.DataFrame:
    """Some columns of the rows at some positions; text as text, instants as epoch microseconds (i64)."""
    frame = pl.DataFrame(pl.from_arrow(table.select(list(names)).take(pa.array(positions))))
    return frame.with_columns(
        pl.col(pl.Categorical, pl.Enum).cast(pl.String), pl.col(pl.Datetime).dt.epoch("us").cast(pl.Int64)
    )


def _grouped(table: pa.Table, positions: I32, names: Sequence[str]) -> pl.DataFrame:
    """The same, one row per distinct combination, with `arrivals` (i64)."""
    return _taken(table, positions, names).group_by(names).agg(arrivals=pl.len().cast(pl.Int64))


def _odd_census(table: pa.Table, odd: Odd) -> pl.DataFrame:
    """The rows that the census lists, grouped: tzid, cell, digits, arrivals."""
    n = odd.found[tally_tables.CENSUS_ROWS]
    zones = _taken(table, odd.census[:n], ["tzid_primary"])["tzid_primary"]
    frame = pl.DataFrame({"tzid": zones, "cell": odd.cell[:n], "digits": odd.digits[:n]})
    return frame.group_by("tzid", "cell", "digits").agg(arrivals=pl.len().cast(pl.Int64))


def _together(parts: Sequence[OverflowRows]) -> OverflowRows:

    def total(name: str) -> pl.DataFrame:
        rows: pl.DataFrame = pl.concat([getattr(part, name) for part in parts])
        return rows.group_by(pl.exclude("arrivals")).agg(pl.col("arrivals").sum())

    sampled = pl.concat([part.sampled for part in parts])
    return OverflowRows(total("census"), total("roles"), total("series"), total("places"), sampled)


_ARRIVALS: Final = "arrival_events_5B"
_ROLES: Final = ("settlement", "operational")
_PLACE: Final = ("merchant_id", "site_id", "edge_id")
_COLUMNS: Final = (
    *SERIES_KEY,
    "bucket_index",
    "arrival_seq",
    "ts_utc",
    "tzid_primary",
    "ts_local_primary",
    "is_virtual",
    "site_id",
    "edge_id",
)


@dataclass(frozen=True)
class ArrivalTally:
    """Everything that is counted about the arrivals of one scenario; `breaks` are parts not after the one before."""

    tables: ArrivalTables
    tally: Tally
    overflow: OverflowRows
    breaks: int


Outermost = tuple[int, int, int]
"""Merchant, instant and number of the first or the last row of a part file."""


class ArrivalPass:
    """One scenario's pass: the tables that rows are compared with, and a tally per thread."""

    def __init__(self, tables: ArrivalTables) -> None:
        self.tables = tables
        self._tallies: SimpleQueue[Tally] = SimpleQueue()

    def over(self, run: Run) -> ArrivalTally:
        """Read all part files.

        Raises
        ------
        InputError : ``5B.GATES.EMPTY_SCENARIO`` where they hold no row
        """
        files = run.files(_ARRIVALS, self.tables.scenario_id)
        check_files(files, dataset(_ARRIVALS))
        parts = list(each(self._part, files))
        ends = [end for _, end in parts if end is not None]
        breaks = sum(before[1] >= after[0] for before, after in pairwise(ends))
        overflow = [frames for rows, _ in parts for frames in rows]
        if not overflow:
            raise no_rows(_ARRIVALS, self.tables.scenario_id)
        return ArrivalTally(self.tables, self._total(), _together(overflow), breaks)

    def _part(self, path: Path) -> tuple[list[OverflowRows], tuple[Outermost, Outermost] | None]:
        """One part file: its overflow rows, and its first and last row."""
        tally, memory = self._borrow(), self.tables.memory()
        overflow, first, last = [], None, None
        try:
            with open_file(path, dataset(_ARRIVALS), foreign=True) as file:
                for group in range(file.num_row_groups):
                    table = self._keyed(read_group(file, group, _COLUMNS, _ARRIVALS))
                    if table.num_rows == 0:
                        continue
                    rows = self._columns(table)
                    first, last = first or _outermost(rows, 0), _outermost(rows, -1)
                    overflow.append(self._group(file, group, table, rows, tally, memory))
            finish_part(memory, tally)
        finally:
            self._tallies.put(tally)
        return overflow, (first, last) if first and last else None

    def _keyed(self, table: pa.Table) -> pa.Table:
        """Rows with the key of their series: without a country where S3's have none."""
        if NO_COUNTRY not in self.tables.country_code:
            return table
        return table.set_column(table.column_names.index(COUNTRY), COUNTRY, no_country(table.num_rows))

    def _group(
        self, file: pq.ParquetFile, group: int, table: pa.Table, rows: Columns, tally: Tally, memory: Memory
    ) -> OverflowRows:
        t, odd = self.tables, new_odd(table.num_rows)
        tally_rows(rows, t.clock, t.register, t.sites, t.edges, t.sample, tally, memory, odd)
        return OverflowRows(
            _odd_census(table, odd),
            self._roles(file, group, rows),
            _grouped(table, odd.series[: odd.found[tally_tables.SERIES_ROWS]], (*SERIES_KEY, "bucket_index")),
            _grouped(table, odd.place[: odd.found[tally_tables.PLACE_ROWS]], _PLACE),
            _taken(table, odd.sampled[: odd.found[tally_tables.SAMPLED_ROWS]], (*SERIES_KEY, "bucket_index", "ts_utc")),
        )

    def _columns(self, table: pa.Table) -> Columns:
        local, has_local = numbers_or_zero(table, "ts_local_primary")
        site, has_site = numbers_or_zero(table, "site_id")
        edge, has_edge = numbers_or_zero(table, "edge_id")
        return Columns(
            numbers(table, "merchant_id"),
            codes(table, "legal_country_iso", self.tables.country_code),
            codes(table, "zone_representation", self.tables.zone_code),
            codes(table, "channel_group", self.tables.channel_code),
            numbers(table, "bucket_index"),
            numbers(table, "arrival_seq"),
            numbers(table, "ts_utc"),
            codes(table, "tzid_primary", self.tables.clock_code),
            local,
            has_local,
            flags(table, "is_virtual", tally_tables.SILENT),
            site,
            has_site,
            edge,
            has_edge,
        )

    def _roles(self, file: pq.ParquetFile, group: int, rows: Columns) -> pl.DataFrame:
        """Settlement and operational clocks of the virtual rows; their columns are read only where there are any."""
        at = np.flatnonzero(rows.virtual == tally_tables.YES)
        if at.size == 0:
            return pl.DataFrame(schema=_ROLE_SCHEMA)
        names = [f"{kind}_{role}" for role in _ROLES for kind in ("tzid", "ts_local")]
        table = read_group(file, group, names, _ARRIVALS)
        return pl.concat([self._role(table, role, rows.ts[at], at) for role in _ROLES])

    def _role(self, table: pa.Table, role: str, ts: I64, at: I64) -> pl.DataFrame:
        position, listed = words(table, f"tzid_{role}")
        zone = codes(table, f"tzid_{role}", self.tables.clock_code)[at]
        local, has_local = numbers_or_zero(table, f"ts_local_{role}")
        slot = np.where(position[at] == tally_tables.UNKNOWN, np.int32(len(listed)), position[at])
        counts = clock_errors(ts, zone, slot, local[at], has_local[at], self.tables.clock, len(listed) + 1)
        slots, digits = np.nonzero(counts)
        tzid = pl.Series([*listed, None], dtype=pl.String).gather(slots)
        counted = {"role": [role] * slots.size, "tzid": tzid, "digit": digits, "arrivals": counts[slots, digits]}
        return pl.DataFrame(counted, schema=_ROLE_SCHEMA)

    def _borrow(self) -> Tally:
        try:
            return self._tallies.get_nowait()
        except Empty:
            return self.tables.tally()

    def _total(self) -> Tally:
        total = self._borrow()
        while not self._tallies.empty():
            other = self._tallies.get_nowait()
            for name in Tally._fields:
                counts: NDArray[np.integer] = getattr(total, name)
                counts += getattr(other, name)
        return total


_ROLE_SCHEMA: Final[dict[str, Any]] = {"role": pl.String, "tzid": pl.String, "digit": pl.Int64, "arrivals": pl.Int64}


def _outermost(rows: Columns, at: int) -> Outermost:
    return int(rows.merchant_id[at]), int(rows.ts[at]), int(rows.seq[at])
