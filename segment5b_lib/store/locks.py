"""Locks with an owner and an age, so that two processes can work on the same outputs; and folders held while in use."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from segment5b_lib.errors import ConflictError


@contextmanager
def locked(path: Path, purpose: str, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold an exclusive lock on `path`.

    The kernel releases it when the process ends, however it ends, so no lock is ever left behind; the
    file's text only says who holds it and since when. A link is not followed: what it leads to is not ours.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path, purpose) as stream:
        _acquire(stream.fileno(), path, purpose, time.monotonic() + wait_seconds)
        stream.seek(0)
        stream.truncate()
        json.dump({"pid": os.getpid(), "purpose": purpose, "since": time.time()}, stream)
        stream.flush()
        try:
            yield
        finally:
            stream.seek(0)
            stream.truncate()
            stream.flush()
            fcntl.flock(stream.fileno(), fcntl.LOCK_UN)


def _opened(path: Path, purpose: str) -> TextIO:
    try:
        return open(path, "a+", encoding="utf-8", opener=_unfollowed)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise ConflictError(
            "5B.STORE.LOCK_IS_LINK",
            f"a lock is a link, so this process cannot {purpose}",
            where=str(path),
            expected="a file of the workbench's own",
            found=f"a link to {path.readlink()}",
            next_step="remove the link",
        ) from error


def _unfollowed(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW, 0o644)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a temporary folder while this process works in it; the kernel lets go when the process ends.

    Raises
    ------
    BlockingIOError : another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether a living process works in a temporary folder, or has just cleared it away."""
    try:
        with held(folder):
            return False
    except (BlockingIOError, FileNotFoundError):
        return True


def _acquire(handle: int, path: Path, purpose: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise ConflictError(
                    "5B.STORE.LOCKED",
                    f"another process is at work here, so this one cannot {purpose}",
                    where=str(path),
                    found=_owner(path),
                    next_step="wait until it has finished, or end it",
                ) from error
            time.sleep(0.05)


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return "an owner that has not said its name yet"
    age = time.time() - owner["since"]
    return f"process {owner['pid']}, to {owner['purpose']}, for {age:.0f} s"
