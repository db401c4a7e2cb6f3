"""A trace of the random blocks that a run uses: which stream defines them, and whether the arrivals carry them.

The definitions are those of `kernel.streams`, applied plainly: a key per series, the counter (draw j, bucket), lane 0.
The trace covers the keys of every series and every group in all five families, and the offsets of a seeded sample
of series, draw by draw. Sites and edges are no function of one block; A4 covers them, A3 the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import polars as pl

from segment5b_lib.arrays import I32, I64, U8, U64
from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.gates.evidence.count_pass import SeriesCounts
from segment5b_lib.kernel.philox import uniforms_at
from segment5b_lib.kernel.streams import (
    ARRIVAL_EDGE_PICK,
    ARRIVAL_SITE_PICK,
    ARRIVAL_TIME,
    BUCKET_COUNT,
    LATENT_VECTOR,
    stream_keys,
)
from segment5b_lib.store.runs import Run


def sampled_series(counts: SeriesCounts | None, draws: int, seed: int) -> U8:
    """Flags uint8 [series]: a seeded sample with at most so many arrivals in all; a busier series is never in it."""
    if counts is None:
        return np.zeros(0, np.uint8)
    sample = np.zeros(counts.series.height, np.uint8)
    totals = counts.counts.sum(axis=1, dtype=np.int64)
    texts = [f"{seed}|{row}" for row in counts.series.iter_rows()]
    left = draws
    for s in sorted(range(sample.size), key=lambda s: sha256(texts[s].encode()).digest()):
        if 0 < totals[s] <= left:
            sample[s], left = 1, left - int(totals[s])
    return sample


def defined_offsets(
    counts: SeriesCounts, sample: U8, rng_root: str, seed: int, scenario_id: str, bucket_us: int
) -> pl.DataFrame:
    """The offsets that the streams give the sampled series: SERIES_KEY, bucket_index, offset (microseconds)."""
    at = np.flatnonzero(sample)
    keys = stream_keys(ARRIVAL_TIME, rng_root, seed, scenario_id, counts.series[at].iter_rows())
    series, bucket = np.nonzero(counts.counts[at])
    draws = counts.counts[at][series, bucket]
    series, bucket = np.repeat(series, draws), np.repeat(bucket, draws)
    u = uniforms_at(_ordinals(draws).view(np.uint64), bucket.view(np.uint64), keys[series])
    offset = np.minimum((u * bucket_us).astype(np.int64), bucket_us - 1)
    return counts.series[at][series].with_columns(
        bucket_index=pl.Series(bucket.astype(np.int32)), offset=pl.Series(offset)
    )


def _ordinals(draws: I32) -> I64:
    """0 … n − 1 for each n of `draws`, one after the other."""
    ends = np.cumsum(draws, dtype=np.int64)
    return np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - draws, draws)


def draws_that_differ(defined: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Series with offsets that are not the defined ones: SERIES_KEY, differing (draws missing or not defined)."""
    key = [*SERIES_KEY, "bucket_index", "offset"]
    sides = [
        frame.group_by(key).agg(pl.len().cast(pl.Int64).alias("n")).with_columns(n=sign * pl.col("n"))
        for frame, sign in ((defined, 1), (found.select(key), -1))
    ]
    unequal = pl.concat(sides).group_by(key).agg(pl.col("n").sum()).filter(pl.col("n") != 0)
    return unequal.group_by(SERIES_KEY).agg(differing=pl.col("n").abs().sum()).sort(SERIES_KEY)


@dataclass(frozen=True)
class Reuse:
    """Keys and blocks of a scenario's streams, and how many blocks are used more than once."""

    keys: int
    blocks: int
    twice: int


def blocks_used_twice(run: Run, scenario_id: str, counts: SeriesCounts) -> Reuse:
    """Count the blocks of a scenario, and those that streams of equal keys share.

    S4 uses one block per draw of each of its families, S3 one per bucket of a series, S2 one per bucket of a group.
    Streams with one key share the counters that both use. `blocks` counts those of S2, S3 and of S4's offsets.
    """
    receipt, series = run.receipt, counts.series.rows()
    groups = run.table("s1_grouping_5B", ["group_id"], scenario_id)["group_id"].unique().to_pylist()
    once = np.ones(counts.counts.shape[1], np.int32)
    users = [
        (ARRIVAL_TIME, series, list(counts.counts)),
        (ARRIVAL_SITE_PICK, series, list(counts.counts)),
        (ARRIVAL_EDGE_PICK, series, list(counts.counts)),
        (BUCKET_COUNT, series, [once] * len(series)),
        (LATENT_VECTOR, [(group,) for group in groups], [once] * len(groups)),
    ]
    keys = np.concatenate(
        [stream_keys(family, receipt.rng_root, receipt.seed, scenario_id, domains) for family, domains, _ in users]
    )
    used = [blocks for _, _, tables in users for blocks in tables]
    drawn = int(counts.counts.sum(dtype=np.int64)) + once.size * (len(series) + len(groups))
    return Reuse(keys.size, drawn, _shared(keys, used))


def _shared(keys: U64, used: Sequence[I32]) -> int:
    """Blocks that a stream uses although another with its key does; `used` [stream][bucket] counts draws."""
    order = np.argsort(keys, kind="stable")
    twice = 0
    for group in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        if group.size > 1:
            tables = np.stack([used[stream] for stream in group])
            twice += int(tables.sum() - tables.max(axis=0).sum())
    return twice
