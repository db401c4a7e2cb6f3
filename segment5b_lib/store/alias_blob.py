"""Alias tables on disk (2B and 3B blobs, contracts §4): slices one after the other, no file header.

A slice is little-endian: u32 n | u32 32 | u32 0 | u32 0 | n x (u32 prob_q, u32 alias). It begins at a
multiple of 8 bytes; the zero padding before it belongs to no slice. Its checksum is SHA-256 of header and
payload.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from segment5b_lib.arrays import I64, U32
from segment5b_lib.errors import InputError
from segment5b_lib.identity import sha256_hex

ALIGNMENT: Final = 8
PROBABILITY_BITS: Final = 32
_HEADER: Final = struct.Struct("<4I")
_ROW: Final = np.dtype([("prob_q", "<u4"), ("alias", "<u4")])


@dataclass(frozen=True)
class Slice:
    """Where one alias table lies in a blob: bytes [offset, offset + length), and their SHA-256."""

    offset: int
    length: int
    rows: int
    checksum: str


def encode_slices(prob_q: U32, alias: U32, starts: I64) -> tuple[bytes, list[Slice]]:
    """Many tables as one blob.

    Table `i` has rows [starts[i], starts[i + 1]) of `prob_q` and `alias`, ndarray(uint32, ndim=1); alias
    entries count from the table's own start.
    """
    blob = bytearray()
    slices: list[Slice] = []
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        blob += bytes(-len(blob) % ALIGNMENT)
        rows = np.empty(stop - start, _ROW)
        rows["prob_q"], rows["alias"] = prob_q[start:stop], alias[start:stop]
        content = _HEADER.pack(len(rows), PROBABILITY_BITS, 0, 0) + rows.tobytes()
        slices.append(Slice(len(blob), len(content), len(rows), sha256_hex(content)))
        blob += content
    return bytes(blob), slices


def decode_slice(blob: bytes, offset: int, length: int, checksum: str, where: str) -> tuple[U32, U32]:
    """One table as (prob_q, alias), ndarray(uint32, ndim=1), after every check that needs no weights.

    Raises
    ------
    InputError
        ``5B.STORE.ALIAS_SLICE_{BOUNDS,CHECKSUM,HEADER,ROWS}``: outside the blob or misaligned, other bytes
        than the checksum's, a header that does not describe them, an alias outside the table or a zero share.
    """
    content = blob[offset : offset + length] if offset >= 0 else b""
    if length < _HEADER.size or len(content) != length or offset % ALIGNMENT:
        expected = f"an aligned range within {len(blob)} bytes"
        raise _refuse("BOUNDS", "an alias table lies outside its blob", where, expected, (offset, length))
    if (actual := sha256_hex(content)) != checksum:
        raise _refuse("CHECKSUM", "an alias table does not have its checksum", where, checksum, actual)
    header = _HEADER.unpack_from(content)
    rows = (length - _HEADER.size) // _ROW.itemsize
    described = (rows, PROBABILITY_BITS, 0, 0)
    if header != described or _HEADER.size + rows * _ROW.itemsize != length:
        raise _refuse("HEADER", "an alias table's header does not describe it", where, described, header)
    table = np.frombuffer(content, _ROW, offset=_HEADER.size)
    if rows == 0 or int(table["alias"].max()) >= rows or int(table["prob_q"].min()) == 0:
        raise _refuse("ROWS", "an alias table has an impossible row", where, f"0 <= alias < {rows}, prob_q > 0", "")
    return table["prob_q"].astype(np.uint32), table["alias"].astype(np.uint32)


def _refuse(code: str, what: str, where: str, expected: object, found: object) -> InputError:
    return InputError(
        f"5B.STORE.ALIAS_SLICE_{code}",
        what,
        where=where,
        expected=expected,
        found=found,
        next_step="restore the file, or rebuild the world",
    )
