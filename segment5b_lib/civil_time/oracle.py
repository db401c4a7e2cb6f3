"""The independent oracle of local time: Python's zoneinfo on the pinned wheel, without code of this library.

Nothing that compiles, caches or applies transitions is imported here, and no TZif byte is read here: offsets
are asked of ``ZoneInfo.utcoffset`` on a coarse scan, and each change is located by bisection to the second.
"""

from __future__ import annotations

import threading
import zoneinfo
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import I64
from segment5b_lib.errors import InputError

SCAN_SECONDS = 6 * 3600
"""Scan step. Two changes closer than this that cancel each other would be missed; no zone has such a pair."""

_tzpath_lock = threading.Lock()


class ExpectedOffsets(NamedTuple):
    """Offsets of one zone by zoneinfo on [start, end).

    Attributes
    ----------
    instants : ndarray(int64, ndim=1), epoch seconds UTC; the first is `start`, the others are changes
    offset_seconds : ndarray(int64, ndim=1), local minus UTC in seconds from that instant on
    """

    instants: I64
    offset_seconds: I64

    def at(self, seconds: I64) -> I64:
        """Offset in seconds at each epoch second of [start, end)."""
        index = np.searchsorted(self.instants, seconds, side="right") - 1
        return self.offset_seconds[index]


@lru_cache(maxsize=1024)
def expected_offsets(tzid: str, start: int, end: int) -> ExpectedOffsets:
    """Offsets of a zone on the epoch seconds [start, end), from zoneinfo alone.

    Raises
    ------
    InputError
        ``5B.CIVIL_TIME.ZONE_UNKNOWN`` if the pinned wheel has no such zone.
    """
    zone = pinned_zone(tzid)
    grid = [*range(start, end, SCAN_SECONDS), end - 1]
    offsets = [_offset(zone, second) for second in grid]
    instants, values = [start], [offsets[0]]
    for left, right, before, after in zip(grid, grid[1:], offsets, offsets[1:], strict=False):
        if before != after:
            instants.append(_first_second_of(zone, after, left, right))
            values.append(after)
    steps = ExpectedOffsets(np.array(instants, np.int64), np.array(values, np.int64))
    for array in steps:
        array.setflags(write=False)
    return steps


@lru_cache(maxsize=1)
def known_zones() -> tuple[str, ...]:
    """Every zone name that zoneinfo finds in the pinned wheel, ascending."""
    with _pinned_wheel():
        return tuple(sorted(zoneinfo.available_timezones()))


@contextmanager
def _pinned_wheel() -> Iterator[None]:
    """zoneinfo without the system's database; the process's own search path is put back afterwards."""
    with _tzpath_lock:
        before = zoneinfo.TZPATH
        zoneinfo.reset_tzpath(to=[])
        try:
            yield
        finally:
            zoneinfo.reset_tzpath(to=before)


def pinned_zone(tzid: str) -> zoneinfo.ZoneInfo:
    """A zone of the pinned wheel; ``5B.CIVIL_TIME.ZONE_UNKNOWN`` if there is no such zone."""
    with _pinned_wheel():
        try:
            return zoneinfo.ZoneInfo.no_cache(tzid)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
            raise InputError(
                "5B.CIVIL_TIME.ZONE_UNKNOWN",
                "no such time zone in the pinned database",
                where=f"tzid {tzid!r}",
                expected="a zone of the tzdata wheel",
                found=repr(tzid),
                next_step="correct the zone name where it is assigned",
            ) from error


def offsets_of(zone: zoneinfo.ZoneInfo, seconds: I64) -> I64:
    """Local minus UTC in seconds at each epoch second, asked of a zone one by one."""
    return np.array([_offset(zone, second) for second in seconds.tolist()], np.int64)


def _offset(zone: zoneinfo.ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    assert offset is not None, "a ZoneInfo always has an offset"
    return int(offset.total_seconds())


def _first_second_of(zone: zoneinfo.ZoneInfo, offset: int, left: int, right: int) -> int:
    """First second in (left, right] with the offset that holds at `right`."""
    seconds = range(left + 1, right + 1)
    return seconds[bisect_right(seconds, False, key=lambda second: _offset(zone, second) == offset)]
