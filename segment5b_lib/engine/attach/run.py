"""Inspect an external run once: open and hash its files, and compare them with every recorded digest.

It is judged by its own nine policies, if this version reads them, or by a posture's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from segment5b_lib.contract.datasets import UPSTREAM_SEGMENTS, validation_folder
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.words import STATES
from segment5b_lib.engine.attach.identity import Identity
from segment5b_lib.engine.attach.tree import (
    BUNDLE_DATASET,
    ON_REQUEST,
    check_bundles,
    check_declared_digests,
    parameter_hash_of,
    run_tree,
    scenarios_of,
)
from segment5b_lib.engine.attach.world import find_world
from segment5b_lib.engine.chain import state_spec
from segment5b_lib.errors import InputError, MissingInputError, PolicyError, UsageError
from segment5b_lib.identity import utc_now
from segment5b_lib.store.attachments import ATTACHMENT_FILE, ENGINE, OWN_POLICIES, Attachment
from segment5b_lib.store.bundles import FLAG_FILE
from segment5b_lib.store.digest import sha256_files
from segment5b_lib.store.documents import read_mapping
from segment5b_lib.store.postures import load_policies, load_posture, write_policies
from segment5b_lib.store.records import (
    Counters,
    Marker,
    OutputLine,
    StateRecord,
    missing_fields,
    normalised,
    of_run,
    record_lines,
)
from segment5b_lib.store.runs import RECEIPT_FILE, Run, RunReceipt, policies_digest
from segment5b_lib.store.worlds import WORLD_FILE
from segment5b_lib.version import __version__

_SPARED: Final = (*ON_REQUEST, "s4_arrival_summary_5B", "s4_arrival_anomalies_5B")
"""Outputs of the engine's states that are optional."""


class ExternalRun:
    """A run in an external tree, inspected when the object is made; the tree is not changed."""

    def __init__(self, root: Path, identity: Identity, *, posture: str, world: str, scale: str) -> None:
        """Arguments and errors as for `attach.attach`."""
        mf, seed = identity.manifest_fingerprint, identity.seed
        self.root, self.identity = root, identity
        self.scenarios = scenarios_of(root, mf, seed)
        self.tree = run_tree(root, mf, seed, self.scenarios)
        self.parameter_hash = parameter_hash_of(root, identity.parameter_hash, self.tree)
        self.posture, self.policies = _policies_of(root, self.parameter_hash, posture)
        self.records, missing_records = _records(root, identity)
        self.world = find_world(root, identity, self.scenarios, named=world, scale=scale)
        self.declared = read_mapping(receipt) if (receipt := root / RECEIPT_FILE).is_file() else {}
        self.digests = sha256_files([path for paths in self.tree.files.values() for path in paths])
        self.rng_root = self._rng_root()
        self.missing = [*self.tree.missing, *self.world.missing, *missing_records]
        if self.posture != OWN_POLICIES:
            self.missing.append(f"policies (judged by those of posture {self.posture})")
        if not self.rng_root:
            self.missing.append("rng_root (A1 cannot trace the random streams)")
        segments = (*UPSTREAM_SEGMENTS, "5B") if self.world.place == "tree" else ("5B",)
        bundles, missing_bundles = check_bundles(root, segments, mf)
        outputs = {self.tree.path(path): digest for path, digest in self.digests.items()}
        sealed = {name: digest for files in self.world.files.values() for name, digest in files.items()}
        self.verified = [*bundles, *check_declared_digests(self.tree, outputs, sealed)]
        self.missing += missing_bundles

    def _record(self) -> Attachment:
        return Attachment(
            root=str(self.root),
            attached_utc=utc_now(),
            attached_by=__version__,
            scenarios=self.scenarios,
            judged_by=self.posture,
            policies_hash=self.policies.parameter_hash,
            world_in=self.world.place,
            world_files=self.world.files,
            verified=self.verified,
            normalised=sorted(self.tree.normalised | self.world.normalised),
            missing=self.missing,
        )

    def write(self, folder: Path) -> None:
        (folder / RECEIPT_FILE).write_text(self._receipt().model_dump_json(indent=1) + "\n", encoding="utf-8")
        (folder / ATTACHMENT_FILE).write_text(self._record().model_dump_json(indent=1) + "\n", encoding="utf-8")
        write_policies(self.policies, folder / "policies")
        (folder / "markers").mkdir()
        for state in STATES:
            if self._is_complete(state):
                (folder / "markers" / f"{state}.json").write_bytes(self._marker(state).content())
        if self.world.sealed is None:
            path = folder / "world" / self.identity.manifest_fingerprint / WORLD_FILE
            path.parent.mkdir(parents=True)
            document = {"rng_root": self.rng_root, **self.world.document}
            path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def _receipt(self) -> RunReceipt:
        identity, declared, sealed = self.identity, self.declared, self.world.sealed
        started = [record.started_at_utc for record in self.records.values() if record.started_at_utc]
        world_path = f"attached/{identity.run_id}/world/{identity.manifest_fingerprint}"
        return RunReceipt(
            run_id=identity.run_id,
            seed=identity.seed,
            nonce=0,
            parameter_hash=self.parameter_hash,
            manifest_fingerprint=identity.manifest_fingerprint,
            rng_root=self.rng_root,
            world=str(sealed.root) if sealed else world_path,
            posture=str(declared.get("posture", "attached")),
            parent_run=None,
            changed_states=list(STATES),
            changes={},
            created_utc=str(declared.get("created_utc", min(started, default=""))),
            library_version=str(declared.get("library_version", ENGINE)),
        )

    def _rng_root(self) -> str:
        """Root of the random streams: of a local world, a receipt or the audit log; empty without any."""
        partitions = f"seed={self.identity.seed}/parameter_hash=*/run_id={self.identity.run_id}"
        logs = sorted((self.root / "logs" / "layer2" / "5B" / "rng" / "audit").glob(f"{partitions}/*.jsonl"))
        rows = [self.declared, *(row for path in logs for row in record_lines(path))]
        stated = next((root for row in rows if isinstance(root := row.get("rng_root"), str)), "")
        return self.world.sealed.rng_root if self.world.sealed else stated

    def _is_complete(self, state: str) -> bool:
        """Whether a state's required outputs exist, and its last record (if any) is not a failure."""
        if state in self.records and not self.records[state].passed:
            return False
        if state == "S5":
            return "bundle of 5B" in self.verified
        return all(self.tree.has(name) for name in state_spec(state).writes if name not in _SPARED)

    def _marker(self, state: str) -> Marker:
        """Marker of a complete state; `policies` is empty if the tree's policies are unknown."""
        names: Sequence[str] = state_spec(state).writes or (BUNDLE_DATASET,)
        files = sorted((self.tree.path(path), name, path) for name in names for path in self.tree.files.get(name, []))
        has_policies = self.posture == OWN_POLICIES
        counters: Counters = dict(self.records[state].counters) if state in self.records else {}
        counters.setdefault("scenarios", {name: {} for name in self.scenarios})
        if state == "S5":
            flag = read_mapping(self.root / validation_folder("5B", self.identity.manifest_fingerprint) / FLAG_FILE)
            counters["bundle_digest"] = flag["bundle_digest_sha256"]
        return Marker(
            state=state,
            inputs={},
            policies=policies_digest(self.policies, state_spec(state).policies) if has_policies else {},
            outputs=tuple(
                OutputLine(dataset_id=name, path=below, sha256=self.digests[path], bytes=path.stat().st_size)
                for below, name, path in files
            ),
            counters=counters,
            produced_by_parameter_hash=self.parameter_hash,
        )


def _records(root: Path, identity: Identity) -> tuple[dict[str, StateRecord], list[str]]:
    """The last record of each state, and texts of missing records and fields."""
    rows = [row for path in Run(root).record_files for row in record_lines(path) if of_run(row, identity.run_id)]
    last = {row["state"]: normalised(row) for row in rows}
    unrecorded = [state for state in STATES if state not in last]
    missing = [f"the run records of {', '.join(unrecorded)} (their timing)"] if unrecorded else []
    for fields in sorted({tuple(missing_fields(record)) for record in last.values()} - {()}):
        states = [state for state, record in sorted(last.items()) if tuple(missing_fields(record)) == fields]
        missing.append(f"{', '.join(fields)} in the run records of {', '.join(states)}")
    return {state: record for state, record in last.items() if record}, missing


def _policies_of(root: Path, parameter_hash: str, posture: str) -> tuple[str, Policies]:
    """OWN_POLICIES and the tree's policies, or the named posture and its policies."""
    if posture:
        return posture, load_posture(posture)
    folder = root / "policies"
    try:
        if not folder.is_dir():
            raise MissingInputError("5B.ATTACH.NO_POLICIES", "there is no such folder", where=str(folder))
        policies = load_policies(folder)
    except (MissingInputError, PolicyError) as error:
        raise UsageError(
            "5B.ATTACH.NO_POLICIES",
            "the tree holds no policies that this version reads, so the policies to judge by must be named",
            where=error.where,
            expected="nine policy files in policies/, or --posture",
            found=error.what,
            next_step="segment5b attach PATH --posture published",
        ) from error
    if policies.parameter_hash != parameter_hash:
        raise InputError(
            "5B.ATTACH.POLICIES_DIFFER",
            "the policies in the tree differ from those that the run was made with",
            where=str(folder),
            expected=parameter_hash,
            found=policies.parameter_hash,
            next_step="restore them, or name the policies to judge by: --posture published",
        )
    return OWN_POLICIES, policies
