"""The wall clock that the oracle expects, for many arrivals at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from segment5b_lib.arrays import F64, I32, I64
from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.contract.units import DAY_S, SECOND_US
from segment5b_lib.errors import InputError

UNKNOWN_OFFSET: Final = np.iinfo(np.int64).min // 2
"""Offset of a zone that the database lacks: every stored clock is wrong by far."""
_QUARTER: Final = 900


@dataclass(frozen=True)
class ScenarioHorizon:
    """Buckets [start + b·width, start + (b + 1)·width) of a scenario, b below `buckets`; epoch seconds UTC."""

    start: int
    width: int
    buckets: int

    @property
    def end(self) -> int:
        return self.start + self.width * self.buckets


def stored_clock_errors(horizon: ScenarioHorizon, tzids: Sequence[str], zone: I32, ts: I64, local: I64) -> I64:
    """Stored minus expected wall clock, microseconds.

    `zone` holds positions in `tzids`; `ts` and `local` are microseconds, `local` in the digits as stored. Instants
    outside the horizon are compared with the nearest offset in it.
    """
    return local - ts - _offsets(horizon, tzids, zone, ts) * SECOND_US


def _offsets(horizon: ScenarioHorizon, tzids: Sequence[str], zone: I32, ts: I64) -> I64:
    seconds = np.clip(ts // SECOND_US, horizon.start, horizon.end - 1)
    order = np.argsort(zone, kind="stable")
    bounds = np.searchsorted(zone[order], np.arange(len(tzids) + 1))
    offsets = np.full(ts.size, UNKNOWN_OFFSET // SECOND_US)
    for code, tzid in enumerate(tzids):
        rows = order[bounds[code] : bounds[code + 1]]
        if rows.size:
            offsets[rows] = _of_zone(horizon, tzid, seconds[rows])
    return offsets


def _of_zone(horizon: ScenarioHorizon, tzid: str, seconds: I64) -> I64:
    try:
        return expected_offsets(tzid, horizon.start, horizon.end).at(seconds)
    except InputError:
        return np.full(seconds.size, UNKNOWN_OFFSET // SECOND_US)


def bucket_weekend_shares(horizon: ScenarioHorizon, tzids: Sequence[str]) -> F64:
    """Share of every bucket on a local Saturday or Sunday: ndarray(float64, ndim=2) [zone, bucket]."""
    cell = math.gcd(horizon.width, _QUARTER)
    instants = np.arange(horizon.start, horizon.end, cell)
    shares = np.empty((len(tzids), horizon.buckets))
    for position, tzid in enumerate(tzids):
        local = instants + expected_offsets(tzid, horizon.start, horizon.end).at(instants)
        # The epoch was a Thursday, three days after a Monday.
        shares[position] = ((local // DAY_S + 3) % 7 >= 5).reshape(horizon.buckets, -1).mean(axis=1)
    return shares
