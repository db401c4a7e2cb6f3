"""Coverage of a cache: its step functions against the database's over a scenario horizon plus margin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import I32, I64
from segment5b_lib.civil_time.cache import TzCache
from segment5b_lib.civil_time.tzif import changes_within, read_zone

Steps = tuple[I64, I32]
"""Instants (epoch seconds UTC, increasing) and the offset in minutes from each of them on."""


class Shortfall(NamedTuple):
    """The first instant at which a cache and the database disagree about one zone.

    `utc_second` is an epoch second; `cached_minutes` is None if the cache lacks the zone
    (then `utc_second` is the start of the horizon).
    """

    tzid: str
    utc_second: int
    expected_minutes: int
    cached_minutes: int | None


def shortfalls(
    cache: TzCache,
    tzids: Iterable[str],
    start: int,
    end: int,
    *,
    margin: int,
    database: Callable[[str], Steps] = read_zone,
) -> list[Shortfall]:
    """Zones whose cached offsets differ from the pinned database somewhere on [start, end + margin).

    Parameters
    ----------
    cache : the transition cache under test
    tzids : active zones; duplicates count once
    start, end : horizon in epoch seconds UTC, half-open
    margin : seconds past `end` that must be right as well (policy key
        ``civil_time.horizon_margin_days``)
    database : true offsets of a zone on at least [start, end + margin); the compiled database by
        default, the independent oracle in gate T11

    Returns
    -------
    One entry per zone with a wrong offset, in ascending zone name; empty if the cache covers the horizon.
    """
    differences = (
        _first_difference(tzid, cache.zone(tzid), database(tzid), start, end + margin) for tzid in sorted(set(tzids))
    )
    return [entry for entry in differences if entry is not None]


def _first_difference(tzid: str, cached: Steps | None, true: Steps, start: int, stop: int) -> Shortfall | None:
    if cached is None:
        return Shortfall(tzid, start, int(_minutes_at(*true, np.array([start]))[0]), None)
    instants = changes_within(start, stop, true[0], cached[0])
    expected, cached_minutes = _minutes_at(*true, instants), _minutes_at(*cached, instants)
    wrong = np.flatnonzero(expected != cached_minutes)
    if wrong.size == 0:
        return None
    first = wrong[0]
    return Shortfall(tzid, int(instants[first]), int(expected[first]), int(cached_minutes[first]))


def _minutes_at(seconds: I64, minutes: I32, instants: I64) -> I32:
    return minutes[np.searchsorted(seconds, instants, side="right") - 1]
