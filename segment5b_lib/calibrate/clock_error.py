"""How much of each bucket a zone's cached clock gets wrong: the transition cache against the oracle (T11's logic)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segment5b_lib.arrays import F64
from segment5b_lib.civil_time.cache import TzCache
from segment5b_lib.civil_time.oracle import expected_offsets


def wrong_share(
    cache: TzCache, tzids: Sequence[str], edges: NDArray[np.int64], tolerance_seconds: float
) -> NDArray[np.float64]:
    """Part of each bucket, float64 [zone, bucket], in which the cached offset is not the true one.

    `edges` are the bucket boundaries, epoch seconds UTC, one more than buckets. An arrival is uniform within its
    bucket, so this is the chance that its clock is wrong. A zone that the cache does not have is always wrong.
    """
    shares = [_wrong_share(cache, tzid, edges, tolerance_seconds) for tzid in tzids]
    return np.stack(shares) if shares else np.zeros((0, len(edges) - 1))


def _wrong_share(cache: TzCache, tzid: str, edges: NDArray[np.int64], tolerance_seconds: float) -> F64:
    cached, start, end = cache.zone(tzid), int(edges[0]), int(edges[-1])
    if cached is None:
        return np.ones(len(edges) - 1)
    true = expected_offsets(tzid, start, end)
    changes = np.concatenate([true.instants, cached.utc_seconds])
    instants = np.unique(np.append(changes[(changes > start) & (changes < end)], start))
    offset = cached.offset_minutes[np.searchsorted(cached.utc_seconds, instants, side="right") - 1].astype(np.int64)
    wrong = np.abs(offset * 60 - true.at(instants)) > tolerance_seconds
    marks = np.append(instants, end)
    seconds_before = np.concatenate([[0.0], np.cumsum(np.diff(marks) * wrong)])
    share: F64 = np.diff(np.interp(edges, marks, seconds_before)) / np.diff(edges)
    return share
