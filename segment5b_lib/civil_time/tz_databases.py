"""Other tz databases than the pinned one: those of this machine, and older releases, which explain their differences.

None of them computes a stored value. Their offsets are only compared with the oracle (`drift`).

`past_releases.json` holds, for every release on record, the TZif files of the zones whose offsets differ from the
pinned release's somewhere in 1970-2100. `tests/civil_time/record_past_releases.py` makes it from the `tzdata`
wheels, and has to when the pin is raised.
"""

from __future__ import annotations

import base64
import io
import json
import sysconfig
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from segment5b_lib.arrays import I64
from segment5b_lib.civil_time.oracle import offsets_of
from segment5b_lib.civil_time.tzif import IANA_RELEASE, year_start
from segment5b_lib.civil_time.tzif_format import parse_tzif
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.errors import StaleError

RECORD_FILE: Final = "past_releases.json"
Questions = Mapping[str, I64]
"""By zone: epoch seconds UTC, ascending."""
Answers = Mapping[str, I64 | None]
"""By zone: local minus UTC in seconds at each of them; None if the database lacks the zone."""

POLARS_REACH: Final = year_start(2100)
"""chrono-tz, which Polars compiles in, expands rules through 2099 and then repeats the last offset."""
ARROW_REACH: Final = year_start(2038)
"""Arrow reads the system's TZif files without their footers, so it ends with 2037."""
ENDLESS: Final = 2**62
_DUCKDB_LOCAL = """
    SELECT epoch_us(timezone(tzid, make_timestamptz(second * 1000000))) // 1000000 - second AS seconds FROM questions
"""


@dataclass(frozen=True)
class PastReleases:
    """Tags of other releases, ascending, and by zone and release the zone's TZif file: None if the release lacks the
    zone. A release without an entry agrees with the pinned one.
    """

    releases: tuple[str, ...]
    zones: Mapping[str, Mapping[str, bytes | None]]


@lru_cache(maxsize=1)
def past_releases() -> PastReleases:
    """The record that ships with the library; StaleError if it was made against another release than the pinned one."""
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


class TzDatabase(NamedTuple):
    """One tz database: `name` and `version` of its library ("system" has no version), and its `offsets`.

    `states` is the release tag that it states itself. From epoch second `reach` on it applies no rules, so its offsets
    are not compared. `folder` has its TZif files, where they are readable.
    """

    name: str
    version: str
    states: str | None
    reach: int
    folder: Path | None
    offsets: Callable[[Questions], Answers]


def machine_databases() -> tuple[TzDatabase, ...]:
    """Every tz database of this machine except the pinned one."""
    libraries = (
        TzDatabase("pyarrow", pa.__version__, None, ARROW_REACH, None, _arrow),
        TzDatabase("polars", pl.__version__, None, POLARS_REACH, None, _polars),
        TzDatabase("duckdb", duckdb.__version__, None, ENDLESS, None, _duckdb),
    )
    system = [Path(folder) for folder in (sysconfig.get_config_var("TZPATH") or "").split(":") if Path(folder).is_dir()]
    return (*(folder_database("system", folder) for folder in system[:1]), *libraries)


def folder_database(name: str, folder: Path) -> TzDatabase:
    """A folder of TZif files, read by zoneinfo with its default settings."""

    def offsets(questions: Questions) -> Answers:
        files = {tzid: zone_file(folder, tzid) for tzid in questions}
        return {
            tzid: None if file is None else offsets_of(zone_of(file), questions[tzid]) for tzid, file in files.items()
        }

    return TzDatabase(name, "", _stated_release(folder), ENDLESS, folder, offsets)


def zone_file(folder: Path, tzid: str) -> bytes | None:
    """The TZif file of a zone; None if it is missing, InputError (``TZIF_*``) if it is damaged."""
    path = folder.joinpath(*tzid.split("/"))
    if not path.is_file():
        return None
    content = path.read_bytes()
    # zoneinfo never returns from a file that is cut in its footer, so it is parsed first.
    parse_tzif(content, str(path))
    return content


def _stated_release(folder: Path) -> str | None:
    """The release stated in a folder: in `+VERSION` of BSD and macOS, else in the first line of `tzdata.zi`."""
    for name in ("+VERSION", "tzdata.zi"):
        if (folder / name).is_file():
            with (folder / name).open(encoding="ascii", errors="replace") as file:
                return file.readline().removeprefix("# version ").strip() or None
    return None


def _arrow(questions: Questions) -> Answers:
    def ask(tzid: str, seconds: I64) -> I64:
        local = pc.local_timestamp(pa.array(seconds).cast(pa.timestamp("s", tzid)))
        return np.asarray(local.cast(pa.int64())) - seconds

    return _one_by_one(questions, ask, pa.ArrowInvalid)


def _polars(questions: Questions) -> Answers:
    def ask(tzid: str, seconds: I64) -> I64:
        instants = pl.Series(seconds * SECOND_US).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(tzid)
        return instants.dt.replace_time_zone(None).to_physical().to_numpy() // SECOND_US - seconds

    return _one_by_one(questions, ask, pl.exceptions.ComputeError)


def _one_by_one(
    questions: Questions, ask: Callable[[str, I64], I64], unknown: type[Exception]
) -> dict[str, I64 | None]:
    offsets_by_zone: dict[str, I64 | None] = {}
    for tzid, seconds in questions.items():
        try:
            offsets_by_zone[tzid] = ask(tzid, seconds)
        except unknown:
            offsets_by_zone[tzid] = None
    return offsets_by_zone


def _duckdb(questions: Questions) -> Answers:
    """One query for all zones: the zone is a column."""
    with duckdb.connect() as connection:
        available = {name for (name,) in connection.execute("SELECT name FROM pg_timezone_names()").fetchall()}
        queried = {tzid: seconds for tzid, seconds in questions.items() if tzid in available}
        table = pa.table(
            {
                "tzid": np.repeat(np.array(list(queried), str), [seconds.size for seconds in queried.values()]),
                "second": np.concatenate([np.empty(0, np.int64), *queried.values()]),
            }
        )
        connection.register("questions", table)
        local = connection.execute(_DUCKDB_LOCAL).fetchnumpy()["seconds"]
    bounds = np.cumsum([0, *(seconds.size for seconds in queried.values())]).tolist()
    offsets_by_zone = {tzid: local[start:end] for tzid, start, end in zip(queried, bounds, bounds[1:], strict=False)}
    return dict.fromkeys(questions) | offsets_by_zone
