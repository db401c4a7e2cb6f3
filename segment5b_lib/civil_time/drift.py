"""Where a witness differs from the oracle: by zone, instant and database release, and which release explains it.

A zone's differences are explained by a release whose own TZif file gives the witness's answers at every instant
asked, not only where they differ. What no release explains is a failure.
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
from segment5b_lib.civil_time.tzif import (
    IANA_RELEASE,
    read_zone,
    step_function,
    year_start,
    zone_bytes,
    zone_names,
)
from segment5b_lib.civil_time.witnesses import Seconds, Witness, zone_file

FIRST: Final = year_start(1970)
"""Nothing before it is compared."""
PLACEHOLDER: Final = "Factory"
"""The clock of a machine that was never set. Date libraries leave it out, and no place has it."""


class Difference(NamedTuple):
    """A witness shows `found_seconds` instead of `expected_seconds` (local minus UTC) on [start, end), epoch seconds.

    `found_seconds` is None where the witness does not know the zone.
    """

    start: int
    end: int
    expected_seconds: int
    found_seconds: int | None


class ZoneDrift(NamedTuple):
    """The differences of one zone, in order of time, and the releases that show all of its answers."""

    tzid: str
    differences: tuple[Difference, ...]
    releases: tuple[str, ...]


class Drift(NamedTuple):
    """What one witness says otherwise on [FIRST, `until`).

    `releases` agree with it in the most zones of the record: more than one where its answers do not tell them apart,
    none where it has no zones at all.
    """

    witness: Witness
    until: int
    releases: tuple[str, ...]
    zones: tuple[ZoneDrift, ...]

    @property
    def unexplained(self) -> tuple[ZoneDrift, ...]:
        """Zones whose answers are those of no release."""
        return tuple(zone for zone in self.zones if not zone.releases)


class Probes(NamedTuple):
    """Where one zone is asked, and what the releases show there.

    `seconds` ascend; `expected` is the oracle's; `others` has the releases that are not the pinned one, None where a
    release does not have the zone.
    """

    seconds: Seconds
    expected: Seconds
    others: Mapping[str, Seconds | None]

    def before(self, until: int) -> Probes:
        """The probes before an instant."""
        cut = slice(int(np.searchsorted(self.seconds, until)))
        others = {release: None if line is None else line[cut] for release, line in self.others.items()}
        return Probes(self.seconds[cut], self.expected[cut], others)


def compare_all(databases: Sequence[Witness], *, until: int, every: int) -> list[Drift]:
    """Every difference of every witness on [FIRST, `until`), and the releases that show it.

    Zones are asked just before and at each change that any release knows, and once in `every` seconds between. A
    database on a release that is not on record is taken at its word, and then explains others as well.
    """
    word = {
        one.states: one.folder
        for one in databases
        if one.folder and one.states and one.states not in (IANA_RELEASE, *past_releases().releases)
    }
    asked = _all_probes(np.append(np.arange(FIRST, until, every), until - 1), word)
    return [_compare(one, asked, until) for one in databases]


def _all_probes(grid: Seconds, word: Mapping[str, Path]) -> dict[str, Probes]:
    """Probes of every zone; names of one zone, which are four in ten, share theirs."""
    asked: dict[str, Probes] = {}
    made: dict[object, Probes] = {}
    for tzid in zone_names():
        if tzid == PLACEHOLDER:
            continue
        files = dict(past_releases().zones.get(tzid, {}))
        files |= {release: zone_file(folder, tzid) for release, folder in word.items()}
        content = zone_bytes(tzid), *files.items()
        if content not in made:
            made[content] = _probes(tzid, files, grid, (*past_releases().releases, *word))
        asked[tzid] = made[content]
    return asked


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


def _compare(witness: Witness, asked: Mapping[str, Probes], until: int) -> Drift:
    until = min(until, witness.reach)
    near = {tzid: zone.before(until) for tzid, zone in asked.items()}
    answers = witness.offsets({tzid: zone.seconds for tzid, zone in near.items()})
    if all(answer is None for answer in answers.values()):
        return Drift(witness, until, (), ())
    shown = {tzid: _shown_by(answers[tzid], zone) for tzid, zone in near.items()}
    zones = tuple(
        _zone_drift(witness, tzid, zone, answers[tzid], shown[tzid], until)
        for tzid, zone in near.items()
        if IANA_RELEASE not in shown[tzid]
    )
    agree = Counter(release for releases in shown.values() for release in releases)
    most = max(agree.values(), default=0)
    return Drift(witness, until, tuple(sorted(name for name in agree if agree[name] == most)), zones)


def _shown_by(found: Seconds | None, zone: Probes) -> tuple[str, ...]:
    """The releases that give these answers everywhere."""
    lines = {**zone.others, IANA_RELEASE: zone.expected}
    return tuple(sorted(name for name, line in lines.items() if _same(found, line)))


def _same(left: Seconds | None, right: Seconds | None) -> bool:
    return left is right if left is None or right is None else np.array_equal(left, right)


def _zone_drift(
    witness: Witness, tzid: str, zone: Probes, found: Seconds | None, shown: tuple[str, ...], until: int
) -> ZoneDrift:
    seconds, expected = zone.seconds, zone.expected
    if found is None:
        return ZoneDrift(tzid, (Difference(FIRST, until, int(expected[0]), None),), shown)
    changes = np.flatnonzero((np.diff(expected) != 0) | (np.diff(found) != 0)) + 1
    starts = [int(seconds[0]), *(_first_second(witness, tzid, zone, found, i) for i in changes.tolist()), until]
    differences = tuple(
        Difference(start, end, int(expected[i]), int(found[i]))
        for i, start, end in zip([0, *changes.tolist()], starts, starts[1:], strict=False)
        if expected[i] != found[i]
    )
    return ZoneDrift(tzid, differences, shown)


def _first_second(witness: Witness, tzid: str, zone: Probes, found: Seconds, index: int) -> int:
    """First second that shows what probe `index` shows and the one before it does not."""

    def as_at_index(second: int) -> bool:
        answer = witness.offsets({tzid: np.array([second])})[tzid]
        return answer is not None and answer[0] == found[index]

    between = range(int(zone.seconds[index - 1]) + 1, int(zone.seconds[index]))
    return int(zone.seconds[index - 1]) + 1 + bisect_left(between, True, key=as_at_index)
