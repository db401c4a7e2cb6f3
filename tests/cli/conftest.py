"""The command line run in this process."""

import sys

import pytest

from segment5b_lib.cli import main as entry


@pytest.fixture
def segment5b(monkeypatch, capsys):
    """Run the command line as a pipe sees it: exit code, standard output, standard error."""
    monkeypatch.delenv("COLUMNS", raising=False)  # test workers set it, and it would narrow the tables

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["segment5b", *arguments])
        try:
            entry.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
