"""The summary of S4: one row per series and bucket that has arrivals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.states.s4_expansion import Expansion, ShardResult


def summary_table(expansion: Expansion, results: Sequence[ShardResult]) -> pa.Table:
    """Rows of the merchants of some shards, in key order.

    The shards cover the same merchants: one shard, or all that one merchant was split into by bucket.
    """
    first, stop = expansion.series_range(results[0].shard)
    counts = expansion.counts.series[first:stop]
    virtual, first_seq = np.zeros(counts.shape, np.int32), np.zeros(counts.shape, np.int64)
    for result in results:
        buckets = slice(result.shard.bucket_from, result.shard.bucket_to)
        positive = counts[:, buckets] > 0
        virtual[:, buckets][positive] = result.virtual
        first_seq[:, buckets][positive] = result.first_seq
    series, bucket = np.nonzero(counts)
    count, online = counts[series, bucket], virtual[series, bucket]
    keys = expansion.domain.frame.select(SERIES_KEY)[first:stop][series]
    frame = keys.with_columns(
        bucket_index=pl.Series(bucket.astype(np.int32)),
        count_N=pl.Series(count),
        count_physical=pl.Series(count - online),
        count_virtual=pl.Series(online),
        first_arrival_seq=pl.Series(first_seq[series, bucket]),
    )
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
