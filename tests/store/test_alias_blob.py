"""Alias slices: bytes by hand, a round trip, and every way in which a slice can be wrong."""

import hashlib
import struct

import numpy as np
import pytest

from segment5b_lib.errors import InputError
from segment5b_lib.store.alias_blob import decode_slice, encode_slices

PROB = np.array([7, 8, 2**32 - 1, 5], np.uint32)
ALIAS = np.array([1, 0, 0, 0], np.uint32)
STARTS = np.array([0, 2, 3, 4])


def test_bytes_are_those_of_the_contract():
    blob, slices = encode_slices(PROB, ALIAS, STARTS)
    first = struct.pack("<4I4I", 2, 32, 0, 0, 7, 1, 8, 0)
    second = struct.pack("<4I2I", 1, 32, 0, 0, 2**32 - 1, 0)
    assert blob.startswith(first + second)
    assert [(s.offset, s.length, s.rows) for s in slices] == [(0, 32, 2), (32, 24, 1), (56, 24, 1)]
    assert slices[0].checksum == hashlib.sha256(first).hexdigest()


def test_what_was_written_is_read():
    blob, slices = encode_slices(PROB, ALIAS, STARTS)
    for i, place in enumerate(slices):
        prob, alias = decode_slice(blob, place.offset, place.length, place.checksum, "test")
        own = slice(STARTS[i], STARTS[i + 1])
        assert prob.tolist() == PROB[own].tolist()
        assert alias.tolist() == ALIAS[own].tolist()


def test_no_tables_are_an_empty_blob():
    nothing = np.empty(0, np.uint32)
    assert encode_slices(nothing, nothing, np.array([0])) == (b"", [])


def sealed(content):
    return content, hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("content", "offset", "length", "code"),
    [
        (struct.pack("<6I", 1, 32, 0, 0, 9, 0), 0, 32, "BOUNDS"),
        (struct.pack("<6I", 1, 32, 0, 0, 9, 0), -8, 24, "BOUNDS"),
        (struct.pack("<6I", 1, 32, 0, 0, 9, 0), 4, 20, "BOUNDS"),
        (b"", 0, 0, "BOUNDS"),
        (struct.pack("<6I", 2, 32, 0, 0, 9, 0), 0, 24, "HEADER"),
        (struct.pack("<6I", 1, 24, 0, 0, 9, 0), 0, 24, "HEADER"),
        (struct.pack("<6I", 1, 32, 0, 1, 9, 0), 0, 24, "HEADER"),
        (struct.pack("<6I", 1, 32, 0, 0, 9, 0) + b"\0\0\0\0", 0, 28, "HEADER"),
        (struct.pack("<4I", 0, 32, 0, 0), 0, 16, "ROWS"),
        (struct.pack("<6I", 1, 32, 0, 0, 9, 1), 0, 24, "ROWS"),
        (struct.pack("<6I", 1, 32, 0, 0, 0, 0), 0, 24, "ROWS"),
    ],
)
def test_a_wrong_slice_is_refused_with_its_own_code(content, offset, length, code):
    checksum = hashlib.sha256(content[:length]).hexdigest()
    with pytest.raises(InputError) as caught:
        decode_slice(content, offset, length, checksum, "merchant 7")
    assert caught.value.code == f"5B.STORE.ALIAS_SLICE_{code}"
    assert caught.value.where == "merchant 7"


def test_other_bytes_than_the_checksums_are_refused():
    content, checksum = sealed(struct.pack("<6I", 1, 32, 0, 0, 9, 0))
    with pytest.raises(InputError) as caught:
        decode_slice(content.replace(b"\x09", b"\x08"), 0, 24, checksum, "merchant 7")
    assert caught.value.code == "5B.STORE.ALIAS_SLICE_CHECKSUM"
