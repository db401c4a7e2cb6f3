"""Rows of S2 and S3 as runs of one series each, with what a sum over them needs to know of the series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from segment5b_lib.arrays import F64, I64
from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.kernel.bucket_sums import Runs, key_runs
from segment5b_lib.store.columns import numbered, numbers, words

TEXT_KEY: Final = SERIES_KEY[1:]
KEY_SCHEMA: Final = {"merchant_id": pl.UInt64, **dict.fromkeys(TEXT_KEY, pl.String)}


@dataclass(frozen=True)
class RunKeys:
    """The runs of a row group: `start` as `kernel.bucket_sums.Runs` has it, `keys` one row per run, SERIES_KEY."""

    start: I64
    keys: pl.DataFrame


def runs_of(table: pa.Table) -> RunKeys:
    """Find the runs of a row group that has the key columns."""
    merchant = numbers(table, "merchant_id")
    coded = {name: words(table, name) for name in TEXT_KEY}
    country, zone, channel = (coded[name][0] for name in TEXT_KEY)
    start = key_runs(merchant, country, zone, channel)
    first = start[:-1]
    texts = {
        name: pl.Series(listed, dtype=pl.String).gather(positions[first]) for name, (positions, listed) in coded.items()
    }
    return RunKeys(start, pl.DataFrame({"merchant_id": merchant[first], **texts}))


def with_codes(
    runs: RunKeys, series: pl.DataFrame, zones: Sequence[str], physical: Mapping[int, float], seed: int
) -> Runs:
    """Runs for the kernel; `series` (SERIES_KEY, distinct) and `zones` number the series and their zones.

    A merchant that `physical` does not know counts as physical. The key of a series' sample is made of `seed` and
    the series alone.
    """
    keys = runs.keys.join(series.with_row_index("series"), on=SERIES_KEY, how="left", maintain_order="left")
    zone = keys["zone_representation"].replace_strict(numbered(zones), return_dtype=pl.Int32)
    shares = keys["merchant_id"].replace_strict(physical, default=1.0, return_dtype=pl.Float64)
    return Runs(
        runs.start,
        keys["series"].cast(pl.Int32).to_numpy(),
        zone.to_numpy(),
        shares.to_numpy(),
        np.array([_sample_key(seed, row) for row in runs.keys.iter_rows()], np.uint64),
    )


class ZoneTables:
    """Tables float64 [kind, zone, bucket] that are added up zone by zone."""

    def __init__(self, kinds: int, buckets: int) -> None:
        self._empty = (kinds, buckets)
        self._sums: dict[str, F64] = {}

    def add(self, zones: Sequence[str], of_zone: F64) -> None:
        for number, tzid in enumerate(zones):
            self._sums[tzid] = self._sums.get(tzid, 0.0) + of_zone[:, number]

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(sorted(self._sums))

    def of_zone(self) -> F64:
        tables = [self._sums[tzid] for tzid in self.zones]
        return np.stack(tables, axis=1) if tables else np.zeros((self._empty[0], 0, self._empty[1]))


def zones_of(keys: pl.DataFrame) -> list[str]:
    return keys["zone_representation"].unique().sort().to_list()


def _sample_key(seed: int, series: tuple[object, ...]) -> int:
    text = "|".join(str(part) for part in (seed, *series))
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")
