"""Differences of other tz databases from the oracle: by zone and instant, and the release that explains them.

A zone's differences are explained by a release whose own TZif file gives the database's offsets at every probe, not
only where they differ. A difference that no release explains is a failure. The tz drift report has the differences of
every database of this machine, as lines.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from segment5b_lib.arrays import I64
from segment5b_lib.civil_time.oracle import offsets_of, pinned_zone
from segment5b_lib.civil_time.tz_databases import (
    ARROW_REACH,
    ENDLESS,
    TzDatabase,
    machine_databases,
    past_releases,
    zone_file,
    zone_of,
)
from segment5b_lib.civil_time.tzif import IANA_RELEASE, read_zone, step_function, year_start, zone_bytes, zone_names
from segment5b_lib.identity import utc_text

FIRST_SECOND: Final = year_start(1970)
"""First second that is compared."""
PLACEHOLDER: Final = "Factory"
"""The zone of an unconfigured machine. Date libraries leave it out, and no place uses it."""


class OffsetDifference(NamedTuple):
    """A database gives `found_seconds`, not `expected_seconds` (local minus UTC), on [start, end), epoch seconds.

    `found_seconds` is None if the database lacks the zone.
    """

    start: int
    end: int
    expected_seconds: int
    found_seconds: int | None


class ZoneDrift(NamedTuple):
    """The differences of one zone, in order of time, and the releases that give all of its offsets."""

    tzid: str
    differences: tuple[OffsetDifference, ...]
    releases: tuple[str, ...]


class Drift(NamedTuple):
    """Differences of one database on [FIRST_SECOND, `until`).

    `releases` agree with it in the most zones of the record: more than one if its offsets do not distinguish them,
    none if it has no zones.
    """

    database: TzDatabase
    until: int
    releases: tuple[str, ...]
    zones: tuple[ZoneDrift, ...]

    @property
    def unexplained(self) -> tuple[ZoneDrift, ...]:
        return tuple(zone for zone in self.zones if not zone.releases)


class Probes(NamedTuple):
    """Instants at which one zone is compared, and the offsets of the releases there.

    `seconds` ascend; `expected` is the oracle's; `others` has the other releases, None if a release lacks the zone.
    """

    seconds: I64
    expected: I64
    others: Mapping[str, I64 | None]

    def before(self, until: int) -> Probes:
        cut = slice(int(np.searchsorted(self.seconds, until)))
        others = {release: None if line is None else line[cut] for release, line in self.others.items()}
        return Probes(self.seconds[cut], self.expected[cut], others)


def compare_all(databases: Sequence[TzDatabase], *, until: int, every: int) -> list[Drift]:
    """Every difference of every database on [FIRST_SECOND, `until`), and the releases that explain it.

    Zones are compared just before and at each change in any release, and once in `every` seconds between. The files
    of a database that states a release not on record are trusted as that release, and may explain other databases.
    """
    unrecorded = {
        database.states: database.folder
        for database in databases
        if database.folder and database.states and database.states not in (IANA_RELEASE, *past_releases().releases)
    }
    probes = _all_probes(np.append(np.arange(FIRST_SECOND, until, every), until - 1), unrecorded)
    return [_compare(database, probes, until) for database in databases]


def _all_probes(grid: I64, unrecorded: Mapping[str, Path]) -> dict[str, Probes]:
    """Probes of every zone; aliases, four names in ten, share theirs."""
    probes: dict[str, Probes] = {}
    made: dict[object, Probes] = {}
    for tzid in zone_names():
        if tzid == PLACEHOLDER:
            continue
        files = dict(past_releases().zones.get(tzid, {}))
        files |= {release: zone_file(folder, tzid) for release, folder in unrecorded.items()}
        content = zone_bytes(tzid), *files.items()
        if content not in made:
            made[content] = _probes(tzid, files, grid, (*past_releases().releases, *unrecorded))
        probes[tzid] = made[content]
    return probes


def _probes(tzid: str, files: Mapping[str, bytes | None], grid: I64, releases: tuple[str, ...]) -> Probes:
    year = datetime.fromtimestamp(int(grid[-1]), UTC).year
    steps = [read_zone(tzid, year), *(step_function(file, year, tzid) for file in files.values() if file)]
    changes = np.concatenate([step.utc_seconds[1:] for step in steps])
    near = np.concatenate([changes - 1, changes, grid])
    seconds = np.unique(near[(near >= grid[0]) & (near <= grid[-1])])
    expected = offsets_of(pinned_zone(tzid), seconds)
    others: dict[str, I64 | None] = dict.fromkeys(releases, expected)
    others |= {name: None if file is None else offsets_of(zone_of(file), seconds) for name, file in files.items()}
    return Probes(seconds, expected, others)


def _compare(database: TzDatabase, probes: Mapping[str, Probes], until: int) -> Drift:
    until = min(until, database.reach)
    near = {tzid: zone.before(until) for tzid, zone in probes.items()}
    answers = database.offsets({tzid: zone.seconds for tzid, zone in near.items()})
    if all(answer is None for answer in answers.values()):
        return Drift(database, until, (), ())
    shown = {tzid: _shown_by(answers[tzid], zone) for tzid, zone in near.items()}
    zones = tuple(
        _zone_drift(database, tzid, zone, answers[tzid], shown[tzid], until)
        for tzid, zone in near.items()
        if IANA_RELEASE not in shown[tzid]
    )
    agree = Counter(release for releases in shown.values() for release in releases)
    maximum = max(agree.values(), default=0)
    return Drift(database, until, tuple(sorted(name for name in agree if agree[name] == maximum)), zones)


def _shown_by(actual: I64 | None, zone: Probes) -> tuple[str, ...]:

    def same(line: I64 | None) -> bool:
        return actual is line if actual is None or line is None else np.array_equal(actual, line)

    lines = {**zone.others, IANA_RELEASE: zone.expected}
    return tuple(sorted(name for name, line in lines.items() if same(line)))


def _zone_drift(
    database: TzDatabase, tzid: str, zone: Probes, actual: I64 | None, shown: tuple[str, ...], until: int
) -> ZoneDrift:
    seconds, expected = zone.seconds, zone.expected
    if actual is None:
        return ZoneDrift(tzid, (OffsetDifference(FIRST_SECOND, until, int(expected[0]), None),), shown)
    changes = np.flatnonzero((np.diff(expected) != 0) | (np.diff(actual) != 0)) + 1
    starts = [int(seconds[0]), *(_first_second(database, tzid, zone, actual, i) for i in changes.tolist()), until]
    differences = tuple(
        OffsetDifference(start, end, int(expected[i]), int(actual[i]))
        for i, start, end in zip([0, *changes.tolist()], starts, starts[1:], strict=False)
        if expected[i] != actual[i]
    )
    return ZoneDrift(tzid, differences, shown)


def _first_second(database: TzDatabase, tzid: str, zone: Probes, actual: I64, index: int) -> int:
    """First second with the offset of probe `index`, after the previous probe."""

    def equal_to_probe(second: int) -> bool:
        answer = database.offsets({tzid: np.array([second])})[tzid]
        return answer is not None and answer[0] == actual[index]

    between = range(int(zone.seconds[index - 1]) + 1, int(zone.seconds[index]))
    return int(zone.seconds[index - 1]) + 1 + bisect_left(between, True, key=equal_to_probe)


EVERY: Final = 91 * 86_400
"""Interval of the probes between changes: once a quarter, so in summer and in winter."""


class DriftLine(NamedTuple):
    """One database against the pinned one over a horizon [start, end).

    `release` are those that it agrees with, "none" without any zone; `states` is the one that it states itself.
    `in_use` and `zones` count the zones in use, and all zones, that differ in the horizon, first at `first_utc`;
    `later` zones differ only after it, first at `later_utc`. The offsets of `unexplained` zones match no release.
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
    return tuple(compare_all(machine_databases(), until=max(ARROW_REACH, end), every=EVERY))


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


def difference_lines(drift: Drift, start: int = FIRST_SECOND, end: int = ENDLESS) -> Iterator[DifferenceLine]:
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
