"""Reopen a segment: a child world in which one segment is rebuilt with other knobs and the rest is linked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from segment5b_lib.errors import UsageError
from segment5b_lib.store.documents import read_json, validated
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import SPEC_PATH, WRITERS, Built, seal, staging
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.spec import UpstreamSpec, WorldSpec
from segment5b_lib.world.stage import MF_PLACEHOLDER, Stage, config_path
from segment5b_lib.world.verify import verify_world
from segment5b_lib.world.world_file import set_keys

REOPENABLE: Final = tuple(str(field.alias) for field in UpstreamSpec.model_fields.values())
"""Segments that have knobs."""
ANCESTRY_PATH: Final = "config/ancestry.json"
"""Only child worlds have it. It makes a child another world than one that was built with the same knobs from
the start, because their random streams have other roots."""


def reopen_world(world: World, segment: str, changes: Mapping[str, Any], reason: str, *, threads: int = 2) -> Built:
    """Make the child of `world` in which `segment` has other knobs, e.g. ``{"last_transition_year": 2028}``.

    The parent is verified first. Files that the segment does not own are hard-linked, members that carry the
    fingerprint are written again, and world.json records parent, segment, changes and reason. Random streams
    keep the root of the oldest ancestor, so that a run of the child differs from its parent's by the change
    alone.

    Raises
    ------
    UsageError : the segment has no knobs, nothing is changed, or no reason is given.
    PolicyError : a knob does not exist or has an impossible value.
    """
    _check_request(segment, changes, reason)
    verify_world(world, threads=threads)
    spec = reopened_spec(world, {segment: changes})
    if spec == world_spec(world):
        raise UsageError(
            "5B.WORLD.NOTHING_CHANGED",
            "the world already has these values",
            where=f"segment {segment} of world {world.mf[:12]}",
            expected="at least one knob with another value",
            found=dict(changes),
        )
    plan = Plan(spec)
    link = {"manifest_fingerprint": world.mf, "segment": segment, "changes": dict(changes), "reason": reason.strip()}
    lineage = {
        "rng_root": world.rng_root,
        "parents": [link, *world.document["parents"]],
    }
    with staging(world.root.parent) as root:
        stage = Stage(root, spec.world_seed)
        kept = [row for row in world.document["inventory"] if row["owner_segment"] != segment]
        for row in kept:
            source = world.root / row["path"].replace(MF_PLACEHOLDER, world.mf)
            stage.link(source, row["dataset_id"], row["owner_segment"], row["path"])
        WRITERS[segment](plan, stage)
        if ANCESTRY_PATH not in stage.owners:
            stage.json("ancestry", "world", ANCESTRY_PATH, {"rng_root": world.rng_root})
        known = {row["path"]: row["sha256"] for row in kept}
        return seal(stage, plan, world.root.parent, threads=threads, known=known, lineage=lineage)


def world_spec(world: World) -> WorldSpec:
    """The world file of a built world, put together from its configuration folder."""
    document = dict(read_json(world.root / SPEC_PATH))
    document["upstream"] = {name: read_json(world.root / config_path(name)) for name in REOPENABLE}
    return validated(WorldSpec, document, str(world.root / SPEC_PATH))


def reopened_spec(world: World, changes: Mapping[str, Mapping[str, Any]]) -> WorldSpec:
    """The world file with knobs of some segments set, segment to dotted key to value; nothing is built."""
    dotted = {f"upstream.{segment}.{key}": value for segment, own in changes.items() for key, value in own.items()}
    document = set_keys(world_spec(world).document(), dotted)
    return validated(WorldSpec, document, f"world {world.mf[:12]}, {', '.join(changes)}")


def _check_request(segment: str, changes: Mapping[str, Any], reason: str) -> None:
    if segment not in REOPENABLE:
        raise UsageError(
            "5B.WORLD.SEGMENT_CLOSED",
            f"segment {segment!r} may not be reopened",
            expected=", ".join(REOPENABLE),
            found=segment,
        )
    if not changes or not reason.strip():
        raise UsageError(
            "5B.WORLD.REOPEN_WITHOUT_CAUSE",
            "a reopening needs a change and a reason",
            expected="--set key=value and --reason text",
            found=f"changes {dict(changes)}, reason {reason!r}",
        )
