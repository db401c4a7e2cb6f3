"""S0 gate: upstream bundles re-verified, every input sealed by content, the scenario set fixed. No knob."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from segment5b_lib.contract.dataset import Dataset
from segment5b_lib.contract.datasets import UPSTREAM_SEGMENTS
from segment5b_lib.contract.upstream import UPSTREAM
from segment5b_lib.contract.words import Lane
from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.identity import canonical_json, manifest_fingerprint, sha256_hex
from segment5b_lib.states.context import Context, StateSpec
from segment5b_lib.store.bundles import read_bundle
from segment5b_lib.store.digest import sha256_files
from segment5b_lib.store.worlds import World

SPEC: Final = StateSpec(
    name="S0",
    title="Gate: verify upstream, seal inputs",
    policies=(),
    reads_world=(),
    reads_states=(),
    writes=("s0_gate_receipt_5B", "sealed_inputs_5B"),
)
SPEC_VERSION: Final = "5B.v2"


@dataclass(frozen=True)
class Sealed:
    """Result of S0: bundle digests by segment, scenario ids, files by dataset with their digests."""

    bundles: dict[str, str]
    scenarios: list[str]
    digests: dict[str, dict[str, str]]


def run(context: Context) -> None:
    files = _load(context)
    sealed = _compute(context, files)
    _validate(context, sealed)
    _write(context, sealed)


def _load(context: Context) -> dict[str, list[Path]]:
    """Find every file of every input; name the first that is missing."""
    world = context.run.world
    with context.step("list inputs", Lane.INPUT_LOAD) as step:
        scenarios = _scenario_set(world)
        files = {contract.dataset_id: _files(world, contract, scenarios) for contract in UPSTREAM}
        step.rows = sum(len(paths) for paths in files.values())
    return files


def _files(world: World, contract: Dataset, scenarios: list[str]) -> list[Path]:
    try:
        if contract.per_scenario:
            return [path for s in scenarios for path in world.files(contract.dataset_id, s)]
        return world.files(contract.dataset_id)
    except MissingInputError as error:
        raise MissingInputError(
            "5B.S0.SEALED_INPUT_MISSING",
            f"required input {contract.dataset_id} of segment {contract.segment} is missing",
            where=error.where,
            expected=contract.template,
            next_step="rebuild the world, or restore the dataset",
        ) from error


def _scenario_set(world: World) -> list[str]:
    try:
        manifest = world.table("scenario_manifest_5A", ["scenario_id"])
    except MissingInputError as error:
        raise MissingInputError(
            "5B.S0.SEALED_INPUT_MISSING", "the scenario manifest of segment 5A is missing", where=error.where
        ) from error
    scenarios = sorted(manifest["scenario_id"].to_pylist())
    if not scenarios or len(set(scenarios)) != len(scenarios):
        raise InputError(
            "5B.S0.SCENARIO_SET_EMPTY",
            "the scenario manifest lists no scenario, or one twice",
            where="scenario_manifest_5A",
            expected="one or more unique scenario ids",
            found=scenarios,
        )
    return scenarios


def _compute(context: Context, files: dict[str, list[Path]]) -> Sealed:
    world = context.run.world
    with context.step("verify upstream bundles", Lane.VALIDATION):
        bundles = {
            segment: read_bundle(segment, world.bundle_folder(segment), world.root, world.mf)
            for segment in UPSTREAM_SEGMENTS
        }
    with context.step("hash inputs", Lane.COMPUTE) as step:
        paths = [path for group in files.values() for path in group]
        digest_of = sha256_files(paths, context.threads)
        step.rows, step.bytes = len(paths), sum(path.stat().st_size for path in paths)
    digests = {
        dataset_id: {path.relative_to(world.root).as_posix(): digest_of[path] for path in group}
        for dataset_id, group in files.items()
    }
    return Sealed(bundles, _scenario_set(world), digests)


def _validate(context: Context, sealed: Sealed) -> None:
    """The inputs must be the ones that the world was sealed with, and together give the world's fingerprint."""
    world = context.run.world
    with context.step("compare with the inventory", Lane.VALIDATION):
        actual = {path: digest for group in sealed.digests.values() for path, digest in group.items()}
        inventory = world.document["inventory"]
        for member in inventory:
            path = member["path"].replace("{mf}", world.mf)
            if path in actual and actual[path] != member["sha256"]:
                raise InputError(
                    "5B.S0.SEALED_INPUT_MISMATCH",
                    "an input is not what the world was sealed with",
                    where=f"{member['dataset_id']}: {world.root / path}",
                    expected=member["sha256"],
                    found=actual[path],
                    next_step="restore the file, or build the world again",
                )
        listed = {member["path"].replace("{mf}", world.mf) for member in inventory}
        carried = {c.dataset_id for c in UPSTREAM if c.carries_mf}
        for dataset_id, group in sealed.digests.items():
            extra = set(group) - listed
            if extra and dataset_id not in carried:
                raise InputError(
                    "5B.S0.SEALED_INPUT_MISMATCH",
                    "an input file is not in the world's inventory",
                    where=f"{dataset_id}: {world.root / min(extra)}",
                    expected="only files that the world was sealed with",
                    next_step="remove the file, or build the world again",
                )
        fingerprint = manifest_fingerprint(inventory)
        if fingerprint != world.mf:
            raise InputError(
                "5B.S0.FINGERPRINT_MISMATCH",
                "the world's inventory does not give its fingerprint",
                where=str(world.root),
                expected=world.mf,
                found=fingerprint,
                next_step="build the world again",
            )


def _write(context: Context, sealed: Sealed) -> None:
    rows = sorted(
        (_sealed_row(contract, sealed.digests[contract.dataset_id]) for contract in UPSTREAM),
        key=lambda row: (row["owner_segment"], row["artifact_id"]),
    )
    receipt = {
        "manifest_fingerprint": context.run.world.mf,
        "row_count": len(rows),
        "scenario_set": sealed.scenarios,
        "sealed_inputs_digest": sha256_hex(canonical_json(rows)),
        "spec_version": SPEC_VERSION,
        "iana_release": context.run.world.document["iana_release"],
        "upstream_segments": {
            segment: {"status": "PASS", "bundle_digest": digest} for segment, digest in sealed.bundles.items()
        },
    }
    with context.publication() as publication:
        with context.step("write receipt", Lane.WRITE) as step:
            step.rows = len(rows)
            _write_json(publication.folder("sealed_inputs_5B") / "sealed_inputs_5B.json", rows)
            _write_json(publication.folder("s0_gate_receipt_5B") / "s0_gate_receipt_5B.json", receipt)
        files = sum(len(group) for group in sealed.digests.values())
        publication.counters = {"rows_in": files, "rows_out": len(rows), "sealed_files": files}


def _sealed_row(contract: Dataset, digests: dict[str, str]) -> dict[str, Any]:
    folders = [part for part in contract.folder.split("/") if "=" in part]
    return {
        "owner_segment": contract.segment,
        "artifact_id": contract.dataset_id,
        "owner_layer": contract.layer,
        "role": "binary" if contract.file.endswith(".bin") else "dataset" if contract.schema else "document",
        "path_template": contract.template,
        "partition_keys": [part.split("=")[0] for part in folders],
        "sha256_hex": sha256_hex(canonical_json(digests)),
        "status": "REQUIRED",
        "read_scope": "ROW_LEVEL" if contract.schema else "WHOLE_FILE",
        "files": digests,
    }


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
