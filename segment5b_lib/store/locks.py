"""Locks with an owner and an age, so that two processes can work on the same outputs."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segment5b_lib.errors import ConflictError


@contextmanager
def locked(path: Path, purpose: str, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold an exclusive lock on `path`.

    The kernel releases it when the process ends, however it ends, so no lock is ever left behind; the
    file's text only says who holds it and since when.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
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
