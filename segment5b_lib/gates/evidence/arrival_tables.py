"""The tables that arrivals are compared with: expected clocks, S3's series, sites and edges, as flat arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from segment5b_lib.arrays import U8
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.gates.evidence.clock import ExpectedClock
from segment5b_lib.kernel.tally_tables import Clock, Memory, Places, Register, Tally, new_memory, new_tally, place_table
from segment5b_lib.store.columns import numbered, word_codes

PLACE_SCHEMA: Final = {"merchant_id": pl.UInt64, "place_id": pl.UInt64, "tzid": pl.String}


@dataclass(frozen=True)
class ArrivalTables:
    """Tables of one scenario.

    Parameters
    ----------
    expected : the clocks of all zones over the horizon
    tolerance_seconds : how far a clock may be off
    series : SERIES_KEY ascending
    site_rows, edge_rows : merchant_id, place_id (u64), tzid; one row per place
    sample : uint8 [series], the series whose arrivals are listed one by one
    """

    scenario_id: str
    expected: ExpectedClock
    tolerance_seconds: float
    series: pl.DataFrame
    site_rows: pl.DataFrame
    edge_rows: pl.DataFrame
    sample: U8

    @cached_property
    def _used(self) -> set[str]:
        return {*self.series["zone_representation"], *self.site_rows["tzid"], *self.edge_rows["tzid"]}

    @cached_property
    def zones(self) -> tuple[str, ...]:
        """Zones of the pinned database, those in use first; their clocks are known."""
        return tuple(sorted(self.expected.zones, key=lambda tzid: (tzid not in self._used, tzid)))

    @cached_property
    def clock_code(self) -> Mapping[str, int]:
        return numbered(self.zones)

    @cached_property
    def zone_code(self) -> Mapping[str, int]:
        """Codes of zones with a known clock, and of those that only the run and its world know."""
        return numbered([*self.zones, *sorted(self._used - set(self.zones))])

    @cached_property
    def country_code(self) -> Mapping[str, int]:
        return numbered(self.series["legal_country_iso"].unique().sort())

    @cached_property
    def channel_code(self) -> Mapping[str, int]:
        return numbered(self.series["channel_group"].unique().sort())

    @cached_property
    def clock(self) -> Clock:
        expected = self.expected
        cells = np.arange(expected.start, expected.end, expected.cell_seconds)
        return Clock(
            expected.start * SECOND_US,
            expected.bucket_seconds * SECOND_US,
            expected.cell_seconds * SECOND_US,
            round(self.tolerance_seconds * SECOND_US),
            np.stack([expected.zones[tzid].at(cells) for tzid in self.zones]) * SECOND_US,
        )

    @cached_property
    def register(self) -> Register:
        owners = self.series.group_by("merchant_id", maintain_order=True).len()
        return Register(
            owners["merchant_id"].to_numpy(),
            np.append(0, np.cumsum(owners["len"].to_numpy())).astype(np.int64),
            word_codes(self.series["legal_country_iso"], tuple(self.country_code)),
            word_codes(self.series["zone_representation"], tuple(self.zone_code)),
            word_codes(self.series["channel_group"], tuple(self.channel_code)),
        )

    @cached_property
    def sites(self) -> Places:
        return self._places(self.site_rows)

    @cached_property
    def edges(self) -> Places:
        return self._places(self.edge_rows)

    def tally(self) -> Tally:
        buckets = (self.expected.end - self.expected.start) // self.expected.bucket_seconds
        cells, places = self.clock.offset_us.shape[1], (self.site_rows.height, self.edge_rows.height)
        return new_tally(len(self.zones), self.series.height, buckets, cells, *places)

    def memory(self) -> Memory:
        return new_memory(len(self.country_code), len(self.zone_code), len(self.channel_code), self.series.height)

    def _places(self, rows: pl.DataFrame) -> Places:
        return place_table(
            rows["place_id"].to_numpy(), rows["merchant_id"].to_numpy(), word_codes(rows["tzid"], tuple(self.zone_code))
        )
