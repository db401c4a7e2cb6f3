"""Keep-set and prune: which runs stay, and how the others go, with a receipt."""

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
from segment5b_lib.store.locks import held, is_held, locked
from segment5b_lib.store.pins import ROLES, Pins, pins_path, read_pins
from segment5b_lib.store.publish import STAGING_PREFIX, write_file
from segment5b_lib.store.roots import outputs_folder, runs_folder
from segment5b_lib.store.runs import RECEIPT_FILE, Run, list_runs

_PARTS: Final = ("data", "logs", "markers", "policies", "reports", RECEIPT_FILE, ".lock")
"""What lies in a run root, beside the log that carries the run's id."""


def pin(role: str, run: Run) -> None:
    """Give a run a role in the keep-set. Witness and certification hold several runs, the others one."""
    known = next((name for name in ROLES if name == role), None)
    if known is None:
        raise UsageError("5B.RUN.UNKNOWN_ROLE", f"there is no role {role!r}", expected=", ".join(ROLES), found=role)
    with locked(runs_folder() / ".pins.lock", "change the keep-set", wait_seconds=60):
        write_file(pins_path(), read_pins().with_run(known, run.run_id).content())


def keep_set() -> set[str]:
    """Ids of all pinned runs."""
    return read_pins().kept


@dataclass(frozen=True)
class Superseded:
    """A run outside the keep-set, and how many bytes its removal would free."""

    run: Run
    bytes: int


@dataclass(frozen=True)
class Leftover:
    """A temporary folder that a killed process has left behind, and its bytes."""

    folder: Path
    bytes: int


def superseded() -> list[Superseded]:
    """Runs that prune would remove: real folders with a receipt of ours, which nobody keeps."""
    kept = keep_set()
    runs = [run for run in list_runs() if run.run_id not in kept and _is_ours(run)]
    return [Superseded(run, size) for run, size in zip(runs, _freed([run.root for run in runs]), strict=True)]


def leftovers() -> list[Leftover]:
    """Temporary folders in the places of worlds, runs and throw-away copies that no living process holds."""
    places = (outputs_folder(), outputs_folder() / "worlds", runs_folder(), attached_folder())
    found = [path for place in places for path in sorted(place.glob(f"{STAGING_PREFIX}*")) if path.is_dir()]
    dead = [path for path in found if not path.is_symlink() and not is_held(path)]
    return [Leftover(path, size) for path, size in zip(dead, _freed(dead), strict=True)]


def _is_ours(run: Run) -> bool:
    """Made here, and the receipt's own fields give the run id: an edited or invented receipt does not."""
    receipt = run.receipt
    made = run_id(receipt.manifest_fingerprint, receipt.parameter_hash, receipt.seed, receipt.nonce)
    return run.own is None and run.run_id == made


def _freed(folders: Sequence[Path]) -> list[int]:
    """Bytes that each folder's removal frees, in this order: a file counts where its last link goes."""
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


def prune(candidates: Sequence[Superseded], dead: Sequence[Leftover] = ()) -> Path:
    """Remove runs and leftovers with a receipt, also when there is nothing to do. Returns the receipt's path.

    The receipt says what will go before anything goes, and grows with what has gone; one without a `finished_utc` is
    that of a prune that was interrupted, after which another one clears the rest away. A folder leaves the place
    of runs whole, in one move, before its files go.

    Raises
    ------
    ConflictError : a run has been pinned since it was listed, is being worked on, or holds what is not ours; nothing
        is removed.
    """
    with ExitStack() as held_together:
        held_together.enter_context(locked(runs_folder() / ".pins.lock", "prune", wait_seconds=60))
        for one in candidates:
            _check(one.run)
            held_together.enter_context(locked(one.run.root / ".lock", "prune the run"))
        receipt = _ReceiptFile(candidates, dead)
        for one in candidates:
            _remove_run(one.run.root)
            receipt.removed(RemovedRun(run_id=one.run.run_id, freed_bytes=one.bytes))
        for leftover in dead:
            _remove(leftover.folder)
            receipt.cleared(_below_outputs(leftover), leftover.bytes)
        receipt.finish()
    return receipt.path


def _check(run: Run) -> None:
    """A last look, with the keep-set held."""
    foreign = sorted(path.name for path in run.root.iterdir() if not _is_part(run, path.name))
    if run.run_id in keep_set() or run.root.is_symlink() or run.root.parent != runs_folder() or foreign:
        raise ConflictError(
            "5B.RUN.NOT_PRUNABLE",
            "a run is in the keep-set, or holds what is not ours to remove",
            where=str(run.root),
            found=", ".join(foreign),
            done="nothing is removed",
            next_step=f"move {foreign[0]} elsewhere" if foreign else "segment5b prune",
        )


def _is_part(run: Run, name: str) -> bool:
    return name in (*_PARTS, run.log.name) or name.startswith(STAGING_PREFIX)


def _remove_run(root: Path) -> None:
    gone = root.with_name(f"{STAGING_PREFIX}pruned-{root.name}-{uuid.uuid4().hex}")
    root.rename(gone)
    _remove(gone)


def _remove(folder: Path) -> None:
    """Links inside are removed and never followed."""
    with held(folder):
        shutil.rmtree(folder)


def _below_outputs(leftover: Leftover) -> str:
    return leftover.folder.relative_to(outputs_folder()).as_posix()


class RemovedRun(Recorded):
    """A run that a prune has removed, and the bytes that this has freed."""

    run_id: str
    freed_bytes: int


class PruneReceipt(Recorded):
    """What a prune will remove and has removed; and which foreign roots it leaves alone."""

    created_utc: str
    finished_utc: str | None = None
    keep_set: Pins
    attached: tuple[str, ...]
    planned: tuple[str, ...]
    removed: tuple[RemovedRun, ...] = ()
    cleared: tuple[str, ...] = ()
    freed_bytes: int = 0

    def content(self) -> bytes:
        """The receipt as it is written."""
        return (json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n").encode()


class _ReceiptFile:
    """A prune's receipt, on disk at every moment."""

    def __init__(self, candidates: Sequence[Superseded], dead: Sequence[Leftover]) -> None:
        self._receipt = PruneReceipt(
            created_utc=utc_now(),
            keep_set=read_pins(),
            attached=tuple(str(one.root) for one in list_runs() if one.own),
            planned=(*(one.run.run_id for one in candidates), *(_below_outputs(one) for one in dead)),
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
    """The receipt of the latest prune; None where there has been none."""
    return max(_receipts_folder().glob("prune_receipt_*.json"), default=None)


def _receipts_folder() -> Path:
    return outputs_folder() / "reports" / "prune"


def pin_new(run: Run) -> None:
    """Give a run whose S5 has passed the roles it earns.

    It is the last good run; the first published one is the baseline as well, any other a candidate.
    """
    if run.marker("S5") is None:
        return
    pin("last_good", run)
    if run.receipt.posture != "published" or run.receipt.parent_run is not None:
        pin("candidate", run)
    elif not read_pins().of("baseline"):
        pin("baseline", run)


def discard_unstarted(run: Run) -> None:
    """Remove the root of a run that was made but never started: nothing but its receipt would be lost."""
    if not run.records():
        shutil.rmtree(run.root)
