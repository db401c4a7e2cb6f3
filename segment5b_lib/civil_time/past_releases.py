"""Older releases of the tz database, where they differ from the pinned one, to explain differences of other databases.

`past_releases.json` holds, for every release on record, the TZif files of the zones whose offsets differ from the
pinned release's somewhere in 1970-2100. `tests/civil_time/record_past_releases.py` makes it from the `tzdata`
wheels, and has to when the pin is raised.
"""

from __future__ import annotations

import base64
import io
import json
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

from segment5b_lib.civil_time.tzif import IANA_RELEASE
from segment5b_lib.errors import StaleError

RECORD_FILE: Final = "past_releases.json"


@dataclass(frozen=True)
class PastReleases:
    """TZif files of other releases, for the zones in which they differ.

    Attributes
    ----------
    releases : release tags, ascending, without the pinned one
    zones : by zone and release, the zone's TZif file; None if the release lacks the zone. A release without
        an entry agrees with the pinned one
    """

    releases: tuple[str, ...]
    zones: Mapping[str, Mapping[str, bytes | None]]


@lru_cache(maxsize=1)
def past_releases() -> PastReleases:
    """The record that ships with the library.

    Raises
    ------
    StaleError
        ``5B.CIVIL_TIME.RECORD_STALE``: it was made against another release than the pinned one.
    """
    document = json.loads(resources.files(__package__).joinpath(RECORD_FILE).read_text("ascii"))
    if document["pinned"] != IANA_RELEASE:
        raise StaleError(
            "5B.CIVIL_TIME.RECORD_STALE",
            "the record of past releases was made against another release of the tz database",
            where=RECORD_FILE,
            expected=IANA_RELEASE,
            found=document["pinned"],
            next_step="python tests/civil_time/record_past_releases.py, with the wheels of all releases on record",
        )
    files = {digest: base64.b64decode(text) for digest, text in document["files"].items()}
    zones: dict[str, dict[str, bytes | None]] = {}
    for release, entry in sorted(document["releases"].items()):
        for tzid, digest in entry["zones"].items():
            zones.setdefault(tzid, {})[release] = None if digest is None else files[digest]
    return PastReleases(tuple(sorted(document["releases"])), zones)


@lru_cache(maxsize=256)
def zone_of(content: bytes) -> zoneinfo.ZoneInfo:
    """A TZif file as Python's zoneinfo reads it: the code that the oracle trusts, not this library's."""
    return zoneinfo.ZoneInfo.from_file(io.BytesIO(content))
