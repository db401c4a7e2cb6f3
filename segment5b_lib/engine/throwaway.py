"""A temporary copy of a run, made of links, in which its states can be run again and measured."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segment5b_lib.states.s5.report import STALE
from segment5b_lib.store.locks import held
from segment5b_lib.store.publish import STAGING_PREFIX
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.runs import RECEIPT_FILE, Run

_LINKED = ("data", "markers", "policies")
_LOGS = "logs"


@contextmanager
def throwaway(run: Run) -> Iterator[Run]:
    """A run root with the run's receipt, policies, markers and outputs, its random number logs, and no records.

    States replace files and never write into them, so the run itself stays unchanged. The copy is outside the folder
    of runs: nothing lists or pins it, and prune removes it only if a killed process has left it behind.
    """
    run.require_ours("run its states again")
    folder = outputs_folder() / f"{STAGING_PREFIX}throwaway-{uuid.uuid4().hex}"
    root = folder / "runs" / run.run_id
    folder.mkdir(parents=True)
    with held(folder):
        try:
            root.mkdir(parents=True)
            for name in (*_LINKED, _LOGS):
                if (run.root / name).is_dir():
                    copy = shutil.copy2 if name == _LOGS else os.link
                    ignore = shutil.ignore_patterns(f"{STAGING_PREFIX}*", f"*{STALE}*")
                    shutil.copytree(run.root / name, root / name, copy_function=copy, ignore=ignore)
            shutil.copy(run.root / RECEIPT_FILE, root / RECEIPT_FILE)
            (folder / "worlds").symlink_to(run.world.root.parent)
            yield Run(root)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def stale_bundles(run: Run) -> list[Path]:
    """Folders to which S5 has moved an older bundle of this run."""
    return sorted(run.bundle_folder.parent.glob(f"{run.bundle_folder.name}{STALE}*"))
