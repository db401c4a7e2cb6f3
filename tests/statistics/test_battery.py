"""The battery is never left out unseen: without dieharder it is skipped with a reason, and in CI it fails."""

from __future__ import annotations

import shutil

import pytest

from tests.statistics.battery import needs_dieharder


@pytest.fixture(autouse=True)
def no_dieharder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)


def test_without_the_tool_it_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install dieharder"):
        needs_dieharder()


def test_in_ci_its_absence_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="dieharder is missing"):
        needs_dieharder()
