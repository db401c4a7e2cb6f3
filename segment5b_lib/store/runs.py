"""Run roots: receipt, policies as used, state outputs, markers, run records (contracts §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

from segment5b_lib.contract.datasets import dataset, folder_of, validation_folder
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.strict import Strict
from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import InputError, StaleError
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.store.attachments import ENGINE, Attachment
from segment5b_lib.store.documents import read_json, validated
from segment5b_lib.store.parquet import parquet_files
from segment5b_lib.store.postures import load_policies
from segment5b_lib.store.records import Counters, Marker, OutputLine, StateRecord, record_lines
from segment5b_lib.store.worlds import DatasetRoot, World

RECEIPT_FILE: Final = "run_receipt.json"


class RunReceipt(Strict):
    """Who a run is and where it comes from. Written once, before the first state."""

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
class Run(DatasetRoot):
    """A run root on disk that this library has made (`AttachedRun`: another program)."""

    root: Path
    attached: ClassVar[bool] = False

    @property
    def home(self) -> Path:
        """Folder of receipt, policies and markers."""
        return self.root

    @property
    def attachment(self) -> Attachment | None:
        """The record of an attached run; None for a run of ours."""
        return None

    @property
    def by_engine(self) -> bool:
        """Whether the data engine has made it, and no version of this library."""
        return self.receipt.library_version == ENGINE

    def require_ours(self, what: str) -> None:
        """Refuse to do something to an attached run, which is only ever read."""

    @cached_property
    def receipt(self) -> RunReceipt:
        """The receipt; its run_id must be the folder's name."""
        path = self.home / RECEIPT_FILE
        receipt = validated(RunReceipt, read_json(path), str(path))
        if receipt.run_id != self.run_id:
            raise InputError(
                "5B.RUN.WRONG_FOLDER",
                "a run's receipt names another run than its folder",
                where=str(path),
                expected=self.run_id,
                found=receipt.run_id,
            )
        return receipt

    @property
    def run_id(self) -> str:
        """32 hex digits."""
        return self.home.name

    @cached_property
    def policies(self) -> Policies:
        """The nine policies as used, by which the run is judged; they must have the hash on record."""
        policies = load_policies(self.home / "policies")
        expected = self.attachment.policies_hash if self.attachment else self.receipt.parameter_hash
        if policies.parameter_hash != expected:
            raise StaleError(
                "5B.RUN.POLICIES_CHANGED",
                "the policies in a run root are not those that the run was made with",
                where=str(self.home / "policies"),
                expected=expected,
                found=policies.parameter_hash,
                next_step="restore them; to try other values use `segment5b rerun --set`",
            )
        return policies

    @cached_property
    def world(self) -> World:
        """The world that the run reads; its fingerprint must be the receipt's."""
        root = (self.home.parent.parent / self.receipt.world).resolve()
        in_tree = self.attached and root.is_relative_to(self.home.resolve())
        world = World(self.root, root) if in_tree else World(root)
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
        mf, seed = self.receipt.manifest_fingerprint, self.receipt.seed
        return self.root / folder_of(dataset_id, mf=mf, seed=seed, scenario_id=scenario_id)

    def file(self, dataset_id: str, scenario_id: str | None = None) -> Path:
        """Path of a dataset that is one file."""
        return self.folder(dataset_id, scenario_id) / dataset(dataset_id).file

    def files(self, dataset_id: str, scenario_id: str | None = None) -> list[Path]:
        """Part files of a dataset in key order."""
        return parquet_files(self.folder(dataset_id, scenario_id), dataset(dataset_id))

    @property
    def bundle_folder(self) -> Path:
        return self.root / validation_folder("5B", self.receipt.manifest_fingerprint)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenario set that S0 sealed."""
        return tuple(read_json(self.file("s0_gate_receipt_5B"))["scenario_set"])

    @cached_property
    def horizons(self) -> dict[str, tuple[datetime, datetime]]:
        """Horizon [start, end) of every scenario, by its id, from the world's manifest."""
        names = ["scenario_id", "horizon_start_utc", "horizon_end_utc"]
        rows = self.world.table("scenario_manifest_5A", names).to_pylist()
        horizons = {row["scenario_id"]: (row["horizon_start_utc"], row["horizon_end_utc"]) for row in rows}
        return dict(sorted(horizons.items()))

    def sealed(self) -> dict[str, dict[str, str]]:
        """Path below the world's root to SHA-256 of every input, by dataset: what S0 sealed."""
        if self.marker("S0") is None:
            return {}
        return {member["artifact_id"]: member["files"] for member in read_json(self.file("sealed_inputs_5B"))}

    def marker_path(self, state: str) -> Path:
        """The file that says a state's outputs are complete, with their digests."""
        return self.home / "markers" / f"{state}.json"

    def marker(self, state: str) -> Marker | None:
        """A state's marker, or None where the state has not published."""
        path = self.marker_path(state)
        return validated(Marker, read_json(path), str(path)) if path.is_file() else None

    def counters(self, state: str) -> Counters:
        """What a state has counted; empty where it has not published."""
        marker = self.marker(state)
        return marker.counters if marker else {}

    def outputs(self, *states: str) -> list[OutputLine]:
        """The files that some states have published, by their markers."""
        markers = [marker for state in states if (marker := self.marker(state))]
        return [output for marker in markers for output in marker.outputs]

    def digests(self, *states: str) -> dict[Path, str]:
        """Recorded digest of every file that some states have published."""
        return {self.root / output.path: output.sha256 for output in self.outputs(*states)}

    @property
    def complete(self) -> bool:
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

    def records(self) -> list[StateRecord]:
        """All state attempts of this run in the order in which they were made."""
        rows = [(path, row) for path in self.record_files for row in record_lines(path, bounded=False)]
        return [validated(StateRecord, row, str(path)) for path, row in rows]

    @property
    def record_files(self) -> list[Path]:
        """The files of run records, oldest first."""
        return sorted(self.records_root.glob("utc_day=*/segment_state_runs.jsonl"))

    def last_records(self) -> dict[str, StateRecord]:
        return {record.state: record for record in self.records()}

    @property
    def log(self) -> Path:
        return self.root / f"run_log_{self.run_id}.log"


def policies_digest(policies: Policies, names: Sequence[str]) -> dict[str, str]:
    """Digest of each named policy, as state markers record them."""
    return {name: sha256_hex(canonical_json(policies.document(name))) for name in names}
