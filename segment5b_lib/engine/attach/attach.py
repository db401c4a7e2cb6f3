"""Attach a run root that the data engine, or another version of this workbench, has made: read, checked, never changed.

Everything that is read later is found, opened and hashed once, now. What is written lies in
`outputs/attached/<run_id>/`: a receipt, the policies that the run is judged by, a marker per complete state with the
digests found, the record of the attachment and, for a world in the same tree, a world file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment5b_lib.engine.attach.identity import Identity, identity_of_tree
from segment5b_lib.engine.attach.run import examine
from segment5b_lib.engine.attach.tree import require_inside
from segment5b_lib.errors import ConflictError, MissingInputError, UsageError
from segment5b_lib.store.attachments import Attachment, attached_folder, read_attachment
from segment5b_lib.store.catalogue import AttachedRun
from segment5b_lib.store.locks import locked
from segment5b_lib.store.publish import staged
from segment5b_lib.store.roots import outputs_folder, runs_folder
from segment5b_lib.store.runs import Run


@dataclass(frozen=True)
class Attached:
    """An attached run, and whether it had been attached before."""

    run: Run
    record: Attachment
    existed: bool


def attach(path: Path, *, run_id: str = "", posture: str = "", world: str = "", scale: str = "") -> Attached:
    """Register a run root read-only, so that everything that reads a run reads it. Attaching it again is a no-op.

    Parameters
    ----------
    path : the run root: the folder that holds `data/`
    run_id : which run, where the tree holds several
    posture : the policies to judge it by, where the tree has none that this version reads
    world : fingerprint or folder of its upstream world, where the tree does not hold it
    scale : the scale of its world, where no world file says it

    Raises
    ------
    MissingInputError, InputError : what the tree must hold is not there, or is not what it says it is.
    UsageError : several runs and none named; no policies; a folder of this workbench's own outputs.
    """
    root = _foreign_root(path)
    require_inside(root)
    identity = identity_of_tree(root, run_id)
    with locked(attached_folder() / ".lock", "attach a run", wait_seconds=60):
        home = attached_folder() / identity.run_id
        if home.is_dir():
            return _again(root, home)
        _require_free(identity)
        found = examine(root, identity, posture=posture, world=world, scale=scale)
        with staged(home) as folder:
            found.write(folder)
    return Attached(AttachedRun(root, home), read_attachment(home), existed=False)


def _foreign_root(path: Path) -> Path:
    root = path.resolve()
    if not root.is_dir():
        raise MissingInputError(
            "5B.ATTACH.NO_FOLDER",
            "there is no such folder",
            where=str(path),
            expected="a run root, the folder that holds data/",
        )
    ours = outputs_folder().resolve()
    if root.is_relative_to(ours) or ours.is_relative_to(root):
        raise UsageError(
            "5B.ATTACH.OWN_OUTPUTS",
            "the folder holds, or lies in, this workbench's own outputs, which attaching would change",
            where=str(root),
            expected=f"a folder apart from {ours}",
            next_step="segment5b runs lists the runs that are there without attaching",
        )
    return root


def _again(root: Path, home: Path) -> Attached:
    """The attachment that there is; another folder with the same run is a conflict."""
    record = read_attachment(home)
    if Path(record.root) != root:
        raise ConflictError(
            "5B.ATTACH.OTHER_ROOT",
            f"run {home.name[:8]} is attached already, from another folder",
            where=str(root),
            expected=record.root,
            found=root,
            next_step=f"use the one there is, or remove {home} and attach again",
        )
    return Attached(AttachedRun(root, home), record, existed=True)


def _require_free(identity: Identity) -> None:
    if (runs_folder() / identity.run_id).exists():
        raise ConflictError(
            "5B.ATTACH.ALREADY_OURS",
            "a run of that id is among this workbench's own runs",
            where=str(runs_folder() / identity.run_id),
            expected="a run_id that is not there yet",
            found=identity.run_id,
            next_step=f"segment5b show {identity.run_id[:8]}",
        )
