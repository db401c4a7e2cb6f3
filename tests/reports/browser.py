"""A headless Chromium that opens a page from disk and gives back what its scripts have made of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

_FLAGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --virtual-time-budget=20000"
_CHROMIUM = shutil.which("chromium")


def needs_browser(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test as one that needs Chromium, and skip it where there is none."""
    return pytest.mark.browser(pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium here")(test))


def dom(page: Path, profile: Path) -> str:
    """The page's document after its scripts have run; `profile` is a folder for the browser's own files."""
    assert _CHROMIUM is not None
    flags = [*_FLAGS.split(), f"--user-data-dir={profile / 'browser'}", "--dump-dom"]
    done = subprocess.run([_CHROMIUM, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
