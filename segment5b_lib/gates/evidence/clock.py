"""The expected clock of every zone over a horizon, as small tables that a scan can be joined with.

The offsets come from the independent oracle. Between two neighbouring instants at which any zone changes its
offset (an epoch) every zone has one offset, so (zone, epoch) is all that a row needs to know.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import polars as pl

from segment5b_lib.arrays import I64, Flags
from segment5b_lib.civil_time.oracle import ExpectedOffsets, expected_offsets, known_zones
from segment5b_lib.contract.units import DAY_S, HOUR_S, SECOND_US

_LARGEST_CELL = 3600


class ExpectedClock:
    """What the clocks of all zones show on [start, end), epoch seconds UTC, half-open.

    Parameters
    ----------
    start, end : horizon
    bucket_seconds : width of a bucket, which cells must divide
    """

    def __init__(self, start: int, end: int, bucket_seconds: int) -> None:
        self.start, self.end, self.bucket_seconds = start, end, bucket_seconds

    @cached_property
    def zones(self) -> dict[str, ExpectedOffsets]:
        return {tzid: expected_offsets(tzid, self.start, self.end) for tzid in known_zones()}

    @cached_property
    def instants(self) -> list[int]:
        """Start of every epoch: the horizon's start, then every change of any zone's offset."""
        changes = {int(second) for steps in self.zones.values() for second in steps.instants[1:]}
        return [self.start, *sorted(changes)]

    @cached_property
    def cell_seconds(self) -> int:
        """The widest cell that never straddles a bucket, a change, or a local hour of any zone."""
        offsets = [int(value) for steps in self.zones.values() for value in steps.offset_seconds]
        return math.gcd(_LARGEST_CELL, self.bucket_seconds, *self.instants, *offsets)

    @cached_property
    def _offsets(self) -> pl.DataFrame:
        """`tzid`, `epoch` (i8 or i16 index into instants), `expected_us` (offset, microseconds)."""
        instants = np.array(self.instants)
        names = list(self.zones)
        return pl.DataFrame(
            {
                "tzid": np.repeat(names, len(instants)),
                "epoch": np.tile(np.arange(len(instants), dtype=np.int16), len(names)),
                "expected_us": np.concatenate([self.zones[name].at(instants) for name in names]) * SECOND_US,
            }
        )

    def epoch(self, time: pl.Expr) -> pl.Expr:
        """Epoch of an instant (microseconds UTC); null outside the horizon, where nothing is expected."""
        later = [(time >= second * SECOND_US).cast(pl.Int16) for second in self.instants[1:]]
        index = pl.sum_horizontal(pl.lit(0, pl.Int16), *later).cast(pl.Int16)
        inside = (time >= self.start * SECOND_US) & (time < self.end * SECOND_US)
        return pl.when(inside).then(index)

    def with_expected(self, frame: pl.LazyFrame, tzid: str, time: pl.Expr) -> pl.LazyFrame:
        """Add `expected_us`, the true offset of each row; null for an unknown zone or an outside instant."""
        table = self._offsets.lazy().rename({"tzid": tzid}).with_columns(pl.col(tzid).cast(pl.Categorical))
        keyed = frame.with_columns(pl.col(tzid).cast(pl.Categorical), self.epoch(time).alias("epoch"))
        return keyed.join(table, on=[tzid, "epoch"], how="left").drop("epoch")

    def weekend_of_buckets(self, tzids: Sequence[str]) -> pl.DataFrame:
        """`tzid`, `bucket_index` (i32), `weekend`: share of the bucket on a local Saturday or Sunday."""
        cells = np.arange(self.start, self.end, self.cell_seconds)
        per_bucket = self.bucket_seconds // self.cell_seconds
        shares = [
            is_weekend(cells + expected_offsets(tzid, self.start, self.end).at(cells))
            .reshape(-1, per_bucket)
            .mean(axis=1)
            for tzid in tzids
        ]
        buckets = len(cells) // per_bucket
        return pl.DataFrame(
            {
                "tzid": np.repeat(np.array(tzids, dtype=str), buckets),
                "bucket_index": np.tile(np.arange(buckets, dtype=np.int32), len(tzids)),
                "weekend": np.concatenate([np.empty(0), *shares]),
            }
        )


def week_hour_column(local: pl.Expr) -> pl.Expr:
    """Hour of the week of a wall clock in microseconds: 0 is Monday 00 h, 167 is Sunday 23 h (i16)."""
    # The epoch was a Thursday: 72 hours into its week.
    return ((local.floordiv(HOUR_S * SECOND_US) + 72) % 168).cast(pl.Int16)


def is_weekend(local_seconds: I64) -> Flags:
    return (local_seconds // DAY_S + 3) % 7 >= 5
