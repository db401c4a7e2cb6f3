"""The summary of S4: one row per series and bucket that has arrivals."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.kernel.arrival_tables import Counts, Tallies
from segment5b_lib.states.s4.shards import Shard, merchant_groups
from segment5b_lib.states.series import SeriesDomain


class SummaryParts:
    """Parts of the summary: one for the merchants of a shard, or for the one merchant that several shards share."""

    def __init__(self, shards: list[Shard]) -> None:
        self._missing = {
            shard.part: (part, group) for part, group in enumerate(merchant_groups(shards)) for shard in group
        }
        self._tallies: dict[int, Tallies] = {}
        self._lock = threading.Lock()

    def add(self, shard: Shard, tallies: Tallies) -> tuple[int, list[Tallies]] | None:
        """Hand in what a shard adds up to. The last one of a part gets its number and all its tallies by bucket."""
        part, group = self._missing[shard.part]
        with self._lock:
            self._tallies[shard.part] = tallies
            if all(other.part in self._tallies for other in group):
                return part, [self._tallies.pop(other.part) for other in group]
        return None


def summary_table(domain: SeriesDomain, counts: Counts, tallies: Sequence[Tallies]) -> pa.Table:
    """Rows of the series of `counts`, in key order; `tallies` are theirs, for one range of buckets after the other."""
    virtual = np.concatenate([part.virtual for part in tallies], axis=1)
    first_seq = np.concatenate([part.first_seq for part in tallies], axis=1)
    series, bucket = np.nonzero(counts.series)
    count, online = counts.series[series, bucket], virtual[series, bucket]
    keys = domain.frame.select(SERIES_KEY)[counts.series_from :][series]
    frame = keys.with_columns(
        bucket_index=pl.Series(bucket.astype(np.int32)),
        count_N=pl.Series(count),
        count_physical=pl.Series(count - online),
        count_virtual=pl.Series(online),
        first_arrival_seq=pl.Series(first_seq[series, bucket]),
    )
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
