"""JupyterLab as `segment5b lab` starts it, asked over HTTP what it is."""

from __future__ import annotations

import json
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.reports.lab_server import asked, serving

pytestmark = pytest.mark.slow


@pytest.fixture
def server(private_outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A running server's own description of itself: url, token, pid."""
    pytest.importorskip("jupyterlab", reason="the extra `notebook` is not installed")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    with serving(tmp_path / "runtime") as described:
        yield described


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
