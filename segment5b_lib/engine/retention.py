"""Pin runs into the keep-set, and prune the others with a receipt."""

from __future__ import annotations

import json
import shutil
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Final

from segment5b_lib.contract.strict import Recorded
from segment5b_lib.errors import ConflictError, UsageError
from segment5b_lib.identity import run_id, utc_now
from segment5b_lib.store.attachments import attached_folder
from segment5b_lib.store.catalogue import PIN_ROLES, Pins, list_runs, pins_path, read_pins
from segment5b_lib.store.documents import read_json, validated
from segment5b_lib.store.locks import held, is_held, locked
from segment5b_lib.store.publish import STAGING_PREFIX, write_file
from segment5b_lib.store.roots import outputs_folder, runs_folder
from segment5b_lib.store.runs import RECEIPT_FILE, Run

_PARTS: Final = ("data", "logs", "markers", "policies", "reports", RECEIPT_FILE, ".lock")
"""Contents of a run root, apart from the log that carries the run's id."""


def pin(role: str, run: Run) -> None:
    """Give a run a role in the keep-set. Witness and certification hold several runs, the others one."""
    known = next((name for name in PIN_ROLES if name == role), None)
    if known is None:
        raise UsageError("5B.RUN.UNKNOWN_ROLE", f"there is no role {role!r}", expected=", ".join(PIN_ROLES), found=role)
    with locked(runs_folder() / ".pins.lock", "change the keep-set", wait_seconds=60):
        write_file(pins_path(), read_pins().with_run(known, run.run_id).content())


def keep_set() -> set[str]:
    return read_pins().kept


@dataclass(frozen=True)
class Superseded:
    """A run outside the keep-set, and the bytes that its removal would free."""

    run: Run
    bytes: int


@dataclass(frozen=True)
class Leftover:
    """A temporary folder left by a killed process, and its bytes."""

    folder: Path
    bytes: int


def superseded() -> list[Superseded]:
    """Runs that prune would remove: real folders with a receipt of this library, outside the keep-set."""
    kept = keep_set()
    runs = [run for run in list_runs() if run.run_id not in kept and _is_local(run)]
    return [Superseded(run, size) for run, size in zip(runs, _freed([run.root for run in runs]), strict=True)]


def leftovers() -> list[Leftover]:
    """Temporary folders among worlds, runs and temporary copies that no living process has locked."""
    places = (outputs_folder(), outputs_folder() / "worlds", runs_folder(), attached_folder())
    folders = [path for place in places for path in sorted(place.glob(f"{STAGING_PREFIX}*")) if path.is_dir()]
    unlocked = [path for path in folders if not path.is_symlink() and not is_held(path)]
    return [Leftover(path, size) for path, size in zip(unlocked, _freed(unlocked), strict=True)]


def _is_local(run: Run) -> bool:
    """Made here, and the run id follows from the receipt's fields: an edited or invented receipt is refused."""
    receipt = run.receipt
    made = run_id(receipt.manifest_fingerprint, receipt.parameter_hash, receipt.seed, receipt.nonce)
    return not run.attached and run.run_id == made


def _freed(folders: Sequence[Path]) -> list[int]:
    """Bytes that each folder's removal frees, in this order: a file counts when its last link is removed."""
    links: Counter[tuple[int, int]] = Counter()
    freed = []
    for folder in folders:
        size = 0
        for path in folder.rglob("*"):
            stat = path.lstat()
            if S_ISREG(stat.st_mode):
                links[stat.st_dev, stat.st_ino] += 1
                size += stat.st_size * (links[stat.st_dev, stat.st_ino] == stat.st_nlink)
        freed.append(size)
    return freed


def prune(candidates: Sequence[Superseded], abandoned: Sequence[Leftover] = ()) -> Path:
    """Remove runs and leftovers with a receipt, also if there is nothing to do. Returns the receipt's path.

    The receipt lists the planned removals before the first one, and each removal when it is done; a receipt without
    `finished_utc` is that of an interrupted prune, and the next prune removes the rest. A folder is moved out of the
    folder of runs as a whole before its files are removed.

    Raises
    ------
    ConflictError : a run has been pinned since it was listed, is being worked on, or holds files of another tool;
        nothing is removed.
    """
    with ExitStack() as locks:
        locks.enter_context(locked(runs_folder() / ".pins.lock", "prune", wait_seconds=60))
        for candidate in candidates:
            _check(candidate.run)
            locks.enter_context(locked(candidate.run.root / ".lock", "prune the run"))
        receipt = _ReceiptFile(candidates, abandoned)
        for candidate in candidates:
            _remove_run(candidate.run.root)
            receipt.removed(RemovedRun(run_id=candidate.run.run_id, freed_bytes=candidate.bytes))
        for leftover in abandoned:
            _remove(leftover.folder)
            receipt.cleared(_below_outputs(leftover), leftover.bytes)
        receipt.finish()
    return receipt.path


def _check(run: Run) -> None:
    """Final check, with the keep-set locked."""
    unknown = sorted(path.name for path in run.root.iterdir() if not _is_part(run, path.name))
    if run.run_id in keep_set() or run.root.is_symlink() or run.root.parent != runs_folder() or unknown:
        raise ConflictError(
            "5B.RUN.NOT_PRUNABLE",
            "a run is in the keep-set, or holds files that are not part of a run",
            where=str(run.root),
            found=", ".join(unknown),
            done="nothing is removed",
            next_step=f"move {unknown[0]} elsewhere" if unknown else "segment5b prune",
        )


def _is_part(run: Run, name: str) -> bool:
    return name in (*_PARTS, run.log.name) or name.startswith(STAGING_PREFIX)


def _remove_run(root: Path) -> None:
    moved = root.with_name(f"{STAGING_PREFIX}pruned-{root.name}-{uuid.uuid4().hex}")
    root.rename(moved)
    _remove(moved)


def _remove(folder: Path) -> None:
    """Links inside are removed and never followed."""
    with held(folder):
        shutil.rmtree(folder)


def _below_outputs(leftover: Leftover) -> str:
    return leftover.folder.relative_to(outputs_folder()).as_posix()


class RemovedRun(Recorded):
    """A removed run, and the bytes that its removal freed."""

    run_id: str
    freed_bytes: int


class PruneRecord(Recorded):
    """Planned and done removals of a prune; and the attached roots, which it never touches."""

    created_utc: str
    finished_utc: str | None = None
    keep_set: Pins
    attached: tuple[str, ...]
    planned: tuple[str, ...]
    removed: tuple[RemovedRun, ...] = ()
    cleared: tuple[str, ...] = ()
    freed_bytes: int = 0

    def content(self) -> bytes:
        return (json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n").encode()


class _ReceiptFile:
    """A prune's receipt, written after each step."""

    def __init__(self, candidates: Sequence[Superseded], abandoned: Sequence[Leftover]) -> None:
        self._receipt = PruneRecord(
            created_utc=utc_now(),
            keep_set=read_pins(),
            attached=tuple(str(run.root) for run in list_runs() if run.attached),
            planned=(*(item.run.run_id for item in candidates), *(_below_outputs(item) for item in abandoned)),
        )
        self.path = _receipts_folder() / f"prune_receipt_{self._receipt.created_utc}.json".replace(":", "")
        self._write()

    def removed(self, run: RemovedRun) -> None:
        self._write(removed=(*self._receipt.removed, run), freed_bytes=self._receipt.freed_bytes + run.freed_bytes)

    def cleared(self, folder: str, freed: int) -> None:
        self._write(cleared=(*self._receipt.cleared, folder), freed_bytes=self._receipt.freed_bytes + freed)

    def finish(self) -> None:
        self._write(finished_utc=utc_now())

    def _write(self, **changes: object) -> None:
        self._receipt = self._receipt.model_copy(update=changes)
        write_file(self.path, self._receipt.content())


def latest_receipt() -> Path | None:
    """The receipt of the latest prune; None before the first."""
    return max(_receipts_folder().glob("prune_receipt_*.json"), default=None)


def read_receipt(path: Path) -> PruneRecord:
    """What a receipt says."""
    return validated(PruneRecord, read_json(path), str(path))


def _receipts_folder() -> Path:
    return outputs_folder() / "reports" / "prune"


def pin_new(run: Run) -> None:
    """Pin a run whose S5 has passed: as last good run, and as baseline (the first published run) or candidate."""
    if run.marker("S5") is None:
        return
    pin("last_good", run)
    if run.receipt.posture != "published" or run.receipt.parent_run is not None:
        pin("candidate", run)
    elif not read_pins().of("baseline"):
        pin("baseline", run)


def discard_unstarted(run: Run) -> None:
    """Remove the root of a run that was made but never started: it holds nothing except its receipt."""
    if not run.records():
        shutil.rmtree(run.root)
