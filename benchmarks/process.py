"""One piece of work in a separate process: wall time, processor time and peak memory of that process.

Peak memory is the kernel's `ru_maxrss`. A child inherits its parent's peak when it is started, so the
caller must stay small: the measuring process imports only the standard library.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Finished:
    """A process that has succeeded. `answer` is the last line of its output, if that is JSON."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    answer: Any


def work(task: str, outputs: Path, *, environment: Mapping[str, str] | None = None, **arguments: Any) -> Finished:
    """Run a task of `benchmarks.work` with its own outputs folder."""
    command = [sys.executable, "-m", "benchmarks.work", task, json.dumps(arguments)]
    return run(command, {"SEGMENT5B_OUTPUTS": str(outputs), "SEGMENT5B_HOME": str(ROOT), **(environment or {})})


def run(command: Sequence[str], environment: Mapping[str, str]) -> Finished:
    """Run a command to its end; `subprocess.CalledProcessError` if it fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, cwd=ROOT, env={**os.environ, **environment})
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), text)
    return Finished(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, _answer(text))


def _answer(text: str) -> Any:
    lines = text.splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else None
