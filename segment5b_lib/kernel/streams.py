"""Which random numbers belong to whom: one key per family and domain, a structured counter under it.

family                    key's domain  counter low    counter high   lanes
S2.latent_vector.v2       group_id      bucket_index   0              both: one normal
S3.bucket_count.v2        series        bucket_index   0              first: count
S4.arrival_time.v2        series        draw j         bucket_index   first: offset in the bucket
S4.arrival_site_pick.v2   series        draw j         bucket_index   both: zone or coin, site
S4.arrival_edge_pick.v2   series        draw j         bucket_index   first: edge

A series is (merchant_id, legal_country_iso, tzid, channel_group); a draw is 0, 1, … within series and bucket.

The family is a field of what is hashed and every field carries its length, so no two families, scenarios,
seeds or domains hash the same bytes: they share a (key, counter) only where 8 bytes of SHA-256 collide.
Streams depend on ``rng_root``, not on the world's fingerprint, the policies or the run: a candidate draws the
same numbers as its baseline.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import U64
from segment5b_lib.errors import InputError

VERSION = "5B.rng.v2"
SERIES = ("merchant_id", "legal_country_iso", "tzid", "channel_group")

LATENT_VECTOR = "S2.latent_vector.v2"
BUCKET_COUNT = "S3.bucket_count.v2"
ARRIVAL_TIME = "S4.arrival_time.v2"
ARRIVAL_SITE_PICK = "S4.arrival_site_pick.v2"
ARRIVAL_EDGE_PICK = "S4.arrival_edge_pick.v2"


class Family(NamedTuple):
    """One row of the table above: what keys a stream and what its counter words and lanes mean."""

    domain: tuple[str, ...]
    counter_low: str
    counter_high: str
    lanes: tuple[str, ...]


FAMILIES = {
    LATENT_VECTOR: Family(("group_id",), "bucket_index", "0", ("normal u0", "normal u1")),
    BUCKET_COUNT: Family(SERIES, "bucket_index", "0", ("count",)),
    ARRIVAL_TIME: Family(SERIES, "draw", "bucket_index", ("offset",)),
    ARRIVAL_SITE_PICK: Family(SERIES, "draw", "bucket_index", ("zone or coin", "site")),
    ARRIVAL_EDGE_PICK: Family(SERIES, "draw", "bucket_index", ("edge",)),
}

Domain = tuple[str | int, ...]


def stream_key(family: str, rng_root: str, seed: int, scenario_id: str, *domain: str | int) -> int:
    """Philox key (0 ≤ key < 2^64) of one stream.

    First 8 bytes, big-endian, of SHA-256 over the fields version, ``family``, ``rng_root`` (hex64 text),
    ``seed`` (8 raw little-endian bytes), ``scenario_id`` and each part of ``domain`` (UTF-8, integers in
    decimal), each field preceded by its length in bytes as big-endian uint32.

    Raises InputError for an unknown family, a malformed root, a seed outside [0, 2^64) or a domain that does
    not have the family's parts.
    """
    return int(stream_keys(family, rng_root, seed, scenario_id, [domain])[0])


def stream_keys(family: str, rng_root: str, seed: int, scenario_id: str, domains: Iterable[Domain]) -> U64:
    """Keys of many domains of one family, ``ndarray(uint64, ndim=1)`` in the order of ``domains``."""
    parts = _check_family(family)
    common = hashlib.sha256(_fields(VERSION, family, *_run_fields(rng_root, seed), scenario_id))
    keys = []
    for domain in domains:
        if len(domain) != parts:
            raise InputError(
                "5B.KERNEL.STREAM_DOMAIN",
                "a stream's domain does not have the parts of its family",
                where=family,
                expected=FAMILIES[family].domain,
                found=domain,
            )
        digest = common.copy()
        digest.update(b"".join(map(_part, domain)))
        keys.append(int.from_bytes(digest.digest()[:8], "big"))
    return np.array(keys, dtype=np.uint64)


@lru_cache(maxsize=1 << 16)
def _part(part: str | int) -> bytes:
    """A part of a domain as a field; the same merchants, zones and channels come again and again."""
    return _fields(str(part))


def _fields(*values: str | bytes) -> bytes:
    encoded = [value if isinstance(value, bytes) else value.encode() for value in values]
    return b"".join(len(value).to_bytes(4, "big") + value for value in encoded)


def _check_family(family: str) -> int:
    if family not in FAMILIES:
        raise InputError(
            "5B.KERNEL.STREAM_FAMILY",
            "there is no such family of random streams",
            expected=f"one of {', '.join(FAMILIES)}",
            found=family,
        )
    return len(FAMILIES[family].domain)


def _run_fields(rng_root: str, seed: int) -> tuple[str, bytes]:
    if not re.fullmatch("[0-9a-f]{64}", rng_root):
        raise InputError(
            "5B.KERNEL.STREAM_ROOT", "rng_root is not a fingerprint", expected="64 hex digits", found=rng_root
        )
    if not 0 <= seed < 2**64:
        raise InputError("5B.KERNEL.STREAM_SEED", "seed out of range", expected="0 <= seed < 2^64", found=seed)
    return rng_root, seed.to_bytes(8, "little")
