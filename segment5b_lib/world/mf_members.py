"""Members that carry the fingerprint themselves: written after it is known, and not part of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.contract.datasets import UPSTREAM_SEGMENTS, dataset, folder_of, validation_folder
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.store.bundles import seal_bundle
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.world.spec import WorldSpec
from segment5b_lib.world.stage import MF_PLACEHOLDER

EDGE_UNIVERSE_DATASETS: Final = ("edge_catalogue_3B", "edge_alias_index_3B", "edge_alias_blob_3B")
"""What the edge universe hash is over."""


def write_mf_members(root: Path, spec: WorldSpec, mf: str, inventory: list[dict[str, str]]) -> list[Path]:
    """Write them all, bundles last; returns what was written."""
    written = [*_timetable_sidecar(root, spec, mf), *_edge_universe(root, spec, mf, inventory)]
    for segment in UPSTREAM_SEGMENTS:
        written += _bundle(root, segment, mf, inventory)
    return written


def created_utc(spec: WorldSpec) -> str:
    """World data hold no wall clock: everything is dated at the horizon's start."""
    return f"{spec.horizon.start_utc:%Y-%m-%dT%H:%M:%SZ}"


def _path(root: Path, dataset_id: str, spec: WorldSpec, mf: str) -> Path:
    return root / folder_of(dataset_id, mf=mf, seed=spec.world_seed) / dataset(dataset_id).file


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def _timetable_sidecar(root: Path, spec: WorldSpec, mf: str) -> list[Path]:
    fields = tz_cache.sidecar(
        _path(root, "tz_timetable_cache", spec, mf).read_bytes(),
        manifest_fingerprint=mf,
        created_utc=created_utc(spec),
        last_transition_year=spec.upstream.s2A.last_transition_year,
    )
    return [_write(_path(root, "tz_timetable_cache_json", spec, mf), fields)]


def _edge_universe(root: Path, spec: WorldSpec, mf: str, inventory: list[dict[str, str]]) -> list[Path]:
    """The hash that binds edges and alias tables, and the routing policy that must agree with it."""
    parts = {r["dataset_id"]: r["sha256"] for r in inventory if r["dataset_id"] in EDGE_UNIVERSE_DATASETS}
    universe = sha256_hex(canonical_json(["3B.edge_universe", parts]))
    common = {"manifest_fingerprint": mf, "created_utc": created_utc(spec)}
    semantics = {
        "tzid_settlement_field": "tzid_settlement",
        "tzid_operational_field": "tzid_operational",
        "primary": "operational",
    }
    return [
        _write(
            _path(root, "edge_universe_hash_3B", spec, mf), {**common, "universe_hash": universe, "components": parts}
        ),
        _write(
            _path(root, "virtual_routing_policy_3B", spec, mf),
            {**common, "edge_universe_hash": universe, "dual_timezone_semantics": semantics},
        ),
    ]


def _bundle(root: Path, segment: str, mf: str, inventory: list[dict[str, str]]) -> list[Path]:
    """Index and flag over the bundle's members; 2B's also lists that segment's datasets."""
    folder = root / validation_folder(segment, mf)
    own = [row for row in inventory if row["owner_segment"] == segment and row["path"].startswith("data/")]
    paths = [row["path"].replace(MF_PLACEHOLDER, mf) for row in own]
    inside = [Path(path).name for path in paths if (root / path).parent == folder]
    members = {path: path for path in paths} if segment == "2B" else {Path(n).stem: n for n in inside}
    before = set(folder.iterdir())
    seal_bundle(segment, folder, root, members, mf)
    return [path for path in folder.iterdir() if path not in before]


def member_digests(root: Path, written: list[Path]) -> dict[str, str]:
    """Digest of each of these members by path relative to the root, with the placeholder kept out."""
    return {path.relative_to(root).as_posix(): sha256_file(path) for path in sorted(written)}
