"""Kernels as `reports/execute.py` starts them: sockets in the file system, so that there is no race for ports.

A kernel's working folder is its notebook's, and not that of who talks to it: its sockets need an absolute name, and a
short one (a socket's name has at most 107 bytes).
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from itertools import count
from typing import Any

from jupyter_client.manager import KernelManager

_FOLDER = tempfile.mkdtemp(prefix="s5b-")
_NUMBERS = count(1)

atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


def settings() -> dict[str, str]:
    """Settings of one more kernel manager."""
    return {"transport": "ipc", "ip": f"{_FOLDER}/{next(_NUMBERS)}"}


def kernel_manager(**others: Any) -> KernelManager:
    """The kernel manager that nbval asks for."""
    return KernelManager(**settings(), **others)
