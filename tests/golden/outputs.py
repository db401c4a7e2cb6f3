"""The outputs folder that is pinned: that of the notebooks, a remediated run, a rerun, what is printed."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

import pytest

from segment5b_lib.cli.main import main
from tests.notebooks.prepare import copy_of, outputs_at, what_ifs

THREADS: Final = "2"
_QUIET: Final = ("--threads", THREADS, "--quiet")
_COMMANDS: Final = {
    "run_remediated": ("run", "--posture", "remediated", "--world", "{reopened}", *_QUIET),
    "score_remediated": ("score", "@last", "--json"),
    "compare": ("compare", "@baseline", "@candidate", "--json"),
    "rerun": ("rerun", "--run", "@baseline", "--changed", "S4", "--set", "routing.zone_binding=row_zone", *_QUIET),
    "score_rerun": ("score", "@last", "--json"),
    "calibrate": ("calibrate", "@baseline", "--target", "bplus", "--out", "{printed}/candidate.yaml", "--json"),
    "worlds": ("world", "show", "--json"),
    "runs": ("runs", "--json"),
}
"""Printed document to command: executed in this order, in one outputs folder."""


def golden_outputs(prepared: Path, folder: Path) -> Path:
    """Make the pinned outputs folder from the notebooks' prepared one, which stays as it is."""
    copy_of(prepared, folder)
    printed = folder / "printed"
    printed.mkdir()
    (reopened,) = (path.parts[-3] for path in folder.glob("worlds/*/config/ancestry.json"))
    places = {"printed": str(printed), "reopened": reopened}
    with outputs_at(folder):
        what_ifs()
        for name, arguments in _COMMANDS.items():
            code, out, err = _called([argument.format(**places) for argument in arguments])
            if out:
                (printed / f"{name}.{'json' if '--json' in arguments else 'txt'}").write_text(out, encoding="utf-8")
            (printed / f"{name}.end").write_text(f"exit code {code}\n{err}", encoding="utf-8")
    return folder


def _called(arguments: list[str]) -> tuple[int, str, str]:
    """The command line as a pipe sees it: exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.argv", ["segment5b", *arguments])
        patch.setenv("COLUMNS", "120")
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, out.getvalue(), err.getvalue()
