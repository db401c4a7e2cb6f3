"""Keep-set and prune: which runs stay, and how the others go, with a receipt."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from segment5b_lib.engine.records import utc_now
from segment5b_lib.errors import ConflictError, UsageError
from segment5b_lib.store.locks import locked
from segment5b_lib.store.publish import write_file
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.runs import PIN_NAMES, Run, list_runs, read_pins, runs_folder

_MANY = ("witness", "certification")


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


def superseded() -> list[Superseded]:
    """Runs that prune would remove: they carry our receipt, are real folders, and nobody keeps them."""
    kept = keep_set()
    runs = [run for run in list_runs() if run.run_id not in kept]
    return [Superseded(run, _own_bytes(run.root)) for run in runs]


def _own_bytes(root: Path) -> int:
    """Bytes of files that no other run links."""
    stats = [path.lstat() for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(stat.st_size for stat in stats if stat.st_nlink == 1)


def prune(candidates: list[Superseded]) -> Path:
    """Remove runs and write a receipt, also when there is nothing to do. Returns the receipt's path.

    Raises
    ------
    ConflictError : a run has been pinned since it was listed, or is being worked on; nothing more is removed.
    """
    removed: list[dict[str, object]] = []
    for candidate in candidates:
        run = candidate.run
        if run.run_id in keep_set() or run.root.is_symlink() or run.root.parent != runs_folder():
            raise ConflictError(
                "5B.RUN.NOT_PRUNABLE",
                "a run is in the keep-set or is not ours to remove",
                where=str(run.root),
                done=f"{len(removed)} run(s) removed",
            )
        with locked(run.root / ".lock", "prune the run"):
            shutil.rmtree(run.root)
        removed.append({"run_id": run.run_id, "freed_bytes": candidate.bytes})
    receipt = {
        "created_utc": utc_now(),
        "keep_set": read_pins(),
        "removed": removed,
        "freed_bytes": sum(candidate.bytes for candidate in candidates),
    }
    path = _receipts_folder() / f"prune_receipt_{receipt['created_utc']}.json".replace(":", "")
    write_file(path, (json.dumps(receipt, indent=1, sort_keys=True) + "\n").encode())
    return path


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
