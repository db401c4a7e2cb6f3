"""Every run there is: attached runs, how runs are listed and found by name, and the roles that some of them have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final, Literal, get_args

import pyarrow.compute as pc
from pydantic import ConfigDict, RootModel

from segment5b_lib.errors import UsageError
from segment5b_lib.store.attachments import Attachment, attached_homes, read_attachment, require_root
from segment5b_lib.store.documents import read_json, validated
from segment5b_lib.store.publish import STAGING_PREFIX
from segment5b_lib.store.records import StateRecord, normalised, of_run, record_lines
from segment5b_lib.store.roots import runs_folder
from segment5b_lib.store.runs import RECEIPT_FILE, Run

Role = Literal["baseline", "candidate", "last_good", "witness", "certification"]
PIN_ROLES: Final[tuple[Role, ...]] = get_args(Role)
SHARED_PINS: Final[tuple[Role, ...]] = ("witness", "certification")
"""Roles that several runs hold together; the others have one run."""


class Pins(RootModel[dict[Role, list[str]]]):
    """Run ids by role, the latest last; a role without a run is left out. A run with a role is not pruned."""

    model_config = ConfigDict(frozen=True, strict=True)

    def of(self, role: str) -> list[str]:
        return next((runs for name, runs in self.root.items() if name == role), [])

    def roles_of(self, run_id: str) -> list[str]:
        return [role for role, runs in self.root.items() if run_id in runs]

    @property
    def kept(self) -> set[str]:
        return {run_id for runs in self.root.values() for run_id in runs}

    def with_run(self, role: Role, run_id: str) -> Pins:
        """The pins after a run has been given a role."""
        others = [other for other in self.of(role) if role in SHARED_PINS and other != run_id]
        return Pins({**self.root, role: [*others, run_id]})

    def content(self) -> bytes:
        return (json.dumps(self.root, indent=1, sort_keys=True) + "\n").encode()


def pins_path() -> Path:
    return runs_folder() / "pins.json"


def read_pins() -> Pins:
    """The pins of now; none where there is no file yet."""
    path = pins_path()
    return validated(Pins, read_json(path), str(path)) if path.is_file() else Pins({})


@dataclass(frozen=True)
class AttachedRun(Run):
    """A run root that another program has made, which is only read.

    `own` is our folder for it: receipt, policies, markers and the record of the attachment (see `attachments`).
    """

    own: Path
    attached: ClassVar[bool] = True

    @property
    def home(self) -> Path:
        return self.own

    @cached_property
    def attachment(self) -> Attachment:
        return read_attachment(self.own)

    def require_ours(self, what: str) -> None:
        raise UsageError(
            "5B.ATTACH.READ_ONLY",
            f"an attached run is only read, so one cannot {what}",
            where=f"run {self.run_id[:8]} in {self.root}",
            expected="a run that this workbench has made",
            next_step="segment5b run",
        )

    @property
    def scenarios(self) -> tuple[str, ...]:
        return tuple(self.attachment.scenarios)

    @cached_property
    def horizons(self) -> dict[str, tuple[datetime, datetime]]:
        """As for a run of ours; of a run attached without a world, from its own S1."""
        if self.attachment.world_in != "absent":
            return super().horizons
        horizons = {}
        for name in sorted(self.scenarios):
            grid = self.table("s1_time_grid_5B", ["bucket_start_utc", "bucket_end_utc"], name)
            horizons[name] = pc.min(grid["bucket_start_utc"]).as_py(), pc.max(grid["bucket_end_utc"]).as_py()
        return horizons

    def sealed(self) -> dict[str, dict[str, str]]:
        """The inputs that were found when it was attached."""
        return self.attachment.world_files

    def records(self) -> list[StateRecord]:
        """Its state attempts, normalised; rows without an end or a time are left out."""
        rows = [row for path in self.record_files for row in record_lines(path) if of_run(row, self.run_id)]
        return [record for row in rows if (record := normalised(row))]


def list_runs() -> list[Run]:
    """Every run with a receipt and every attached one, oldest first.

    Links are not followed, and folders in the making are no runs yet.
    """
    folders = [path.parent for path in runs_folder().glob(f"*/{RECEIPT_FILE}")]
    runs = [Run(folder) for folder in folders if not folder.is_symlink() and not folder.name.startswith(STAGING_PREFIX)]
    runs += [AttachedRun(Path(read_attachment(home).root), home) for home in attached_homes()]
    return sorted(runs, key=lambda run: (run.receipt.created_utc, run.run_id))


def find_run(name: str) -> Run:
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
    (run,) = matches
    if run.attached:
        require_root(run.home)
    return run
