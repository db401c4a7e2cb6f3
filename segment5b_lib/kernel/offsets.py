"""The offset of a zone's wall clock at an instant, without a search per arrival.

A bucket that contains no transition has one offset, and almost every bucket is like that: a dense table
[zone, bucket] holds it. A bucket with a transition strictly inside holds ``FIRST_RUN`` + i instead: its
offsets are the entries i, i+1, … of a short list, each in force from its own instant on, closed by an entry
that is never reached. The answer is that of a search for the zone's last transition ≤ the whole second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import I32, I64
from segment5b_lib.contract.units import BEFORE_TIME, SECOND_US
from segment5b_lib.errors import InputError
from segment5b_lib.kernel._check import check_array, check_range
from segment5b_lib.kernel._jit import jit

MAX_OFFSET_MINUTES = 24 * 60
FIRST_RUN = 1 << 20
"""Above every offset."""
MAX_SECOND = 1 << 33
NEVER = np.iinfo(np.int64).max


class OffsetTable(NamedTuple):
    """Offsets in minutes, local minus UTC, for the buckets of one horizon.

    ``at_start`` int32 [zone, bucket]: the bucket's offset, or FIRST_RUN + index of its run; ``run_from_us``
    int64 and ``run_minutes`` int32: the entries of all runs, each in force from its epoch microsecond on.
    """

    at_start: I32
    run_from_us: I64
    run_minutes: I32


@jit
def offset_at(table: OffsetTable, zone: int, bucket: int, utc_us: int) -> int:
    """Offset in minutes of ``zone`` at ``utc_us``, an epoch microsecond that lies in ``bucket``."""
    entry = int(table.at_start[np.uintp(zone), np.uintp(bucket)])
    if entry < FIRST_RUN:
        return entry
    entry -= FIRST_RUN
    while table.run_from_us[entry + 1] <= utc_us:
        entry += 1
    return int(table.run_minutes[entry])


def offset_table(
    starts: I64, seconds: I64, offset_minutes: I32, *, horizon_start: int, bucket_seconds: int, buckets: int
) -> OffsetTable:
    """Table of the buckets [horizon_start + b·bucket_seconds, horizon_start + (b+1)·bucket_seconds).

    ``horizon_start`` epoch seconds UTC. Zone z's transitions are rows [``starts[z]``, ``starts[z+1]``):
    ``seconds`` int64 epoch seconds UTC, the first −2^63, strictly increasing; ``offset_minutes`` int32, in
    force from there on, at most a day. Raises InputError.
    """
    _check(starts, seconds, offset_minutes)
    check_range("horizon_start", horizon_start, -MAX_SECOND, MAX_SECOND)
    check_range("bucket_seconds", bucket_seconds, 1, MAX_SECOND)
    check_range("buckets", buckets, 1, np.iinfo(np.int32).max)
    edges = horizon_start + bucket_seconds * np.arange(buckets + 1, dtype=np.int64)
    at_start = np.empty((starts.size - 1, buckets), np.int32)
    runs: list[tuple[int, int]] = []
    for zone in range(starts.size - 1):
        rows = slice(starts[zone], starts[zone + 1])
        instants, minutes = seconds[rows], offset_minutes[rows]
        before = np.searchsorted(instants, edges[:-1], side="right")
        after = np.searchsorted(instants, edges[1:], side="left")
        at_start[zone] = minutes[before - 1]
        for bucket in np.flatnonzero(after > before):
            inside = range(before[bucket], after[bucket])
            entries = [(int(instants[i]) * SECOND_US, int(minutes[i])) for i in inside]
            runs_at = FIRST_RUN + len(runs)
            runs += [(int(edges[bucket]) * SECOND_US, int(at_start[zone, bucket])), *entries, (NEVER, 0)]
            at_start[zone, bucket] = runs_at
    from_us, run_minutes = zip(*runs, strict=True) if runs else ((), ())
    return OffsetTable(at_start, np.array(from_us, np.int64), np.array(run_minutes, np.int32))


def _check(starts: I64, seconds: I64, offset_minutes: I32) -> None:
    check_array("starts", starts, np.int64, (None,))
    check_array("seconds", seconds, np.int64, (None,))
    check_array("offset_minutes", offset_minutes, np.int32, seconds.shape)
    check_range("offset_minutes", offset_minutes, -MAX_OFFSET_MINUTES, MAX_OFFSET_MINUTES)
    cut = starts.size >= 1 and starts[0] == 0 and starts[-1] == seconds.size and (np.diff(starts) > 0).all()
    first = np.isin(np.arange(seconds.size), starts[:-1])
    if not (cut and (seconds[first] == BEFORE_TIME).all() and (seconds[1:] > seconds[:-1])[~first[1:]].all()):
        raise InputError(
            "5B.KERNEL.TRANSITIONS",
            "transitions are not sorted per zone from the beginning of time",
            expected="starts ascending from 0 to the row count, each zone strictly increasing from -2^63",
            found=f"{starts.size - 1} zones, {seconds.size} rows",
            next_step="rebuild the time-zone cache",
        )
