"""The columns of a batch of arrivals as arrays: text as positions in known words, null as nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.states.s5.parts import OPTIONAL, Row
from segment5b_lib.states.s5.rows import Wrong, text_codes
from segment5b_lib.store.arrival_files import LOCAL_COLUMNS

COLUMNS: Final = (
    *SERIES_KEY,
    "bucket_index",
    "arrival_seq",
    "ts_utc",
    "tzid_primary",
    LOCAL_COLUMNS[0],
    *OPTIONAL,
    "is_virtual",
    "routing_universe_hash",
)
"""What an audit reads: every column."""
I64 = NDArray[np.int64]
Words = Mapping[str, Mapping[str, int]]
"""By text column, the words that may occur there and their codes."""


class ArrivalRows:
    """Successive rows of one row group; `before` is the row that precedes them there, if any.

    `merchant` u64, `bucket`, `seq`, `ts` and `local` (primary, digits as stored) int64, `virtual` bool; times are
    microseconds. `code` holds int32 positions by text column, −1 for a null and for an unknown word. `merchant_at`
    int64 is the row's position in `merchants`, which ascend; −1 for a merchant that is not there.
    """

    def __init__(self, table: pa.Table, words: Words, merchants: NDArray[np.uint64], before: Row | None = None) -> None:
        self.table, self.before = table, before
        self.merchant = table["merchant_id"].to_numpy()
        self.bucket = table["bucket_index"].to_numpy().astype(np.int64)
        self.seq = table["arrival_seq"].to_numpy()
        self.ts, self.local = self.instants("ts_utc"), self.instants(LOCAL_COLUMNS[0])
        self.virtual = table["is_virtual"].to_numpy()
        self.code = {name: text_codes(table[name], known) for name, known in words.items()}
        self.merchant_at = _positions(self.merchant, merchants)

    def instants(self, name: str) -> I64:
        """A time column in microseconds; 0 where it is null."""
        return np.asarray(self.table[name].cast(pa.int64()).fill_null(0).to_numpy())

    def ids(self, name: str) -> NDArray[np.uint64]:
        """An id column; 0 where it is null."""
        return np.asarray(self.table[name].fill_null(0).to_numpy())

    def null(self, name: str) -> Wrong:
        """Where an optional column is null."""
        return np.asarray(self.table[name].is_null().to_numpy())

    def in_order(self) -> tuple[NDArray[np.uint64], I64, I64]:
        """Merchant, instant and number of every row, headed by those of the row before."""
        columns = self.merchant, self.ts, self.seq
        if self.before is None:
            return columns
        merchant, ts, seq = (
            np.concatenate([np.array([head], column.dtype), column])
            for head, column in zip(self.before, columns, strict=True)
        )
        return merchant, ts, seq

    @property
    def last(self) -> Row:
        """The last row, for the rows that follow."""
        return int(self.merchant[-1]), int(self.ts[-1]), int(self.seq[-1])

    def where(self, row: int) -> str:
        """Which arrival a row is."""
        return f"arrival_events_5B, merchant {self.merchant[row]}, arrival_seq {self.seq[row]}"

    def shown(self, names: Sequence[str], row: int) -> str:
        """Some columns of a row, for people."""
        return ", ".join(f"{name} {self.table[name][row].as_py()}" for name in names)


def _positions(values: NDArray[np.uint64], known: NDArray[np.uint64]) -> I64:
    """Positions in `known` by runs of equal values: arrivals come merchant by merchant."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    found = np.searchsorted(known, values[starts])
    known_here = known[np.minimum(found, known.size - 1)] == values[starts]
    return np.repeat(np.where(known_here, found, -1), np.diff(np.append(starts, values.size)))


def distinct(values: NDArray[np.generic]) -> tuple[NDArray[np.int32], NDArray[np.generic]]:
    """Codes of all values, and the distinct values that they stand for: so that a law is asked once per value."""
    encoded = pa.array(values).dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_numpy()
