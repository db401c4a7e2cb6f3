"""Columns of Arrow tables and frames as flat NumPy arrays: numbers as they are, text as codes, and what is null."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.arrays import I32, U8
from segment5b_lib.errors import InputError
from segment5b_lib.kernel.tally_tables import UNKNOWN


def numbers(table: pa.Table, name: str) -> NDArray[Any]:
    """A column of numbers or instants (microseconds) that must not hold a null."""
    column = _chunk(table, name)
    if column.null_count:
        raise InputError(
            "5B.STORE.NULL_IN_KEY",
            "a column that every row needs has rows without a value",
            where=f"column {name}",
            expected="no null",
            found=f"{column.null_count} nulls",
        )
    return _values(column)


def numbers_or_zero(table: pa.Table, name: str) -> tuple[NDArray[Any], U8]:
    """A column that may hold nulls: the values (arbitrary where null), and flags of those that are present."""
    column = _chunk(table, name)
    if column.null_count == 0:
        present = np.ones(len(column), np.uint8)
    elif column.null_count == len(column):
        present = np.zeros(len(column), np.uint8)
    else:
        present = column.is_valid().to_numpy(zero_copy_only=False).view(np.uint8)
    return _values(column), present


def flags(table: pa.Table, name: str, null: int) -> U8:
    """A boolean column as 0 and 1, and `null` where there is none."""
    column = _chunk(table, name)
    if column.null_count == 0:
        return np.asarray(column.to_numpy(zero_copy_only=False).view(np.uint8))
    return np.asarray(column.cast(pa.uint8()).fill_null(null).to_numpy())


def words(table: pa.Table, name: str) -> tuple[I32, list[str]]:
    """A text column as positions in a list of its words; UNKNOWN where it is null."""
    column = _encoded(table, name)
    indices = column.indices.cast(pa.int32())
    filled = indices.fill_null(UNKNOWN) if column.null_count else indices
    return np.asarray(filled.to_numpy()), column.dictionary.to_pylist()


def coded(table: pa.Table, name: str, code_of: Mapping[str, int]) -> tuple[I32, I32]:
    """A text column as positions, and the code of the word at each position; see `codes`.

    The positions are those of the column itself, and of one more where it is null: nothing is looked up row by row.
    """
    column = _encoded(table, name)
    lookup = np.array([*(code_of.get(word, UNKNOWN) for word in column.dictionary.to_pylist()), UNKNOWN], np.int32)
    indices = column.indices.cast(pa.int32())
    filled = indices.fill_null(lookup.size - 1) if column.null_count else indices
    return np.asarray(filled.to_numpy()), lookup


def codes(table: pa.Table, name: str, code_of: Mapping[str, int]) -> I32:
    """A text column in the codes of a mapping; UNKNOWN for other words and for null."""
    positions, lookup = coded(table, name, code_of)
    return lookup[positions]


def dictionary(*columns: pl.Series | Iterable[str]) -> tuple[str, ...]:
    """All words of some columns, ascending: a word's code is its position."""
    distinct = (column.unique() if isinstance(column, pl.Series) else column for column in columns)
    return tuple(sorted({word for words in distinct for word in words}))


def word_codes(column: pl.Series, words: Sequence[str]) -> I32:
    """Positions in `words` of a column whose words are all among them; UNKNOWN where it is null."""
    positions = column.cast(pl.Enum(words)).to_physical().cast(pl.Int32)
    return positions.fill_null(UNKNOWN).to_numpy()


def numbered(words: Iterable[str]) -> dict[str, int]:
    """The code of each word: its position."""
    return {word: code for code, word in enumerate(words)}


def distinct(values: NDArray[np.generic]) -> tuple[I32, NDArray[np.generic]]:
    """Codes of all values, and the distinct values by code: so that a check runs once per value."""
    encoded = pa.array(values).dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_numpy()


def _chunk(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _encoded(table: pa.Table, name: str) -> pa.DictionaryArray:
    column = table.column(name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    return column.chunk(0) if column.num_chunks == 1 else column.unify_dictionaries().combine_chunks()


def _values(column: pa.Array) -> NDArray[Any]:
    """The value buffer, whatever is null in it; instants as int64."""
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    width = np.dtype(column.type.to_pandas_dtype())
    return np.frombuffer(column.buffers()[1], width)[column.offset : column.offset + len(column)]
