"""The series of a scenario as S1 published them, and tables of one row per series and bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.store.columns import dictionary, encode
from segment5b_lib.store.runs import Run


@dataclass(frozen=True)
class SeriesDomain:
    """All series of one scenario: `frame` has one row per series, `buckets` is H."""

    scenario_id: str
    frame: pl.DataFrame
    buckets: int

    def __len__(self) -> int:
        return self.frame.height

    @property
    def band(self) -> str:
        """`baseline` or `stress`; the same for every series of a scenario."""
        return str(self.frame["scenario_band"][0])

    def keys(self) -> list[tuple[str | int, ...]]:
        """(merchant, country, zone, channel) of every series: the domain of its random streams."""
        return self.frame.select(SERIES_KEY).rows()

    def place(self, series: int, bucket: int) -> str:
        """Where a row is, for error messages."""
        key = self.frame.row(series, named=True)
        return f"scenario {self.scenario_id}, key {[key[name] for name in SERIES_KEY]}, bucket {bucket}"

    def per_bucket(self, start: int, stop: int, columns: Mapping[str, NDArray[np.generic] | pa.Array]) -> pa.Table:
        """Table of the series [start, stop): key columns, bucket_index and `columns`, H rows per series."""
        part = self.frame.slice(start, stop - start)
        table: dict[str, pa.Array] = {"merchant_id": pa.array(np.repeat(part["merchant_id"].to_numpy(), self.buckets))}
        for name in SERIES_KEY[1:]:
            table[name] = _repeated_text(part[name], self.buckets)
        table["bucket_index"] = _bucket_column(self.buckets, stop - start)
        for name, values in columns.items():
            table[name] = values if isinstance(values, pa.Array) else pa.array(values.reshape(-1))
        return pa.table(table)


@lru_cache(maxsize=2)
def _bucket_column(buckets: int, series: int) -> pa.Array:
    """Buckets 0 to H − 1 of some series: one column serves all slices of a size."""
    return pa.array(np.tile(np.arange(buckets, dtype=np.int32), series))


def _repeated_text(values: pl.Series, times: int) -> pa.DictionaryArray:
    words = dictionary(values)
    codes = encode(values, words)
    # Every code is a position in `words`: asking again for a million rows takes longer than repeating them.
    return pa.DictionaryArray.from_arrays(pa.array(np.repeat(codes, times)), pa.array(words, pa.string()), safe=False)


def load_domain(run: Run, scenario_id: str) -> SeriesDomain:
    """Read S1's grouping and grid."""
    frame = run.frame("s1_grouping_5B", scenario_id=scenario_id)
    buckets = run.table("s1_time_grid_5B", ["bucket_index"], scenario_id).num_rows
    return SeriesDomain(scenario_id, frame, buckets)
