"""The engine's transition cache, binary layout `TZC1`: build from the pinned database, encode, decode.

Little-endian, unpadded: magic | u16 version | u32 zones | per zone in ascending name: u16 name length, ASCII
name, u32 n, n x (i64 UTC second, i32 offset minutes).
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from segment5b_lib.arrays import I32, I64
from segment5b_lib.civil_time.tzif import IANA_RELEASE, Transitions, database_sha256, read_zone, year_start
from segment5b_lib.contract.units import BEFORE_TIME
from segment5b_lib.errors import InputError

MAGIC = b"TZC1"
LAYOUT_VERSION = 1

_HEADER = struct.Struct("<4sHI")
_ENTRY = np.dtype([("second", "<i8"), ("minutes", "<i4")])


@dataclass(frozen=True, eq=False)
class TzCache:
    """Step functions of many zones, by ascending name, in flat arrays.

    Zone `z` owns entries [starts[z], starts[z + 1]): epoch `seconds` UTC, the first of them BEFORE_TIME, and
    `offset_minutes`, local minus UTC, from that second on.
    """

    names: tuple[str, ...]
    starts: I64
    seconds: I64
    offset_minutes: I32

    def zone(self, tzid: str) -> Transitions | None:
        """The step function of one zone, or None if the cache lacks it."""
        index = bisect_left(self.names, tzid)
        if index == len(self.names) or self.names[index] != tzid:
            return None
        owned = slice(self.starts[index], self.starts[index + 1])
        return Transitions(self.seconds[owned], self.offset_minutes[owned])


def compile_zones(tzids: Iterable[str], last_transition_year: int) -> TzCache:
    """Compile zones from the pinned database, dropping every transition after `last_transition_year` (UTC).

    Duplicate names count once. A zone the database does not have is an InputError.
    """
    names = tuple(sorted(set(tzids)))
    return _assemble(names, [read_zone(name, last_transition_year) for name in names])


def encode(cache: TzCache) -> bytes:
    parts = [_HEADER.pack(MAGIC, LAYOUT_VERSION, len(cache.names))]
    for index, name in enumerate(cache.names):
        owned = slice(cache.starts[index], cache.starts[index + 1])
        entries = np.empty(cache.seconds[owned].size, _ENTRY)
        entries["second"] = cache.seconds[owned]
        entries["minutes"] = cache.offset_minutes[owned]
        raw = name.encode("ascii")
        parts += [struct.pack("<H", len(raw)), raw, struct.pack("<I", entries.size), entries.tobytes()]
    return b"".join(parts)


def decode(data: bytes, where: str) -> TzCache:
    """Read `TZC1` bytes; no count is trusted before its bytes have been read.

    Raises
    ------
    InputError
        ``5B.CIVIL_TIME.CACHE_*``: magic, version, truncated, trailing bytes, name not ASCII, names not
        ascending, first entry not BEFORE_TIME, seconds not increasing, an offset that does not change.
    """
    reader = _Reader(data, where)
    magic, version, zones = reader.unpack(_HEADER)
    if magic != MAGIC:
        raise _refuse("MAGIC", "not a transition cache", where, MAGIC, magic)
    if version != LAYOUT_VERSION:
        raise _refuse("VERSION", "unknown version of the transition cache", where, LAYOUT_VERSION, version)
    names: list[str] = []
    steps: list[Transitions] = []
    for _ in range(zones):
        name = reader.name()
        if names and name <= names[-1]:
            raise _refuse("NAMES", "zone names do not ascend", where, f"a name after {names[-1]!r}", repr(name))
        names.append(name)
        steps.append(reader.steps(f"{where}, zone {name}"))
    if reader.at != len(data):
        raise _refuse("TRAILING", "bytes after the last zone", where, reader.at, len(data))
    return _assemble(tuple(names), steps)


def sidecar(
    encoded: bytes, *, manifest_fingerprint: str, created_utc: str, last_transition_year: int
) -> dict[str, str | int]:
    """Fields of the JSON file next to the binary file.

    `transitions_through_utc` is the exclusive end of the cache: every transition before it is
    in the file.
    """
    through = datetime.fromtimestamp(year_start(last_transition_year + 1), UTC)
    return {
        "manifest_fingerprint": manifest_fingerprint,
        "tzdb_release_tag": IANA_RELEASE,
        "tzdb_archive_sha256": database_sha256(),
        "tz_index_digest": hashlib.sha256(encoded).hexdigest(),
        "rle_cache_bytes": len(encoded),
        "created_utc": created_utc,
        "transitions_through_utc": f"{through:%Y-%m-%dT%H:%M:%SZ}",
    }


class _Reader:
    """A position in the bytes that never exceeds their end."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.where, self.at = data, where, 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            expected = f"at least {self.at + size} bytes"
            raise _refuse("TRUNCATED", "cache ends too early", self.where, expected, len(self.data))
        self.at += size
        return self.data[self.at - size : self.at]

    def unpack(self, layout: struct.Struct) -> tuple[bytes, int, int]:
        magic, version, zones = layout.unpack(self.take(layout.size))
        return magic, version, zones

    def count(self, layout: str) -> int:
        (value,) = struct.unpack(layout, self.take(struct.calcsize(layout)))
        return int(value)

    def name(self) -> str:
        raw = self.take(self.count("<H"))
        if not raw or not raw.isascii():
            raise _refuse("NAMES", "zone name is empty or not ASCII", self.where, "ASCII", repr(raw))
        return raw.decode("ascii")

    def steps(self, where: str) -> Transitions:
        size = self.count("<I")
        entries = np.frombuffer(self.take(size * _ENTRY.itemsize), _ENTRY)
        steps = Transitions(entries["second"].astype(np.int64), entries["minutes"].astype(np.int32))
        _check_steps(steps, where)
        return steps


def _check_steps(steps: Transitions, where: str) -> None:
    first = int(steps.utc_seconds[0]) if steps.utc_seconds.size else None
    if first != BEFORE_TIME:
        raise _refuse("BASE_OFFSET", "zone has no base offset", where, BEFORE_TIME, first)
    if np.any(steps.utc_seconds[1:] <= steps.utc_seconds[:-1]):
        raise _refuse("NOT_INCREASING", "transition seconds do not increase", where, "increasing", "not increasing")
    if np.any(np.diff(steps.offset_minutes) == 0):
        raise _refuse("NO_CHANGE", "an entry repeats the offset before it", where, "real changes", "a repeat")


def _assemble(names: tuple[str, ...], steps: list[Transitions]) -> TzCache:
    starts = np.cumsum([0, *(s.utc_seconds.size for s in steps)], dtype=np.int64)
    seconds = np.concatenate([np.empty(0, np.int64), *(s.utc_seconds for s in steps)])
    minutes = np.concatenate([np.empty(0, np.int32), *(s.offset_minutes for s in steps)])
    return TzCache(names, starts, seconds, minutes)


def _refuse(code: str, what: str, where: str, expected: object, found: object) -> InputError:
    return InputError(
        f"5B.CIVIL_TIME.CACHE_{code}",
        what,
        where=where,
        expected=expected,
        found=found,
        next_step="rebuild the world's 2A segment (segment5b world reopen --segment 2A)",
    )
