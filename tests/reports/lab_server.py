"""A JupyterLab server as `segment5b lab` starts it, for as long as a test needs it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segment5b_lib.cli.browse import lab_command


@contextmanager
def serving(runtime: Path) -> Iterator[dict[str, Any]]:
    """A running server's own description of itself: url, token, pid. JUPYTER_RUNTIME_DIR must be `runtime`."""
    command, environment = lab_command(browser=False)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield _described(runtime, process)
        finally:
            process.terminate()


def _described(runtime: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    for _ in range(900):
        assert process.poll() is None, "JupyterLab has ended"
        for path in runtime.glob("jpserver-*.json"):
            try:
                found: dict[str, Any] = json.loads(path.read_text())
                asked(found, "api/status")
            except (ValueError, urllib.error.URLError):
                continue
            return found
        time.sleep(0.1)
    raise AssertionError("JupyterLab has not come up")


def asked(server: dict[str, Any], path: str, *, token: bool = True) -> bytes:
    headers = {"Authorization": f"token {server['token']}"} if token else {}
    request = urllib.request.Request(f"{server['url']}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        content: bytes = answer.read()
    return content
