"""The upstream world of an external run: in its tree, among the local worlds, in a named folder, or absent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from segment5b_lib.contract.upstream import UPSTREAM
from segment5b_lib.engine.attach.identity import Identity
from segment5b_lib.engine.attach.tree import Tree, tree_of, world_seed
from segment5b_lib.errors import InputError
from segment5b_lib.store.digest import sha256_files
from segment5b_lib.store.documents import read_mapping
from segment5b_lib.store.worlds import WORLD_FILE, World, open_world, worlds_folder
from segment5b_lib.world.world_file import require_scale

UNSTATED: Final = "unstated"


@dataclass(frozen=True)
class ExternalWorld:
    """Place of the world, digests of its files by dataset, and missing parts.

    `sealed` is a local world with its world file; otherwise `document` describes the world in the tree.
    """

    place: Literal["tree", "outputs", "named", "absent"]
    files: dict[str, dict[str, str]]
    missing: list[str]
    normalised: set[str]
    sealed: World | None
    document: dict[str, Any]


def find_world(root: Path, identity: Identity, scenarios: list[str], *, named: str, scale: str) -> ExternalWorld:
    """The named world, else the world in the tree, else the local world with the run's fingerprint."""
    if scale:
        require_scale(scale, f"there is no scale {scale!r}", "--scale")
    mf = identity.manifest_fingerprint
    seed = world_seed(root, mf, identity.seed)
    tree = Tree(root) if named else tree_of(root, UPSTREAM, mf, seed, scenarios)
    if not tree.files and (named or (worlds_folder() / mf / WORLD_FILE).is_file()):
        local = open_world(named or mf)
        if local.mf != mf:
            raise InputError(
                "5B.RUN.WRONG_WORLD",
                "the named world is not the world that the run reads",
                where=str(local.root),
                expected=mf,
                found=local.mf,
            )
        place: Literal["named", "outputs"] = "named" if named else "outputs"
        return ExternalWorld(place, _inventory(local), [], set(), local, {})
    path = root / WORLD_FILE
    defaults = {
        "scale": scale or UNSTATED,
        "parents": [],
        "world_seed": identity.seed if seed is None else seed,
    }
    stated = read_mapping(path) if path.is_file() else {}
    document = {**defaults, **stated, "manifest_fingerprint": mf, "scenarios": scenarios}
    unstated = document["scale"] == UNSTATED
    missing = ["the world's scale (runtime budgets bind at the pinned one: --scale)"] if unstated else []
    if not tree.files:
        absent = [f"the upstream world {mf[:12]} (1A to 5A: gates that need it are not measured)", *missing]
        return ExternalWorld("absent", {}, absent, set(), None, document)
    digests = sha256_files([path for paths in tree.files.values() for path in paths])
    files = {name: {tree.path(path): digests[path] for path in paths} for name, paths in tree.files.items()}
    return ExternalWorld("tree", files, [*tree.missing, *missing], tree.normalised, None, document)


def _inventory(world: World) -> dict[str, dict[str, str]]:
    """Path to digest of a local world's sealed files, by dataset."""
    files: dict[str, dict[str, str]] = {}
    for member in world.document["inventory"]:
        files.setdefault(member["dataset_id"], {})[member["path"].replace("{mf}", world.mf)] = member["sha256"]
    return files
