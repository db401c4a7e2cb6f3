"""The tz drift report: the tz databases of this machine, their releases, and their differences from the pinned one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from importlib import resources
from typing import Final, NamedTuple

from segment5b_lib.civil_time.drift import FIRST, Drift, OffsetDifference, ZoneDrift, compare_all
from segment5b_lib.civil_time.tz_databases import ARROW_REACH, ENDLESS, tz_databases
from segment5b_lib.identity import utc_text

EVERY: Final = 91 * 86_400
"""Interval of the probes between changes: once a quarter, so in summer and in winter."""


class DriftLine(NamedTuple):
    """One database against the pinned one over a horizon [start, end).

    Attributes
    ----------
    database : name of the database
    version : of the library that carries it; empty for the system's
    release : the release or releases that it agrees with; "none" without any zone
    states : release that it states itself, or None
    in_use, zones : number of zones in use and of all zones that differ in the horizon
    first_utc : the first instant of a difference, or None
    later, later_utc : zones that differ only after the horizon, and the first instant
    unexplained : zones whose offsets match no release
    """

    database: str
    version: str
    release: str
    states: str | None
    in_use: int
    zones: int
    first_utc: str | None
    later: int
    later_utc: str | None
    unexplained: tuple[str, ...]


class DifferenceLine(NamedTuple):
    """One difference: offsets in seconds, local minus UTC, on [from_utc, until_utc)."""

    database: str
    tzid: str
    from_utc: str
    until_utc: str
    expected_seconds: int
    found_seconds: int | None
    releases: tuple[str, ...]


@lru_cache(maxsize=2)
def machine_drift(end: int) -> tuple[Drift, ...]:
    """Every database of this machine, compared through 2037, as far as all apply rules, or to `end` if later."""
    return tuple(compare_all(tz_databases(), until=max(ARROW_REACH, end), every=EVERY))


def places() -> tuple[str, ...]:
    """The zones of places, by the database's own table: without links and the zones of ships."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8")
    return tuple(sorted(line.split("\t")[2] for line in table.splitlines() if not line.startswith("#")))


def drift_line(drift: Drift, in_use: Collection[str], start: int, end: int) -> DriftLine:
    """One database in one line, for zones in use over the horizon [start, end), epoch seconds UTC."""
    firsts = {zone.tzid: differences[0].start for zone in drift.zones if (differences := _from(zone, start))}
    inside = {tzid: max(first, start) for tzid, first in firsts.items() if first < end}
    later = [first for tzid, first in firsts.items() if tzid not in inside]
    return DriftLine(
        database=drift.database.name,
        version=drift.database.version,
        release=" or ".join(drift.releases) or "none",
        states=drift.database.states,
        in_use=len(inside.keys() & set(in_use)),
        zones=len(inside),
        first_utc=utc_text(min(inside.values())) if inside else None,
        later=len(later),
        later_utc=utc_text(min(later)) if later else None,
        unexplained=tuple(zone.tzid for zone in drift.unexplained),
    )


def difference_lines(drift: Drift, start: int = FIRST, end: int = ENDLESS) -> Iterator[DifferenceLine]:
    """Every difference within [start, end), by zone and time."""
    for zone in drift.zones:
        for difference in _from(zone, start):
            if difference.start >= end:
                continue
            offsets = difference.expected_seconds, difference.found_seconds
            instants = utc_text(difference.start), utc_text(difference.end)
            yield DifferenceLine(drift.database.name, zone.tzid, *instants, *offsets, zone.releases)


def sentence(line: DriftLine) -> str:
    """A line for the terminal: release, zones that differ in the horizon (of these in use), zones that differ later."""
    if line.release == "none":
        return f"{line.database}: no time zones"
    stated = f" (states {line.states})" if line.states and line.states != line.release else ""
    now = f"{line.zones} ({line.in_use}) from {line.first_utc[:10]}" if line.first_utc else "0 (0)"
    later = f"; {line.later} from {line.later_utc[:10]}" if line.later_utc else ""
    unexplained = f"; explained by no release: {', '.join(line.unexplained)}" if line.unexplained else ""
    return f"{line.database} {line.release}{stated}: {now}{later}{unexplained}"


def _from(zone: ZoneDrift, start: int) -> list[OffsetDifference]:
    return [difference for difference in zone.differences if difference.end > start]
