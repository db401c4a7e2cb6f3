"""Machine of a result: processor, memory, versions. No name of host or user."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.process import ROOT

LIBRARIES = ("segment5b", "numpy", "numba", "llvmlite", "pyarrow", "polars", "duckdb", "scipy", "pydantic", "tzdata")


def machine() -> dict[str, Any]:
    """Cores available to this process, memory, processor model, operating system, and load at the start."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "processor": _processor(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the main libraries, and the commit."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}, "commit": _commit()}


def _processor() -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return match.group(1) if match else platform.processor()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "none"
