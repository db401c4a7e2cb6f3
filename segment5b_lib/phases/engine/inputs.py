"""The inputs of a phase's evidence: the files that were read, re-hashed and compared with what was recorded."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from segment5b_lib.contract.words import STATES
from segment5b_lib.phases.engine.envelope import InputDigest
from segment5b_lib.store.attachments import ATTACHMENT_FILE
from segment5b_lib.store.digest import require_unchanged, sha256_file
from segment5b_lib.store.runs import RECEIPT_FILE, Run


def verified_inputs(run: Run, dataset_ids: Collection[str]) -> list[InputDigest]:
    """Receipt, policies, markers, run records, and every file of some datasets of the run and its world, with digests.

    Raises
    ------
    StaleError : a file is not what its state published or what S0 sealed.
    """
    recorded = _recorded(run, dataset_ids)
    require_unchanged(
        {path: digest for path, (_, digest) in recorded.items()},
        "5B.PHASE.INPUT_CHANGED",
        "evidence is not what was published or sealed",
        next_step="restore the file, or make the run again",
    )
    own = [
        *(run.home / name for name in (RECEIPT_FILE, ATTACHMENT_FILE) if (run.home / name).is_file()),
        *sorted((run.home / "policies").glob("*.yaml")),
        *sorted((run.home / "markers").glob("*.json")),
    ]
    records = sorted(run.records_root.glob("utc_day=*/*.jsonl"))
    named = [*((path, run.home) for path in own), *((path, run.root) for path in records)]
    lines = [
        *((f"run/{path.relative_to(base).as_posix()}", sha256_file(path)) for path, base in named),
        *recorded.values(),
    ]
    return [InputDigest(path=path, sha256=digest) for path, digest in lines]


def _recorded(run: Run, dataset_ids: Collection[str]) -> dict[Path, tuple[str, str]]:
    """Absolute path to (name below `run/` or `world/`, recorded digest)."""
    recorded = {}
    for output in run.outputs(*STATES):
        if output.dataset_id in dataset_ids:
            recorded[run.root / output.path] = (f"run/{output.path}", output.sha256)
    for dataset_id, files in run.sealed().items():
        if dataset_id in dataset_ids:
            for path, digest in files.items():
                recorded[run.world.root / path] = (f"world/{path}", digest)
    return recorded
