"""Build a world: write its data, fingerprint them, then write what carries the fingerprint, then publish."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from segment5b_lib.civil_time.tzif import IANA_RELEASE
from segment5b_lib.contract.datasets import UPSTREAM_SEGMENTS
from segment5b_lib.identity import canonical_json, manifest_fingerprint, sha256_hex
from segment5b_lib.store.locks import held
from segment5b_lib.store.publish import STAGING_PREFIX, replace_folder, sync_tree
from segment5b_lib.store.worlds import WORLD_FILE, World
from segment5b_lib.version import __version__
from segment5b_lib.world.cities import package_versions
from segment5b_lib.world.edge_files import write_3b
from segment5b_lib.world.forecast import forecast
from segment5b_lib.world.mf_members import created_utc, member_digests, write_mf_members
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.site_files import write_1a, write_1b, write_2a, write_3a
from segment5b_lib.world.spec import WorldSpec
from segment5b_lib.world.stage import Stage, name_folders
from segment5b_lib.world.surface_files import write_5a
from segment5b_lib.world.weight_files import write_2b

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
ATTRIBUTION: Final = (
    "City names, coordinates, populations and zones: GeoNames (geonames.org), CC BY 4.0. "
    "Time zones: IANA tz database, public domain. Holidays: the holidays package, MIT. "
    "Merchant category codes and short names: ISO 18245."
)


@dataclass(frozen=True)
class Built:
    """A world, and whether it was made now or was already there with the same content."""

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
        write_spec(stage, spec)
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


def write_spec(stage: Stage, spec: WorldSpec) -> None:
    """The world file, resolved, without the knobs, which belong to their segments."""
    document = {key: value for key, value in spec.document().items() if key != "upstream"}
    stage.json("world_spec", "world", SPEC_PATH, document)


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
    written = write_mf_members(stage.root, plan.spec, mf, inventory)
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
        "members_with_fingerprint": member_digests(stage.root, written),
        **lineage,
    }
    write_world_file(stage.root, document)
    sync_tree(stage.root)
    replace_folder(stage.root, target)
    return Built(World(target), existed=False)


def write_world_file(root: Path, document: Mapping[str, Any]) -> None:
    """world.json with a digest of itself, last of all files."""
    sealed = {**document, "self_sha256": sha256_hex(canonical_json(document))}
    (root / WORLD_FILE).write_bytes(canonical_json(sealed) + b"\n")


def digests_of(inventory: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {row["path"]: row["sha256"] for row in inventory}
