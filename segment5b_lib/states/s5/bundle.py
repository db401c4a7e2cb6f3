"""Index, flag and place of the S5 bundle: the same content again is a no-op, other content moves the old aside."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from segment5b_lib.contract.policies import BundleLayoutPolicy
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.states.s5.report import as_json
from segment5b_lib.store.digest import bundle_digest
from segment5b_lib.store.publish import STAGING_PREFIX, sync_tree
from segment5b_lib.store.runs import Run

STALE: Final = ".stale_"
NOTES: Final = (
    "Run records stay outside this bundle, because they hold clocks and run ids:",
    "reports/layer2/segment_state_runs/segment=5B (one row per state attempt)",
    "logs/layer2/5B/rng/audit and logs/layer2/5B/rng/trace (random number logs)",
    "run_receipt.json, run_log_<run_id>.log and markers/ (the run and the digests of its outputs)",
)


@dataclass(frozen=True)
class Published:
    """A bundle as it lies there: digest of its members, its files, and where an older one went (if it did)."""

    digest: str
    files: tuple[Path, ...]
    stale: Path | None


def publish_bundle(run: Run, layout: BundleLayoutPolicy, members: Mapping[str, bytes], *, passed: bool) -> Published:
    """Put members and index in the run's bundle folder, and the flag if the checks have passed.

    Exactly this content there already: nothing is written. Anything else there is moved aside once, to a sibling
    `….stale_<utc>`.
    """
    digest = bundle_digest(members.items())
    mf = run.receipt.manifest_fingerprint
    files = dict(members) | {layout.index: _index(mf, members)}
    if passed:
        files[layout.flag] = _flag(mf, digest)
    target, stale = run.bundle_folder, None
    if not _holds(target, files):
        work = _staged(target, files)
        try:
            stale = _moved_aside(target)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        sync_tree(target.parent)
    return Published(digest, tuple(target / name for name in sorted(files)), stale)


def _index(mf: str, members: Mapping[str, bytes]) -> bytes:
    entries = [{"path": name, "sha256_hex": sha256_hex(content)} for name, content in sorted(members.items())]
    return as_json({"manifest_fingerprint": mf, "members": entries, "notes": NOTES})


def _flag(mf: str, digest: str) -> bytes:
    return canonical_json({"bundle_digest_sha256": digest, "manifest_fingerprint": mf}) + b"\n"


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether a folder holds these files, byte by byte, and no others."""
    if not folder.is_dir() or {path.name for path in folder.iterdir()} != set(files):
        return False
    return all((folder / name).read_bytes() == content for name, content in files.items())


def _staged(target: Path, files: Mapping[str, bytes]) -> Path:
    work = target.with_name(f"{STAGING_PREFIX}{target.name}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for name, content in files.items():
        (work / name).write_bytes(content)
    sync_tree(work)
    return work


def _moved_aside(target: Path) -> Path | None:
    """Rename what lies at `target`; the name says when."""
    if not target.exists():
        return None
    stale = target.with_name(f"{target.name}{STALE}{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    return target.rename(stale)
