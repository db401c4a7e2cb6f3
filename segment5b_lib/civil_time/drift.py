"""Differences of another tz database from the oracle: by zone and instant, and the release that explains them.

A zone's differences are explained by a release whose own TZif file gives the database's offsets at every probe, not
only where they differ. A difference that no release explains is a failure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from segment5b_lib.civil_time.oracle import offsets_of, pinned_zone
from segment5b_lib.civil_time.past_releases import past_releases, zone_of
from segment5b_lib.civil_time.tz_databases import Seconds, TzDatabase, zone_file
from segment5b_lib.civil_time.tzif import IANA_RELEASE, read_zone, step_function, year_start, zone_bytes, zone_names

FIRST: Final = year_start(1970)
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
    """Differences of one database on [FIRST, `until`).

    `releases` agree with it in the most zones of the record: more than one if its offsets do not distinguish them,
    none if it has no zones.
    """

    database: TzDatabase
    until: int
    releases: tuple[str, ...]
    zones: tuple[ZoneDrift, ...]

    @property
    def unexplained(self) -> tuple[ZoneDrift, ...]:
        """Zones whose offsets match no release."""
        return tuple(zone for zone in self.zones if not zone.releases)


class Probes(NamedTuple):
    """Instants at which one zone is compared, and the offsets of the releases there.

    `seconds` ascend; `expected` is the oracle's; `others` has the other releases, None if a release lacks the zone.
    """

    seconds: Seconds
    expected: Seconds
    others: Mapping[str, Seconds | None]

    def before(self, until: int) -> Probes:
        """The probes before an instant."""
        cut = slice(int(np.searchsorted(self.seconds, until)))
        others = {release: None if line is None else line[cut] for release, line in self.others.items()}
        return Probes(self.seconds[cut], self.expected[cut], others)


def compare_all(databases: Sequence[TzDatabase], *, until: int, every: int) -> list[Drift]:
    """Every difference of every database on [FIRST, `until`), and the releases that explain it.

    Zones are compared just before and at each change in any release, and once in `every` seconds between. The files
    of a database that states a release not on record are trusted as that release, and may explain other databases.
    """
    unrecorded = {
        database.states: database.folder
        for database in databases
        if database.folder and database.states and database.states not in (IANA_RELEASE, *past_releases().releases)
    }
    probes = _all_probes(np.append(np.arange(FIRST, until, every), until - 1), unrecorded)
    return [_compare(database, probes, until) for database in databases]


def _all_probes(grid: Seconds, unrecorded: Mapping[str, Path]) -> dict[str, Probes]:
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


def _probes(tzid: str, files: Mapping[str, bytes | None], grid: Seconds, releases: tuple[str, ...]) -> Probes:
    year = datetime.fromtimestamp(int(grid[-1]), UTC).year
    steps = [read_zone(tzid, year), *(step_function(file, year, tzid) for file in files.values() if file)]
    changes = np.concatenate([step.utc_seconds[1:] for step in steps])
    near = np.concatenate([changes - 1, changes, grid])
    seconds = np.unique(near[(near >= grid[0]) & (near <= grid[-1])])
    expected = offsets_of(pinned_zone(tzid), seconds)
    others: dict[str, Seconds | None] = dict.fromkeys(releases, expected)
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


def _shown_by(actual: Seconds | None, zone: Probes) -> tuple[str, ...]:
    """The releases with exactly these offsets."""
    lines = {**zone.others, IANA_RELEASE: zone.expected}
    return tuple(sorted(name for name, line in lines.items() if _same(actual, line)))


def _same(left: Seconds | None, right: Seconds | None) -> bool:
    return left is right if left is None or right is None else np.array_equal(left, right)


def _zone_drift(
    database: TzDatabase, tzid: str, zone: Probes, actual: Seconds | None, shown: tuple[str, ...], until: int
) -> ZoneDrift:
    seconds, expected = zone.seconds, zone.expected
    if actual is None:
        return ZoneDrift(tzid, (OffsetDifference(FIRST, until, int(expected[0]), None),), shown)
    changes = np.flatnonzero((np.diff(expected) != 0) | (np.diff(actual) != 0)) + 1
    starts = [int(seconds[0]), *(_first_second(database, tzid, zone, actual, i) for i in changes.tolist()), until]
    differences = tuple(
        OffsetDifference(start, end, int(expected[i]), int(actual[i]))
        for i, start, end in zip([0, *changes.tolist()], starts, starts[1:], strict=False)
        if expected[i] != actual[i]
    )
    return ZoneDrift(tzid, differences, shown)


def _first_second(database: TzDatabase, tzid: str, zone: Probes, actual: Seconds, index: int) -> int:
    """First second with the offset of probe `index`, after the previous probe."""

    def equal_to_probe(second: int) -> bool:
        answer = database.offsets({tzid: np.array([second])})[tzid]
        return answer is not None and answer[0] == actual[index]

    between = range(int(zone.seconds[index - 1]) + 1, int(zone.seconds[index]))
    return int(zone.seconds[index - 1]) + 1 + bisect_left(between, True, key=equal_to_probe)
