"""Whether rows lie where their key says, and which of them break an invariant: shared by the readers of S5."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.errors import InputError
from segment5b_lib.kernel.ledger_check import KeyColumns, SeriesKeys
from segment5b_lib.states.s5.check import MAX_ISSUES, Issue
from segment5b_lib.states.series import SeriesDomain

BUCKET_KEY: Final = (*SERIES_KEY, "bucket_index")
Wrong = NDArray[np.bool_]
Describe = Callable[[int], object]
"""Says something about the row at a position."""


class Violations:
    """How many rows break each of some invariants, and the first of each."""

    def __init__(self, invariants: Sequence[str]) -> None:
        self.rows = dict.fromkeys(invariants, 0)
        self.issues: dict[str, list[Issue]] = {invariant: [] for invariant in invariants}

    def record(
        self, invariant: str, wrong: Wrong, where: Callable[[int], str], expected: str, found: Callable[[int], object]
    ) -> None:
        """Count the rows that break an invariant; `where` and `found` say of a row where it is and what is there."""
        offenders = np.flatnonzero(wrong)
        self.rows[invariant] += offenders.size
        for row in offenders[:MAX_ISSUES].tolist():
            self.issues[invariant].append(Issue(str(where(row)), expected, str(found(row))))

    def add(self, other: Violations) -> None:
        """Add what another reader has noted."""
        for invariant, rows in other.rows.items():
            self.rows[invariant] += rows
            self.issues[invariant] = (self.issues[invariant] + other.issues[invariant])[:MAX_ISSUES]


class KeyCodes:
    """The series key of every row of a domain as numbers, to compare columns with."""

    def __init__(self, domain: SeriesDomain) -> None:
        self._merchants = domain.frame["merchant_id"].to_numpy()
        self._words = {name: _codes_of(domain.frame[name].to_list()) for name in SERIES_KEY[1:]}
        self.keys = SeriesKeys(self._merchants, *(codes for _, codes in self._words.values()))

    def columns(self, table: pa.Table) -> KeyColumns:
        """The key columns of a table in the same numbers."""
        text = [part for name, (words, _) in self._words.items() for part in coded(table[name], words)]
        return KeyColumns(table["merchant_id"].to_numpy(), table["bucket_index"].to_numpy(), *text)


def _codes_of(column: Sequence[str]) -> tuple[dict[str, int], NDArray[np.int32]]:
    words = {word: code for code, word in enumerate(sorted(set(column)))}
    return words, np.array([words[word] for word in column], np.int32)


def coded(column: pa.ChunkedArray, words: Mapping[str, int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """A text column as positions, and the codes of `words` that they stand for; see `text_codes`.

    The positions are those of the column itself: nothing is looked up row by row.
    """
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    whole = encoded.unify_dictionaries().combine_chunks()
    codes = np.array([words.get(word, -1) for word in whole.dictionary.to_pylist()] + [-1], np.int32)
    indices = whole.indices.fill_null(len(codes) - 1) if whole.null_count else whole.indices
    return indices.to_numpy(), codes


def text_codes(column: pa.ChunkedArray, words: Mapping[str, int]) -> NDArray[np.int32]:
    """A text column in the codes of `words`; −1 for a null, and for a word not among them."""
    index, codes = coded(column, words)
    return codes[index]


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


def distinct(values: NDArray[np.generic]) -> tuple[NDArray[np.int32], NDArray[np.generic]]:
    """Codes of all values, and the distinct values that they stand for: so that a check runs once per value."""
    encoded = pa.array(values).dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_numpy()
