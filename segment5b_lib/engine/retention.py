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
from typing import Any, Final

from segment5b_lib.errors import ConflictError, UsageError
from segment5b_lib.identity import run_id, utc_now
from segment5b_lib.store.attachments import attached_folder
from segment5b_lib.store.locks import held, is_held, locked
from segment5b_lib.store.publish import STAGING_PREFIX, write_file
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.runs import PIN_NAMES, RECEIPT_FILE, Run, list_runs, read_pins, runs_folder

_MANY = ("witness", "certification")
_PARTS: Final = ("data", "logs", "markers", "policies", "reports", RECEIPT_FILE, ".lock")
"""What lies in a run root, beside the log that carries the run's id."""


def pin(role: str, run: Run) -> None:
    """Give a run a role in the keep-set. Witness and certification hold several runs, the others one."""
    if role not in PIN_NAMES:
        raise UsageError("5B.RUN.UNKNOWN_ROLE", f"there is no role {role!r}", expected=", ".join(PIN_NAMES), found=role)
    with locked(runs_folder() / ".pins.lock", "change the keep-set", wait_seconds=60):
        pins = read_pins()
        others = [name for name in pins.get(role, []) if role in _MANY and name != run.run_id]
        pins[role] = [*others, run.run_id]
        write_file(runs_folder() / "pins.json", (json.dumps(pins, indent=1, sort_keys=True) + "\n").encode())


def keep_set() -> set[str]:
    """Ids of all pinned runs."""
    return {name for names in read_pins().values() for name in names}


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
        receipt = _Receipt(candidates, dead)
        for one in candidates:
            _remove_run(one.run.root)
            receipt.note("removed", {"run_id": one.run.run_id, "freed_bytes": one.bytes}, one.bytes)
        for leftover in dead:
            _remove(leftover.folder)
            receipt.note("cleared", _below_outputs(leftover), leftover.bytes)
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


class _Receipt:
    """What a prune will remove and has removed, on disk at every moment; and which foreign roots it leaves alone."""

    def __init__(self, candidates: Sequence[Superseded], dead: Sequence[Leftover]) -> None:
        created = utc_now()
        self.path = _receipts_folder() / f"prune_receipt_{created}.json".replace(":", "")
        self._document: dict[str, Any] = {
            "created_utc": created,
            "finished_utc": None,
            "keep_set": read_pins(),
            "attached": [str(one.root) for one in list_runs() if one.own],
            "planned": [*(one.run.run_id for one in candidates), *(_below_outputs(one) for one in dead)],
            "removed": [],
            "cleared": [],
            "freed_bytes": 0,
        }
        self._write()

    def note(self, kind: str, entry: object, freed: int) -> None:
        self._document[kind].append(entry)
        self._document["freed_bytes"] += freed
        self._write()

    def finish(self) -> None:
        self._document["finished_utc"] = utc_now()
        self._write()

    def _write(self) -> None:
        write_file(self.path, (json.dumps(self._document, indent=1, sort_keys=True) + "\n").encode())


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
    elif not read_pins().get("baseline"):
        pin("baseline", run)


def discard_unstarted(run: Run) -> None:
    """Remove the root of a run that was made but never started: nothing but its receipt would be lost."""
    if not run.records():
        shutil.rmtree(run.root)
