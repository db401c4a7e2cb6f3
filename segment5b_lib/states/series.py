"""The series of a scenario as S1 published them, and tables of one row per series and bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.kernel.streams import FAMILIES
from segment5b_lib.store.columns import dictionary, word_codes
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

    def outermost(self, series: NDArray[np.integer]) -> list[str]:
        """Stream names of the first and the last of some series; empty if there are none."""
        keys = self.frame.select(SERIES_KEY)
        return ["|".join(map(str, keys.row(position))) for position in series[[0, -1]].tolist()] if series.size else []

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
    return pa.array(np.tile(np.arange(buckets, dtype=np.int32), series))


def _repeated_text(values: pl.Series, times: int) -> pa.DictionaryArray:
    words = dictionary(values)
    codes = word_codes(values, words)
    # Every code is a position in `words`: a check of a million rows takes longer than repeating them.
    return pa.DictionaryArray.from_arrays(pa.array(np.repeat(codes, times)), pa.array(words, pa.string()), safe=False)


def rng_total(scenario_id: str, family: str, blocks: int, names: Sequence[str]) -> dict[str, Any]:
    """Draws of one family of streams, one event per block; `names` are its streams, of which the outermost are kept."""
    return {
        "scenario_id": scenario_id,
        "family": family,
        "events": blocks,
        "blocks": blocks,
        "draws": blocks * len(FAMILIES[family].lanes),
        "first_domain": names[0] if names else None,
        "last_domain": names[-1] if names else None,
    }


def load_domain(run: Run, scenario_id: str) -> SeriesDomain:
    frame = run.frame("s1_grouping_5B", scenario_id=scenario_id)
    buckets = run.table("s1_time_grid_5B", ["bucket_index"], scenario_id).num_rows
    return SeriesDomain(scenario_id, frame, buckets)
