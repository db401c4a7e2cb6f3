"""A second witness of the arrivals: plain Python over every row, zoneinfo from the wheel, no library code."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = 60, 3600, 86_400


class Seen(NamedTuple):
    """What one arrival shows; seconds are epoch seconds UTC, local ones are digits on the wall."""

    tzid: str
    second: int
    stored: int
    expected: int
    is_virtual: bool

    @property
    def error(self) -> int:
        return self.stored - self.expected


@cache
def zone(tzid: str) -> zoneinfo.ZoneInfo:
    with resources.files("tzdata.zoneinfo").joinpath(*tzid.split("/")).open("rb") as stream:
        return zoneinfo.ZoneInfo.from_file(stream, key=tzid)


@cache
def offset(tzid: str, minute: int) -> int:
    """Offset in seconds; every change of the horizon happens on a whole minute."""
    shown = (EPOCH + timedelta(minutes=minute)).astimezone(zone(tzid)).utcoffset()
    assert shown is not None
    return int(shown.total_seconds())


def arrivals(folder: Path) -> list[Seen]:
    """Every arrival of the part files in a folder, in whole seconds (offsets are whole seconds too)."""
    columns = ["ts_utc", "tzid_primary", "ts_local_primary", "is_virtual"]
    rows: list[Seen] = []
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, columns=columns, partitioning=None)
        utc, local = (table[name].cast(pa.int64()).to_pylist() for name in ("ts_utc", "ts_local_primary"))
        zones = table["tzid_primary"].to_pylist()
        for us, tzid, stored, virtual in zip(utc, zones, local, table["is_virtual"].to_pylist(), strict=True):
            second = us // 1_000_000
            rows.append(Seen(tzid, second, stored // 1_000_000, second + offset(tzid, second // MINUTE), virtual))
    return rows


def changes(tzid: str, start: int, end: int) -> list[tuple[int, int]]:
    """Instants at which a zone's offset changes within [start, end), and by how many seconds."""
    found = []
    for hour in range(start, end, HOUR):
        if offset(tzid, hour // MINUTE) != offset(tzid, (hour + HOUR) // MINUTE):
            for minute in range(hour // MINUTE, (hour + HOUR) // MINUTE):
                step = offset(tzid, minute + 1) - offset(tzid, minute)
                if step:
                    found.append(((minute + 1) * MINUTE, step))
    return [(second, step) for second, step in found if start < second < end]


def date_of(second: int) -> str:
    return str((EPOCH + timedelta(seconds=second)).date())


def count(rows: list[Seen], key: Callable[[Seen], object]) -> Counter[object]:
    return Counter(key(row) for row in rows)
