"""Identity of runs: canonical JSON, digests, and the ids derived from them (contracts §1, §3)."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

_UNIT_SEPARATOR = b"\x1f"


def canonical_json(value: object) -> bytes:
    """Serialise to UTF-8 JSON with sorted keys, no spaces and no NaN: equal values, equal bytes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def sha256_hex(data: bytes) -> str:
    """SHA-256 of bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def parameter_hash(policies: Mapping[str, object]) -> str:
    """SHA-256 over the canonical JSON of all nine 5B policies: any edited number changes it."""
    return sha256_hex(canonical_json(policies))


def manifest_fingerprint(inventory: Sequence[Mapping[str, str]]) -> str:
    """SHA-256 over a world's inventory.

    Each member is ``{"dataset_id", "path", "sha256"}``; paths keep ``{mf}`` as a placeholder. The order
    of the members does not matter: they are sorted by path.
    """
    members = sorted(inventory, key=lambda member: member["path"])
    rows = [[member["dataset_id"], member["path"], member["sha256"]] for member in members]
    return sha256_hex(canonical_json(rows))


def run_id(manifest_fingerprint: str, parameter_hash: str, seed: int, nonce: int = 0) -> str:
    """32 hex digits that name a run: same world, policies, seed and nonce, same run."""
    identity = {
        "manifest_fingerprint": manifest_fingerprint,
        "nonce": nonce,
        "parameter_hash": parameter_hash,
        "seed": seed,
    }
    return sha256_hex(canonical_json(identity))[:32]


def site_id(merchant_id: int, legal_country_iso: str, site_order: int) -> int:
    """u64 id of a site: little-endian last 8 bytes of SHA-256("merchant:country:order"); 0 becomes 1."""
    digest = hashlib.sha256(f"{merchant_id}:{legal_country_iso}:{site_order}".encode()).digest()
    return int.from_bytes(digest[-8:], "little") or 1


def edge_id(merchant_id: int, edge_seq_index: int) -> int:
    """u64 id of an online edge; the catalogue stores it as 16 hex digits, arrivals as a number."""
    fields = [b"3B.EDGE", str(merchant_id).encode(), struct.pack("<I", edge_seq_index)]
    digest = hashlib.sha256(_UNIT_SEPARATOR.join(fields)).digest()
    return int.from_bytes(digest[-8:], "big")


def zone_group_id(tzid: str, groups: int = 16) -> str:
    """Group of a time zone, `zg00` … : first byte of SHA-256("5B.zone_group|{tzid}") mod `groups`."""
    first = hashlib.sha256(f"5B.zone_group|{tzid}".encode()).digest()[0]
    return f"zg{first % groups:02d}"


def utc_now() -> str:
    """The current time, RFC 3339 with microseconds and `Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def utc_text(second: int) -> str:
    """An epoch second as RFC 3339, UTC."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"
