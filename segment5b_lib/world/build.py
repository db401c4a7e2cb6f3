"""Build a world: write its data, fingerprint them, then write what carries the fingerprint, then publish."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.civil_time.tzif import IANA_RELEASE
from segment5b_lib.contract.datasets import UPSTREAM_SEGMENTS, dataset, folder_of, validation_folder
from segment5b_lib.identity import canonical_json, manifest_fingerprint, sha256_hex
from segment5b_lib.store.bundles import seal_bundle
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.locks import held
from segment5b_lib.store.publish import STAGING_PREFIX, replace_folder, sync_tree
from segment5b_lib.store.worlds import WORLD_FILE, World
from segment5b_lib.version import __version__
from segment5b_lib.world.cities import package_versions
from segment5b_lib.world.forecast import forecast
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.segment_files import write_1a, write_1b, write_2a, write_2b, write_3a, write_3b
from segment5b_lib.world.spec import WorldSpec
from segment5b_lib.world.stage import MF_PLACEHOLDER, Stage, name_folders
from segment5b_lib.world.surface_files import write_5a

WRITERS: Final[dict[str, Callable[[Plan, Stage], None]]] = {
    "1A": write_1a,
    "1B": write_1b,
    "2A": write_2a,
    "2B": write_2b,
    "3A": write_3a,
    "3B": write_3b,
    "5A": write_5a,
}
"""Writers by segment, in the order in which data flow. Each writes all that its segment owns, and nothing else."""
SPEC_PATH: Final = "config/world_spec.json"
EDGE_UNIVERSE_DATASETS: Final = ("edge_catalogue_3B", "edge_alias_index_3B", "edge_alias_blob_3B")
"""What the edge universe hash is over."""
ATTRIBUTION: Final = (
    "City names, coordinates, populations and zones: GeoNames (geonames.org), CC BY 4.0. "
    "Time zones: IANA tz database, public domain. Holidays: the holidays package, MIT. "
    "Merchant category codes and short names: ISO 18245."
)


@dataclass(frozen=True)
class Built:
    world: World
    existed: bool


def build_world(spec: WorldSpec, outputs_root: Path, *, threads: int = 2) -> Built:
    """Build a world under `outputs_root/worlds/<fingerprint>`.

    The same world file gives the same bytes in every folder, whatever `threads` is. If a world of that
    fingerprint is there already, nothing is written and `existed` is true.
    """
    worlds = outputs_root / "worlds"
    plan = Plan(spec)
    with staging(worlds) as root:
        stage = Stage(root, spec.world_seed)
        # The knobs belong to their segments.
        document = {key: value for key, value in spec.document().items() if key != "upstream"}
        stage.json("world_spec", "world", SPEC_PATH, document)
        for segment in UPSTREAM_SEGMENTS:
            WRITERS[segment](plan, stage)
        return seal(stage, plan, worlds, threads=threads, known={}, lineage={"parents": []})


@contextmanager
def staging(worlds: Path) -> Iterator[Path]:
    """An empty folder among the worlds, gone when the block ends unless it was published."""
    root = worlds / f"{STAGING_PREFIX}world-{uuid.uuid4().hex}"
    root.mkdir(parents=True)
    with held(root):
        try:
            yield root
        finally:
            shutil.rmtree(root, ignore_errors=True)


def seal(
    stage: Stage, plan: Plan, worlds: Path, *, threads: int, known: Mapping[str, str], lineage: Mapping[str, Any]
) -> Built:
    """Fingerprint what is staged, finish it, and publish it under its fingerprint.

    `known` are digests of files taken over from a verified world; `lineage` goes into world.json: parents,
    and for a child world the rng_root it inherits.
    """
    inventory = stage.inventory(threads, known)
    mf = manifest_fingerprint(inventory)
    target = worlds / mf
    if (target / WORLD_FILE).is_file():
        return Built(World(target), existed=True)
    name_folders(stage.root, mf)
    written = _write_fingerprinted(stage.root, plan.spec, mf, inventory)
    document = {
        "manifest_fingerprint": mf,
        "rng_root": mf,
        "world_seed": plan.spec.world_seed,
        "scale": plan.spec.scale,
        "scenarios": list(plan.spec.scenarios),
        "horizon": plan.spec.horizon.model_dump(mode="json"),
        "created_utc": created_utc(plan.spec),
        "library_version": __version__,
        "packages": package_versions(),
        "iana_release": IANA_RELEASE,
        "attribution": ATTRIBUTION,
        "forecast": forecast(plan).document(),
        "inventory": inventory,
        "members_with_fingerprint": {p.relative_to(stage.root).as_posix(): sha256_file(p) for p in sorted(written)},
        **lineage,
    }
    sealed = {**document, "self_sha256": sha256_hex(canonical_json(document))}
    (stage.root / WORLD_FILE).write_bytes(canonical_json(sealed) + b"\n")
    sync_tree(stage.root)
    replace_folder(stage.root, target)
    return Built(World(target), existed=False)


def created_utc(spec: WorldSpec) -> str:
    """World data hold no wall clock: everything is dated at the horizon's start."""
    return f"{spec.horizon.start_utc:%Y-%m-%dT%H:%M:%SZ}"


def _write_fingerprinted(root: Path, spec: WorldSpec, mf: str, inventory: list[dict[str, str]]) -> list[Path]:
    """Write the files that carry the fingerprint and so are no part of it, bundles last; returns all of them.

    The universe hash binds edges and alias tables; the routing policy must agree with it.
    """

    def path_of(dataset_id: str) -> Path:
        return root / folder_of(dataset_id, mf=mf, seed=spec.world_seed) / dataset(dataset_id).file

    common = {"manifest_fingerprint": mf, "created_utc": created_utc(spec)}
    cache, through = path_of("tz_timetable_cache").read_bytes(), spec.upstream.s2A.last_transition_year
    parts = {r["dataset_id"]: r["sha256"] for r in inventory if r["dataset_id"] in EDGE_UNIVERSE_DATASETS}
    universe = sha256_hex(canonical_json(["3B.edge_universe", parts]))
    semantics = {
        "tzid_settlement_field": "tzid_settlement",
        "tzid_operational_field": "tzid_operational",
        "primary": "operational",
    }
    documents: dict[str, object] = {
        "tz_timetable_cache_json": tz_cache.sidecar(cache, **common, last_transition_year=through),
        "edge_universe_hash_3B": {**common, "universe_hash": universe, "components": parts},
        "virtual_routing_policy_3B": {**common, "edge_universe_hash": universe, "dual_timezone_semantics": semantics},
    }
    written = [path_of(dataset_id) for dataset_id in documents]
    for path, document in zip(written, documents.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for segment in UPSTREAM_SEGMENTS:
        written += _bundle(root, segment, mf, inventory)
    return written


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
