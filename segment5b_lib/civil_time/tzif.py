"""Zones of the pinned `tzdata` wheel as step functions. The system's database is never read.

Files here, binary layout in `tzif_format`, the rule after the last transition in `posix_rule`. Steps follow the
cache's offset policy: whole minutes, and only real changes of the minute-rounded offset.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

import numpy as np
import tzdata

from segment5b_lib.arrays import I32, I64
from segment5b_lib.civil_time.posix_rule import parse_rule, transitions_of_year
from segment5b_lib.civil_time.tzif_format import TzifData, parse_tzif
from segment5b_lib.contract.units import BEFORE_TIME
from segment5b_lib.errors import InputError

IANA_RELEASE: str = tzdata.IANA_VERSION
"""Release tag of the database, e.g. ``2026f``."""

EXPANDED_THROUGH_YEAR = 2100
"""Last calendar year (UTC) for which a footer rule is written out as explicit transitions."""

_FIRST_RULE_YEAR = 1900
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    """Every zone name of the database, links included, ascending."""
    return tuple(sorted((resources.files("tzdata") / "zones").read_text("ascii").split()))


@lru_cache(maxsize=1)
def database_sha256() -> str:
    """SHA-256 over (name, content) of every zone file of the wheel, in ascending name order (hex64)."""
    digest = hashlib.sha256()
    for name in zone_names():
        content = zone_bytes(name)
        digest.update(f"{name}\0{len(content)}\0".encode("ascii"))
        digest.update(content)
    return digest.hexdigest()


def zone_bytes(tzid: str) -> bytes:
    """The TZif file of one zone; ``5B.CIVIL_TIME.ZONE_UNKNOWN`` for a name the database does not have."""
    if tzid not in zone_names():
        raise InputError(
            "5B.CIVIL_TIME.ZONE_UNKNOWN",
            "no such time zone in the pinned database",
            where=f"tzid {tzid!r}",
            expected=f"one of the {len(zone_names())} names of IANA {IANA_RELEASE}",
            found=repr(tzid),
            next_step="correct the zone name where it is assigned",
        )
    return resources.files("tzdata").joinpath("zoneinfo", *tzid.split("/")).read_bytes()


@lru_cache(maxsize=1024)
def read_zone(tzid: str, through_year: int = EXPANDED_THROUGH_YEAR) -> Transitions:
    """Offsets of one zone from the beginning of time through the end of `through_year` (UTC), in read-only arrays.

    The last offset holds for ever, which is right only up to the end of `through_year`.
    """
    return step_function(zone_bytes(tzid), through_year, f"tzdata {tzdata.__version__}, zone {tzid}")


def step_function(content: bytes, through_year: int, where: str) -> Transitions:
    """One TZif file, whichever release it comes from, as `read_zone` gives it. `where` is for errors."""
    data = parse_tzif(content, where)
    steps = minute_steps(data.base_offset, *_with_rule(data, through_year, where))
    keep = steps.utc_seconds < year_start(through_year + 1)
    result = Transitions(steps.utc_seconds[keep], steps.offset_minutes[keep])
    for array in result:
        array.setflags(write=False)
    return result


def year_start(year: int) -> int:
    """Epoch second of 1 January 00:00 UTC of a year."""
    return int((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())


def _with_rule(data: TzifData, through_year: int, where: str) -> tuple[I64, I32]:
    """Explicit transitions, followed by those the footer implies after the last of them."""
    rule = parse_rule(data.footer, where) if data.footer else None
    if rule is None:
        return data.seconds, data.offsets
    last = int(data.seconds[-1]) if data.seconds.size else None
    first_year = _FIRST_RULE_YEAR if last is None else (_EPOCH + timedelta(seconds=last)).year
    # A rule that is daylight saving all year ends and starts at one instant: the later statement holds.
    implied = dict(
        pair
        for year in range(first_year, through_year + 2)
        for pair in transitions_of_year(rule, year)
        if last is None or pair[0] > last
    )
    return (
        np.concatenate([data.seconds, np.array(list(implied), np.int64)]),
        np.concatenate([data.offsets, np.array(list(implied.values()), np.int32)]),
    )


class Transitions(NamedTuple):
    """Offset of one zone, local minus UTC; entry `i` holds on [utc_seconds[i], utc_seconds[i + 1]).

    The epoch seconds increase from BEFORE_TIME; neighbouring offsets differ.
    """

    utc_seconds: I64
    offset_minutes: I32

    def seconds_at(self, instants: I64) -> I64:
        """Local minus UTC in seconds at each epoch second."""
        index = np.searchsorted(self.utc_seconds, instants, side="right") - 1
        return self.offset_minutes[index].astype(np.int64) * 60


def changes_within(start: int, end: int, *clocks: I64) -> I64:
    """`start` and every instant on (start, end) at which one of the clocks changes: epoch seconds, ascending."""
    changes = np.concatenate(clocks)
    return np.unique(np.append(changes[(changes > start) & (changes < end)], start))


def minute_steps(base_offset: int, seconds: I64, offsets: I32) -> Transitions:
    """Offsets in seconds to a minimal step function in minutes (nearest; a tie goes to the even minute).

    Local mean times such as +00:53:28 are the reason for the rounding; since 1972 every offset of the
    database is a whole minute.
    """
    minutes = np.rint(np.concatenate([[base_offset], offsets]) / 60).astype(np.int32)
    instants = np.concatenate([np.array([BEFORE_TIME], np.int64), seconds])
    real = np.concatenate([[True], minutes[1:] != minutes[:-1]])
    return Transitions(instants[real], minutes[real])
