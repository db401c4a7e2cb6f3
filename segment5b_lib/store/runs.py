"""Run roots: receipt, policies as used, state outputs, markers, run records (contracts §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from segment5b_lib.contract.datasets import dataset, folder_of, validation_folder
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import InputError, StaleError, UsageError
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.store.attachments import ENGINE, Attachment, attached_homes, read_attachment, require_root
from segment5b_lib.store.documents import read_json, validated
from segment5b_lib.store.markers import Counters, Marker, OutputLine
from segment5b_lib.store.parquet import parquet_files, read_frame, read_table
from segment5b_lib.store.pins import read_pins
from segment5b_lib.store.postures import load_policies
from segment5b_lib.store.publish import STAGING_PREFIX
from segment5b_lib.store.records import StateRecord, normalised, of_run, record_lines
from segment5b_lib.store.roots import runs_folder
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
    """A run root on disk. Where somebody else made it, `own` is our folder for it (see `attachments`)."""

    root: Path
    own: Path | None = None

    @property
    def home(self) -> Path:
        """Folder of receipt, policies and markers: the run root, or the attachment's folder."""
        return self.own or self.root

    @cached_property
    def attachment(self) -> Attachment | None:
        """The record of an attached run; None for a run of ours."""
        return read_attachment(self.own) if self.own else None

    @property
    def by_engine(self) -> bool:
        """Whether the data engine has made it, and no version of this library."""
        return self.own is not None and self.receipt.library_version == ENGINE

    def require_ours(self, what: str) -> None:
        """Refuse to do something to an attached run, which is only ever read."""
        if self.own:
            raise UsageError(
                "5B.ATTACH.READ_ONLY",
                f"an attached run is only read, so one cannot {what}",
                where=f"run {self.run_id[:8]} in {self.root}",
                expected="a run that this workbench has made",
                next_step="segment5b run",
            )

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
        """The nine policies as used; they must hash to the receipt's parameter_hash, or be those lent to the run."""
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
        world = World(self.root, root) if self.own and root.is_relative_to(self.own.resolve()) else World(root)
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

    def frame(
        self, dataset_id: str, columns: Sequence[str] | None = None, scenario_id: str | None = None
    ) -> pl.DataFrame:
        """The same as a frame."""
        return read_frame(self.folder(dataset_id, scenario_id), dataset(dataset_id), columns)

    @property
    def bundle_folder(self) -> Path:
        """Folder of the S5 validation bundle."""
        return self.root / validation_folder("5B", self.receipt.manifest_fingerprint)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenario set that S0 sealed; of an attached run that of its partitions."""
        if self.attachment:
            return tuple(self.attachment.scenarios)
        return tuple(read_json(self.file("s0_gate_receipt_5B"))["scenario_set"])

    @cached_property
    def horizons(self) -> dict[str, tuple[datetime, datetime]]:
        """Horizon [start, end) of every scenario, by its id, from the world's manifest.

        Where a run was attached without a world, from what its own S1 made of that manifest.
        """
        if self.attachment and self.attachment.world_in == "absent":
            return {name: self._grid_horizon(name) for name in sorted(self.scenarios)}
        names = ["scenario_id", "horizon_start_utc", "horizon_end_utc"]
        rows = self.world.table("scenario_manifest_5A", names).to_pylist()
        found = {row["scenario_id"]: (row["horizon_start_utc"], row["horizon_end_utc"]) for row in rows}
        return dict(sorted(found.items()))

    def _grid_horizon(self, scenario_id: str) -> tuple[datetime, datetime]:
        grid = self.table("s1_time_grid_5B", ["bucket_start_utc", "bucket_end_utc"], scenario_id)
        return pc.min(grid["bucket_start_utc"]).as_py(), pc.max(grid["bucket_end_utc"]).as_py()

    def sealed(self) -> dict[str, dict[str, str]]:
        """Path below the world's root to SHA-256 of every input, by dataset: what S0 sealed, or what was attached."""
        if self.attachment:
            return self.attachment.world_files
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

    def records(self) -> list[StateRecord]:
        """All state attempts of this run in the order in which they were made."""
        files = sorted(self.records_root.glob("utc_day=*/segment_state_runs.jsonl"))
        if self.own:
            rows = [row for path in files for row in record_lines(path) if of_run(row, self.run_id)]
            return [record for row in rows if (record := normalised(row))]
        return [validated(StateRecord, row, str(path)) for path in files for row in record_lines(path, bounded=False)]

    def last_records(self) -> dict[str, StateRecord]:
        """The latest attempt of each state."""
        return {record.state: record for record in self.records()}

    @property
    def log(self) -> Path:
        """The run log: one line per step and attempt."""
        return self.root / f"run_log_{self.run_id}.log"


def list_runs() -> list[Run]:
    """Every run with a receipt and every attached one, oldest first.

    Links are not followed, and folders in the making are no runs yet.
    """
    folders = [path.parent for path in runs_folder().glob(f"*/{RECEIPT_FILE}")]
    runs = [Run(folder) for folder in folders if not folder.is_symlink() and not folder.name.startswith(STAGING_PREFIX)]
    runs += [Run(Path(read_attachment(home).root), home) for home in attached_homes()]
    return sorted(runs, key=lambda run: (run.receipt.created_utc, run.run_id))


def open_run(name: str) -> Run:
    """Open a run by id, by a prefix, or by `@last`, `@baseline`, `@candidate`."""
    runs = list_runs()
    if name == "@last":
        matches = runs[-1:]
    elif name.startswith("@"):
        pinned = read_pins().of(name[1:])
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
    if matches[0].own:
        require_root(matches[0].own)
    return matches[0]


def policies_digest(policies: Policies, names: Sequence[str]) -> dict[str, str]:
    """Digest of each named policy, as state markers record them."""
    return {name: sha256_hex(canonical_json(policies.document(name))) for name in names}
