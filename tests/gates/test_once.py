"""A property that is made once, and whose refusal is kept as well."""

from __future__ import annotations

import pytest

from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.gates.evidence.run_tables import once


class Source:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.read = 0

    @once
    def table(self) -> list[int]:
        """What was read."""
        self.read += 1
        if self.error:
            raise self.error
        return [1, 2]


def test_it_is_made_once_and_kept() -> None:
    source = Source()
    assert source.table is source.table
    assert source.read == 1
    assert Source.table.__doc__ == "What was read."


@pytest.mark.parametrize("kind", [InputError, MissingInputError])
def test_bad_evidence_is_not_read_again(kind: type[InputError | MissingInputError]) -> None:
    source = Source(kind("5B.TEST.BAD", "bad", where="here"))
    for _ in range(2):
        with pytest.raises(kind):
            _ = source.table
    assert source.read == 1


def test_another_error_is_not_kept() -> None:
    source = Source(ZeroDivisionError())
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            _ = source.table
    assert source.read == 2


def test_each_object_has_its_own() -> None:
    assert Source().table is not Source().table
