"""JupyterLab as `segment5b lab` starts it, asked over HTTP what it is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from segment5b_lib.reports.lab import lab_command

pytestmark = pytest.mark.slow


@pytest.fixture
def server(private_outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A running server's own description of itself: url, token, pid."""
    pytest.importorskip("jupyterlab", reason="the extra `notebook` is not installed")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    command, environment = lab_command(browser=False)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield described(tmp_path / "runtime", process)
        finally:
            process.terminate()


def described(runtime: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    for _ in range(600):
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


def test_it_serves_the_notebooks_to_who_has_the_token_and_to_nobody_else(server: dict[str, Any]) -> None:
    assert server["url"].startswith("http://127.0.0.1:")
    assert len(server["token"]) >= 32
    with pytest.raises(urllib.error.HTTPError, match="403") as refusal:
        asked(server, "api/contents", token=False)
    refusal.value.close()
    names = {entry["name"] for entry in json.loads(asked(server, "api/contents"))["content"]}
    assert "p0_realism_baseline.ipynb" in names
    kernels = json.loads(asked(server, "api/kernelspecs"))
    assert kernels["default"] == "python3"
    assert kernels["kernelspecs"]["python3"]["spec"]["argv"][0] == sys.executable
    assert b'"@jupyterlab/apputils-extension:announcements"' in asked(server, "lab")
