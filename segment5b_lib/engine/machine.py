"""What this machine has to give: free disk, and memory that a process may still take."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = Path("/sys/fs/cgroup")
_LIMITS: Final = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
"""Limit, use, and statistics with the part of the use that is cache, of control groups v2 and v1."""


def free_disk(folder: Path) -> int:
    """Bytes that may still be written on the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def free_memory() -> int:
    """Bytes that can be taken without swapping: what the machine has left, or less where a container may use less."""
    available = _number(_MEMINFO, "MemAvailable") * 1024
    return min([available, *(room for limit in _LIMITS if (room := _container_room(*limit)) is not None)])


def _container_room(limit: str, use: str, statistics: str, cache: str) -> int | None:
    """What a container's limit leaves; None where there is no such limit."""
    files = [_CGROUP / name for name in (limit, use, statistics)]
    if not all(path.is_file() for path in files) or not (most := files[0].read_text().strip()).isdigit():
        return None
    return int(most) - int(files[1].read_text()) + _number(files[2], cache)


def _number(path: Path, name: str) -> int:
    """The number that stands behind a name at the beginning of a line."""
    found = re.search(rf"^{name}:?\s+(\d+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{path} has no {name}"
    return int(found.group(1))
