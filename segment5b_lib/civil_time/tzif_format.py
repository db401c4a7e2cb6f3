"""TZif binary files (RFC 9636): bytes in, flat arrays out. No files, no rules, no rounding.

Only the 64-bit block of version 2+ files is read; leap-second records are refused, because the clock of
this segment is POSIX time.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import I32, I64, U8
from segment5b_lib.errors import InputError

_HEADER = struct.Struct(">4sc15x6I")
_TYPE = struct.Struct(">iBB")


class TzifData(NamedTuple):
    """One decoded file: `base_offset`, explicit transitions, then the footer's POSIX TZ string, which may be empty.

    `seconds` are epoch seconds UTC, increasing; `offsets` are seconds and hold from that instant on.
    """

    base_offset: int
    seconds: I64
    offsets: I32
    footer: str


class _Counts(NamedTuple):
    isutc: int
    isstd: int
    leap: int
    times: int
    types: int
    chars: int

    def block_bytes(self, time_size: int) -> int:
        return (
            self.times * (time_size + 1)
            + self.types * _TYPE.size
            + self.chars
            + self.leap * (time_size + 4)
            + self.isstd
            + self.isutc
        )


def parse_tzif(data: bytes, where: str) -> TzifData:
    """Decode the 64-bit block and the footer of one TZif file.

    Raises
    ------
    InputError
        ``5B.CIVIL_TIME.TZIF_*``: bad magic, version 1 only, truncated, not increasing, unknown type index.
    """
    start = _HEADER.size + _header(data, 0, where).block_bytes(4)
    counts = _header(data, start, where)
    if counts.leap or not counts.types:
        raise _refuse("LAYOUT", "file has leap seconds or no local time type", where, counts)
    begin = start + _HEADER.size
    end = begin + counts.block_bytes(8)
    if len(data) < end + 2:
        raise _refuse("TRUNCATED", "file ends inside its 64-bit block", where, f"{len(data)} of {end + 2} bytes")
    seconds, kinds, type_offsets = _block(data, begin, counts)
    if np.any(np.diff(seconds) <= 0):
        raise _refuse("NOT_INCREASING", "transition times do not increase", where, "a repeated or earlier time")
    if kinds.size and kinds.max() >= counts.types:
        raise _refuse("TYPE_INDEX", "a transition names a type that is not there", where, int(kinds.max()))
    return TzifData(int(type_offsets[0]), seconds, type_offsets[kinds], _footer(data[end:], where))


def _header(data: bytes, at: int, where: str) -> _Counts:
    if len(data) < at + _HEADER.size:
        raise _refuse("TRUNCATED", "file ends inside a header", where, f"{len(data)} bytes")
    magic, version, *counts = _HEADER.unpack_from(data, at)
    if magic != b"TZif" or version < b"2":
        raise _refuse("MAGIC", "not a TZif file of version 2 or later", where, repr(magic + version))
    return _Counts(*counts)


def _block(data: bytes, at: int, counts: _Counts) -> tuple[I64, U8, I32]:
    seconds = np.frombuffer(data, ">i8", counts.times, at).astype(np.int64)
    at += 8 * counts.times
    kinds = np.frombuffer(data, np.uint8, counts.times, at)
    at += counts.times
    offsets = [_TYPE.unpack_from(data, at + _TYPE.size * i)[0] for i in range(counts.types)]
    return seconds, kinds, np.array(offsets, np.int32)


def _footer(tail: bytes, where: str) -> str:
    close = tail.find(b"\n", 1)
    if tail[:1] != b"\n" or close < 0 or not tail[:close].isascii():
        raise _refuse("FOOTER", "footer is not one line of ASCII", where, repr(tail[:40]))
    return tail[1:close].decode("ascii")


def _refuse(code: str, what: str, where: str, found: object) -> InputError:
    return InputError(
        f"5B.CIVIL_TIME.TZIF_{code}",
        what,
        where=where,
        expected="TZif version 2+ as in RFC 9636",
        found=found,
        next_step="reinstall the pinned tzdata package",
    )
