"""Atomic publish: write next to the target, fsync, rename. A reader never sees half of anything."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segment5b_lib.store.locks import held

STAGING_PREFIX = ".staging-"


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield an empty folder next to `target`; on success it replaces `target`, on failure it is removed.

    An existing target is moved aside first and deleted only after the new one is in place, so that a
    failure at any point leaves the old content or the new, never a mixture.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex
    work = target.with_name(f"{STAGING_PREFIX}{target.name}-{token}")
    work.mkdir()
    with held(work):
        try:
            yield work
            sync_tree(work)
            replace_folder(work, target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise


def replace_folder(new: Path, target: Path) -> None:
    """Put `new` where `target` is; both must be on one file system."""
    old = target.with_name(f"{STAGING_PREFIX}{target.name}-old-{uuid.uuid4().hex}")
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_file(path: Path, content: bytes) -> None:
    """Write one small file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f"{STAGING_PREFIX}{path.name}-{uuid.uuid4().hex}")
    try:
        with work.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        work.replace(path)
    except BaseException:
        work.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
