"""Free disk and free memory of this machine, container limits included."""

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
"""Files of the limit, the use and the statistics (with the cached part of the use) of control groups v2 and v1."""


def free_disk(folder: Path) -> int:
    """Bytes free on the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def free_memory() -> int:
    """Bytes available without swapping: those of the machine, or of the container if its limit leaves less."""
    available = _number(_MEMINFO, "MemAvailable") * 1024
    return min([available, *(free for limit in _LIMITS if (free := _container_free(*limit)) is not None)])


def _container_free(limit: str, use: str, statistics: str, cache: str) -> int | None:
    """Bytes that a container's limit leaves; None without a limit."""
    files = [_CGROUP / name for name in (limit, use, statistics)]
    if not all(path.is_file() for path in files) or not (maximum := files[0].read_text().strip()).isdigit():
        return None
    return int(maximum) - int(files[1].read_text()) + _number(files[2], cache)


def _number(path: Path, name: str) -> int:
    """The number after a name at the beginning of a line."""
    match = re.search(rf"^{name}:?\s+(\d+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert match is not None, f"{path} has no {name}"
    return int(match.group(1))
