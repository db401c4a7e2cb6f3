"""Attach a run root of the data engine, or of another version of this workbench: read, checked, never changed.

All files that are read later are opened and hashed once, here. `outputs/attached/<run_id>/` receives a receipt, the
policies that the run is judged by, a marker with digests per complete state, the record of the attachment and, for a
world in the same tree, a world file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment5b_lib.engine.attach.identity import identity_of_tree
from segment5b_lib.engine.attach.run import ExternalRun
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
    run: Run
    record: Attachment
    existed: bool


def attach(path: Path, *, run_id: str = "", posture: str = "", world: str = "", scale: str = "") -> Attached:
    """Register a run root read-only, so that everything that reads a run reads it. Attaching it again is a no-op.

    Parameters
    ----------
    path : the run root: the folder that holds `data/`
    run_id : which run, if the tree holds several
    posture : the policies to judge it by, if the tree has none that this version reads
    world : fingerprint or folder of its upstream world, if it is not in the tree
    scale : the scale of its world, if no world file has it

    Raises
    ------
    MissingInputError, InputError : a required part of the tree is missing, or differs from its digest or contract.
    UsageError : several runs and no `run_id`; no policies; a folder of this workbench's own outputs.
    """
    root = _external_root(path)
    require_inside(root)
    identity = identity_of_tree(root, run_id)
    with locked(attached_folder() / ".lock", "attach a run", wait_seconds=60):
        home = attached_folder() / identity.run_id
        if home.is_dir():
            return _existing(root, home)
        if (own := runs_folder() / identity.run_id).exists():
            raise ConflictError(
                "5B.ATTACH.ALREADY_OURS",
                "a run of that id is among this workbench's own runs",
                where=str(own),
                expected="a new run_id",
                found=identity.run_id,
                next_step=f"segment5b show {identity.run_id[:8]}",
            )
        external = ExternalRun(root, identity, posture=posture, world=world, scale=scale)
        with staged(home) as folder:
            external.write(folder)
    return Attached(AttachedRun(root, home), read_attachment(home), existed=False)


def _external_root(path: Path) -> Path:
    root = path.resolve()
    if not root.is_dir():
        raise MissingInputError(
            "5B.ATTACH.NO_FOLDER",
            "there is no such folder",
            where=str(path),
            expected="a run root, the folder that holds data/",
        )
    own_outputs = outputs_folder().resolve()
    if root.is_relative_to(own_outputs) or own_outputs.is_relative_to(root):
        raise UsageError(
            "5B.ATTACH.OWN_OUTPUTS",
            "the folder contains, or is in, this workbench's own outputs",
            where=str(root),
            expected=f"a folder apart from {own_outputs}",
            next_step="segment5b runs lists the runs that need no attaching",
        )
    return root


def _existing(root: Path, home: Path) -> Attached:
    """The existing attachment; another folder with the same run is a conflict."""
    record = read_attachment(home)
    if Path(record.root) != root:
        raise ConflictError(
            "5B.ATTACH.OTHER_ROOT",
            f"run {home.name[:8]} is attached already, from another folder",
            where=str(root),
            expected=record.root,
            found=root,
            next_step=f"use the existing attachment, or remove {home} and attach again",
        )
    return Attached(AttachedRun(root, home), record, existed=True)
