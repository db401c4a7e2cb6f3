"""Verify a world: every file against its digest, every flag, table and hash against what it stands for."""

from __future__ import annotations

from pathlib import Path

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.contract.datasets import UPSTREAM_SEGMENTS
from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.identity import canonical_json, manifest_fingerprint, sha256_hex
from segment5b_lib.store.alias_blob import decode_slice
from segment5b_lib.store.bundles import read_bundle
from segment5b_lib.store.digest import changed_files
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.worlds import WORLD_FILE, World
from segment5b_lib.world.stage import MF_PLACEHOLDER


def verify_world(world: World, *, threads: int = 2) -> dict[str, int]:
    """Re-hash everything and check what is bound to what; returns how much of each kind was checked.

    Raises
    ------
    MissingInputError : a file of the world is not there.
    InputError : a file differs, is unexpected, or does not agree with another; the message names it.
    """
    _check_world_file(world)
    files = _check_files(world, threads)
    for segment in UPSTREAM_SEGMENTS:
        read_bundle(segment, world.bundle_folder(segment), world.root, world.mf)
    slices = _check_site_alias(world) + _check_edge_alias(world)
    _check_timetable(world)
    _check_edge_universe(world)
    return {"files": files, "bundles": len(UPSTREAM_SEGMENTS), "alias_tables": slices}


def _check_world_file(world: World) -> None:
    path = world.root / WORLD_FILE
    document = dict(world.document)
    claimed = document.pop("self_sha256", None)
    if (actual := sha256_hex(canonical_json(document))) != claimed:
        raise _differs("5B.WORLD.FILE_DIFFERS", "the world's own file was changed", path, claimed, actual)
    if (actual := manifest_fingerprint(document["inventory"])) != world.mf:
        raise _differs("5B.WORLD.FINGERPRINT_MISMATCH", "the inventory has another fingerprint", path, world.mf, actual)


def _check_files(world: World, threads: int) -> int:
    """Everything listed is there with its digest, and nothing else is there."""
    inventory = world.document["inventory"]
    expected = {row["path"].replace(MF_PLACEHOLDER, world.mf): row["sha256"] for row in inventory}
    expected.update(world.document["members_with_fingerprint"])
    paths = {world.root / relative: digest for relative, digest in expected.items()}
    changed = changed_files(paths, threads)
    for file in changed:
        if file.found is None:
            what = "a file of the world is missing"
            raise MissingInputError("5B.WORLD.FILE_MISSING", what, where=str(file.path), next_step=_REBUILD)
    if changed:
        file = min(changed, key=lambda file: file.path)
        raise _differs("5B.WORLD.FILE_DIFFERS", "a sealed file was changed", file.path, file.expected, file.found)
    for path in sorted(world.root.rglob("*")):
        if path.is_file() and path not in paths and path != world.root / WORLD_FILE:
            what = "a file lies in the world that it does not list"
            raise _differs("5B.WORLD.FILE_UNEXPECTED", what, path, "no such file", path.name)
    return len(paths)


def _check_site_alias(world: World) -> int:
    """2B: the blob's digest, and every merchant's table."""
    index = read_json(world.files("s2_alias_index")[0])
    path = world.files("s2_alias_blob")[0]
    blob = path.read_bytes()
    _check_blob(path, blob, index["blob_sha256"])
    for row in index["merchants"]:
        where = f"{path}, merchant {row['merchant_id']}"
        decode_slice(blob, row["offset"], row["length"], row["checksum"], where)
    return len(index["merchants"])


def _check_edge_alias(world: World) -> int:
    """3B: the blob's digest in the GLOBAL row, and every merchant's table."""
    path = world.files("edge_alias_blob_3B")[0]
    blob, merchants = path.read_bytes(), 0
    for row in world.table("edge_alias_index_3B").to_pylist():
        if row["scope"] == "GLOBAL":
            _check_blob(path, blob, row["blob_sha256_hex"])
            continue
        place = row["blob_offset_bytes"], row["blob_length_bytes"], row["merchant_alias_checksum"]
        decode_slice(blob, *place, f"{path}, merchant {row['merchant_id']}")
        merchants += 1
    return merchants


def _check_blob(path: Path, blob: bytes, expected: str) -> None:
    if (actual := sha256_hex(blob)) != expected:
        what = "a blob is not the one its index describes"
        raise _differs("5B.WORLD.FILE_DIFFERS", what, path, expected, actual)


def _check_timetable(world: World) -> None:
    """The cache can be read, and is the one the JSON file with it describes."""
    path = world.files("tz_timetable_cache")[0]
    content = path.read_bytes()
    tz_cache.decode(content, str(path))
    described = read_json(world.files("tz_timetable_cache_json")[0])["tz_index_digest"]
    if (actual := sha256_hex(content)) != described:
        raise _differs("5B.WORLD.FILE_DIFFERS", "the cache is not the one described", path, described, actual)


def _check_edge_universe(world: World) -> None:
    universe = world.files("edge_universe_hash_3B")[0]
    policy = world.files("virtual_routing_policy_3B")[0]
    expected, actual = read_json(universe)["universe_hash"], read_json(policy)["edge_universe_hash"]
    if expected != actual:
        raise _differs("5B.WORLD.UNIVERSE_MISMATCH", "the routing policy names other edges", policy, expected, actual)


_REBUILD = "restore the file from a backup, or remove the world and build it again"


def _differs(code: str, what: str, where: Path, expected: object, found: object) -> InputError:
    return InputError(code, what, where=str(where), expected=expected, found=found, next_step=_REBUILD)
