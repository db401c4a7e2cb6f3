"""Keys of rows as codes, and violations of invariants: shared by the readers of S5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.arrays import I32, Flags
from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.errors import InputError
from segment5b_lib.kernel.ledger_check import KeyColumns, SeriesKeys
from segment5b_lib.states.s5.check import MAX_ISSUES, Issue
from segment5b_lib.states.series import SeriesDomain
from segment5b_lib.store.columns import coded, dictionary, encode

BUCKET_KEY: Final = (*SERIES_KEY, "bucket_index")
Wrong = Flags


class Violations:
    """Number of rows that violate each of some invariants, and the first of each."""

    def __init__(self, invariants: Sequence[str]) -> None:
        self.rows = dict.fromkeys(invariants, 0)
        self.issues: dict[str, list[Issue]] = {invariant: [] for invariant in invariants}

    def record(
        self, invariant: str, wrong: Wrong, where: Callable[[int], str], expected: str, found: Callable[[int], object]
    ) -> None:
        """Count the rows that violate an invariant; `where` and `found` give place and value of a row."""
        offenders = np.flatnonzero(wrong)
        self.rows[invariant] += offenders.size
        for row in offenders[:MAX_ISSUES].tolist():
            self.issues[invariant].append(Issue(str(where(row)), expected, str(found(row))))

    def add(self, other: Violations) -> None:
        for invariant, rows in other.rows.items():
            self.rows[invariant] += rows
            self.issues[invariant] = (self.issues[invariant] + other.issues[invariant])[:MAX_ISSUES]


class KeyCodes:
    """The series key of every row of a domain as numbers, to compare columns with."""

    def __init__(self, domain: SeriesDomain) -> None:
        self._merchants = domain.frame["merchant_id"].to_numpy()
        self._words = {name: dictionary(domain.frame[name]) for name in SERIES_KEY[1:]}
        self.keys = SeriesKeys(self._merchants, *(encode(domain.frame[name], w) for name, w in self._words.items()))

    def columns(self, table: pa.Table) -> KeyColumns:
        """The key columns of a table in the same numbers."""
        text = [part for name, words in self._words.items() for part in coded(table, name, _positions(words))]
        return KeyColumns(table["merchant_id"].to_numpy(), table["bucket_index"].to_numpy(), *text)


def _positions(words: Sequence[str]) -> dict[str, int]:
    return {word: code for code, word in enumerate(words)}


def require_values(table: pa.Table, where: str) -> None:
    """No column of a table may hold a null."""
    for name in table.column_names:
        if table[name].null_count:
            raise InputError(
                "5B.S5.NULL_IN_REQUIRED_COLUMN",
                "a column that has a value in every row has a null",
                where=f"{where}, column {name}",
                expected="no null",
                found=f"{table[name].null_count} nulls",
                next_step="rerun the state that writes it",
            )


def distinct(values: NDArray[np.generic]) -> tuple[I32, NDArray[np.generic]]:
    """Codes of all values, and the distinct values by code: so that a check runs once per value."""
    encoded = pa.array(values).dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_numpy()
