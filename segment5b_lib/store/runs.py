"""Run roots: receipt, policies as used, state outputs, markers, run records (contracts §2)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from segment5b_lib.contract.datasets import VALIDATION_FOLDER, dataset, folder_of
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import InputError, StaleError, UsageError
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.store.documents import read_json, validated
from segment5b_lib.store.parquet import parquet_files, read_table
from segment5b_lib.store.postures import load_policies
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.worlds import World

RECEIPT_FILE: Final = "run_receipt.json"


class RunReceipt(BaseModel):
    """Who a run is and where it comes from. Written once, before the first state."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    run_id: str
    seed: int
    nonce: int
    parameter_hash: str
    manifest_fingerprint: str
    rng_root: str
    world: str
    posture: str
    parent_run: str | None
    changed_states: list[str]
    changes: dict[str, Any]
    created_utc: str
    library_version: str


@dataclass(frozen=True)
class Run:
    """A run root on disk."""

    root: Path

    @cached_property
    def receipt(self) -> RunReceipt:
        """The receipt; its run_id must be the folder's name."""
        path = self.root / RECEIPT_FILE
        receipt = validated(RunReceipt, read_json(path), str(path))
        if receipt.run_id != self.root.name:
            raise InputError(
                "5B.RUN.WRONG_FOLDER",
                "a run's receipt names another run than its folder",
                where=str(path),
                expected=self.root.name,
                found=receipt.run_id,
            )
        return receipt

    @property
    def run_id(self) -> str:
        """32 hex digits."""
        return self.root.name

    @cached_property
    def policies(self) -> Policies:
        """The nine policies as used; they must hash to the receipt's parameter_hash."""
        policies = load_policies(self.root / "policies")
        if policies.parameter_hash != self.receipt.parameter_hash:
            raise StaleError(
                "5B.RUN.POLICIES_CHANGED",
                "the policies in a run root are not those that the run was made with",
                where=str(self.root / "policies"),
                expected=self.receipt.parameter_hash,
                found=policies.parameter_hash,
                next_step="restore them; to try other values use `segment5b rerun --set`",
            )
        return policies

    @cached_property
    def world(self) -> World:
        """The world that the run reads; its fingerprint must be the receipt's."""
        root = self.root.parent.parent / self.receipt.world
        world = World(root.resolve())
        if world.mf != self.receipt.manifest_fingerprint:
            raise InputError(
                "5B.RUN.WRONG_WORLD",
                "the world that lies at the receipt's path has another fingerprint",
                where=str(root),
                expected=self.receipt.manifest_fingerprint,
                found=world.mf,
            )
        return world

    def folder(self, dataset_id: str, scenario_id: str | None = None) -> Path:
        """Folder of one of the run's datasets."""
        mf, seed = self.receipt.manifest_fingerprint, self.receipt.seed
        return self.root / folder_of(dataset_id, mf=mf, seed=seed, scenario_id=scenario_id)

    def file(self, dataset_id: str, scenario_id: str | None = None) -> Path:
        """Path of a dataset that is one file."""
        return self.folder(dataset_id, scenario_id) / dataset(dataset_id).file

    def files(self, dataset_id: str, scenario_id: str | None = None) -> list[Path]:
        """Part files of a dataset in key order."""
        return parquet_files(self.folder(dataset_id, scenario_id), dataset(dataset_id))

    def table(self, dataset_id: str, columns: Sequence[str] | None = None, scenario_id: str | None = None) -> pa.Table:
        """A dataset as an Arrow table: for the small ones, never for arrivals."""
        return read_table(self.folder(dataset_id, scenario_id), dataset(dataset_id), columns)

    @property
    def bundle_folder(self) -> Path:
        """Folder of the S5 validation bundle."""
        mf = self.receipt.manifest_fingerprint
        return self.root / VALIDATION_FOLDER.format(layer="layer2", segment="5B", mf=mf)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenario set that S0 sealed."""
        return tuple(read_json(self.file("s0_gate_receipt_5B"))["scenario_set"])

    def marker_path(self, state: str) -> Path:
        """The file that says a state's outputs are complete, with their digests."""
        return self.root / "markers" / f"{state}.json"

    def marker(self, state: str) -> dict[str, Any] | None:
        """A state's marker, or None where the state has not published."""
        path = self.marker_path(state)
        return dict(read_json(path)) if path.is_file() else None

    def outputs(self, *states: str) -> list[dict[str, Any]]:
        """What some states have published, by their markers: `dataset_id`, `path` below the root, `sha256`, `bytes`."""
        return [output for state in states for output in (self.marker(state) or {"outputs": []})["outputs"]]

    def digests(self, *states: str) -> dict[Path, str]:
        """Recorded digest of every file that some states have published."""
        return {self.root / output["path"]: output["sha256"] for output in self.outputs(*states)}

    @property
    def complete(self) -> bool:
        """Whether every state has published."""
        return all(self.marker(state) is not None for state in STATES)

    @property
    def records_root(self) -> Path:
        """Folder of the run records, one subfolder per UTC day."""
        return self.root / "reports" / "layer2" / "segment_state_runs" / "segment=5B"

    def rng_log(self, kind: str) -> Path:
        """File of the random numbers' log of a kind, `audit` or `trace`."""
        receipt = self.receipt
        partitions = f"seed={receipt.seed}/parameter_hash={receipt.parameter_hash}/run_id={receipt.run_id}"
        return self.root / "logs" / "layer2" / "5B" / "rng" / kind / partitions / f"rng_{kind}.jsonl"

    def records(self) -> list[dict[str, Any]]:
        """All state attempts of this run in the order in which they were made."""
        files = sorted(self.records_root.glob("utc_day=*/segment_state_runs.jsonl"))
        lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
        return [json.loads(line) for line in lines if line]

    def last_records(self) -> dict[str, dict[str, Any]]:
        """The latest attempt of each state."""
        return {record["state"]: record for record in self.records()}


def runs_folder() -> Path:
    """Folder of all runs."""
    return outputs_folder() / "runs"


def list_runs() -> list[Run]:
    """Every run with a receipt, oldest first; links are not followed."""
    folders = [path.parent for path in runs_folder().glob(f"*/{RECEIPT_FILE}")]
    runs = [Run(folder) for folder in folders if not folder.is_symlink()]
    return sorted(runs, key=lambda run: (run.receipt.created_utc, run.run_id))


PIN_NAMES: Final = ("baseline", "candidate", "last_good", "witness", "certification")
"""Roles that keep a run from being pruned."""


def read_pins() -> dict[str, list[str]]:
    """Runs by role; a role without a run is left out."""
    path = runs_folder() / "pins.json"
    return dict(read_json(path)) if path.is_file() else {}


def open_run(name: str) -> Run:
    """Open a run by id, by a prefix, or by `@last`, `@baseline`, `@candidate`."""
    runs = list_runs()
    if name == "@last":
        matches = runs[-1:]
    elif name.startswith("@"):
        pinned = read_pins().get(name[1:], [])
        matches = [run for run in runs if run.run_id in pinned[-1:]]
    else:
        matches = [run for run in runs if run.run_id.startswith(name)]
    if len(matches) != 1:
        raise UsageError(
            "5B.RUN.UNKNOWN",
            f"{'several runs begin' if matches else 'no run'} {name!r}",
            where=str(runs_folder()),
            expected=f"one of: {', '.join(run.run_id[:8] for run in matches or runs) or 'none yet'}",
            found=name,
            next_step="segment5b runs",
        )
    return matches[0]


def policies_digest(policies: Policies, names: Sequence[str]) -> Mapping[str, str]:
    """Digest of each named policy, as state markers record them."""
    return {name: sha256_hex(canonical_json(policies.document(name))) for name in names}
