"""The rules that every arrival must keep (2-contracts.md §5), checked on whole batches.

A batch is read into arrays: text as codes of listed words, null as a mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.arrays import I64, U64, Flags
from segment5b_lib.contract.datasets import LOCAL_COLUMNS, SERIES_KEY
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.states.s5.check import Violations
from segment5b_lib.states.s5.expected_clock import ScenarioHorizon
from segment5b_lib.states.s5.parts import OPTIONAL, ArrivalKey
from segment5b_lib.states.s5.places import PlaceDirectory
from segment5b_lib.states.s5.summary import Sequences
from segment5b_lib.states.series import SeriesDomain
from segment5b_lib.store.columns import codes, distinct, numbered

AUDITED_COLUMNS: Final = (
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
"""Columns that an audit reads: all."""
Words = Mapping[str, Mapping[str, int]]
"""By text column, the words that may occur there and their codes."""


class ArrivalRows:
    """Successive rows of one row group; `before` is the row that precedes them there, if any.

    `merchant` u64, `bucket`, `seq`, `ts` and `local` (primary, digits as stored) int64, `virtual` bool; times are
    microseconds. `code` holds int32 positions by text column, −1 for a null and for an unknown word. `merchant_at`
    int64 is the row's position in `merchants`, which ascend; −1 for one that is missing.
    """

    def __init__(self, table: pa.Table, words: Words, merchants: U64, before: ArrivalKey | None = None) -> None:
        self.table, self.before = table, before
        self.merchant = table["merchant_id"].to_numpy()
        self.bucket = table["bucket_index"].to_numpy().astype(np.int64)
        self.seq = table["arrival_seq"].to_numpy()
        self.ts, self.local = self.instants("ts_utc"), self.instants(LOCAL_COLUMNS[0])
        self.virtual = table["is_virtual"].to_numpy()
        self.code = {name: codes(table, name, code_of) for name, code_of in words.items()}
        self.merchant_at = _positions(self.merchant, merchants)

    def instants(self, name: str) -> I64:
        """A time column in microseconds; 0 where it is null."""
        return np.asarray(self.table[name].cast(pa.int64()).fill_null(0).to_numpy())

    def ids(self, name: str) -> U64:
        """An id column; 0 where it is null."""
        return np.asarray(self.table[name].fill_null(0).to_numpy())

    def null(self, name: str) -> Flags:
        return np.asarray(self.table[name].is_null().to_numpy())

    def in_order(self) -> tuple[U64, I64, I64]:
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
    def last(self) -> ArrivalKey:
        return int(self.merchant[-1]), int(self.ts[-1]), int(self.seq[-1])

    def where(self, row: int) -> str:
        return f"arrival_events_5B, merchant {self.merchant[row]}, arrival_seq {self.seq[row]}"

    def shown(self, names: Sequence[str], row: int) -> str:
        return ", ".join(f"{name} {self.table[name][row].as_py()}" for name in names)


def _positions(values: U64, ascending: U64) -> I64:
    """Positions in `ascending`, −1 if missing; by runs of equal values, since arrivals come merchant by merchant."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    position = np.searchsorted(ascending, values[starts])
    present = ascending[np.minimum(position, ascending.size - 1)] == values[starts]
    return np.repeat(np.where(present, position, -1), np.diff(np.append(starts, values.size)))


ARRIVAL_INVARIANTS: Final = {
    "TIME_WINDOW": "an arrival lies in its bucket, start inclusive and end exclusive",
    "ORDER": "arrivals rise strictly by merchant and time, and arrival_seq counts a merchant's from 1 without a gap",
    "NULLABILITY": "a physical arrival has a site and nothing virtual; a virtual one has an edge and two more clocks",
    "SITE_MEMBERSHIP": "site_id is a site of the merchant in 1B, and tzid_primary is its zone in 2A",
    "EDGE_MEMBERSHIP": "edge_id is an edge of the merchant in 3B, in its zone, and settles in 3B's zone",
    "SERIES_MEMBERSHIP": "an arrival belongs to a series of S1",
    "ROUTING_UNIVERSE": "routing_universe_hash is 3A's for physical rows and 3B's for virtual ones",
}
"""Rules of every arrival, by check."""
_SHOWN: Final = {
    "TIME_WINDOW": ("bucket_index", "ts_utc"),
    "ORDER": ("bucket_index", "ts_utc", "arrival_seq"),
    "NULLABILITY": ("is_virtual", *OPTIONAL),
    "SITE_MEMBERSHIP": ("site_id", "tzid_primary"),
    "EDGE_MEMBERSHIP": ("edge_id", "tzid_primary", "tzid_operational", "tzid_settlement"),
    "SERIES_MEMBERSHIP": SERIES_KEY,
    "ROUTING_UNIVERSE": ("is_virtual", "routing_universe_hash"),
}
_TEXT_KEY: Final = SERIES_KEY[1:]


class ArrivalInvariants:
    """Series, counts and places of one scenario, against which its arrivals are checked."""

    def __init__(
        self, horizon: ScenarioHorizon, domain: SeriesDomain, sequences: Sequences, places: PlaceDirectory
    ) -> None:
        self.horizon, self.sequences, self.places = horizon, sequences, places
        physical = sorted(places.physical_universes - {places.virtual_universe})
        universes = [*physical, places.virtual_universe]
        self.words: dict[str, dict[str, int]] = {
            **dict.fromkeys(("tzid_primary", "tzid_settlement", "tzid_operational"), numbered(places.tzids)),
            **{name: numbered(sorted(set(domain.frame[name]))) for name in _TEXT_KEY},
            "routing_universe_hash": numbered(universes),
        }
        merchant = np.searchsorted(sequences.merchants, domain.frame["merchant_id"].to_numpy())
        columns = [np.array([self.words[name][word] for word in domain.frame[name]]) for name in _TEXT_KEY]
        self._series = np.unique(self._series_code(merchant, columns))

    def violations(self, rows: ArrivalRows) -> Violations:
        """Number of rows that violate each invariant, and the first of each."""
        offenders = {
            "TIME_WINDOW": self._outside_bucket(rows),
            "ORDER": self._out_of_order(rows),
            "NULLABILITY": self._wrongly_null(rows),
            "SITE_MEMBERSHIP": self._foreign_site(rows),
            "EDGE_MEMBERSHIP": self._foreign_edge(rows),
            "SERIES_MEMBERSHIP": self._foreign_series(rows),
            "ROUTING_UNIVERSE": self._foreign_universe(rows),
        }
        violations = Violations(tuple(ARRIVAL_INVARIANTS))
        for invariant, wrong in offenders.items():
            violations.record(
                invariant, wrong, rows.where, ARRIVAL_INVARIANTS[invariant], partial(rows.shown, _SHOWN[invariant])
            )
        return violations

    def _outside_bucket(self, rows: ArrivalRows) -> Flags:
        offset = rows.ts - (self.horizon.start + rows.bucket * self.horizon.width) * SECOND_US
        outside = (offset < 0) | (offset >= self.horizon.width * SECOND_US)
        return np.asarray(outside | (rows.bucket < 0) | (rows.bucket >= self.horizon.buckets))

    def _out_of_order(self, rows: ArrivalRows) -> Flags:
        """Against the row before, and against the numbers that S3's counts leave to the row's bucket."""
        bucket = np.clip(rows.bucket, 0, self.horizon.buckets - 1)
        place = rows.seq - self.sequences.first[rows.merchant_at, bucket]
        wrong = (place < 0) | (place >= self.sequences.cells[rows.merchant_at, bucket]) | (rows.merchant_at < 0)
        merchant, ts, seq = rows.in_order()
        same = merchant[1:] == merchant[:-1]
        follows = (ts[1:] >= ts[:-1]) & (seq[1:] == seq[:-1] + 1)
        rises = (merchant[1:] > merchant[:-1]) & (seq[1:] == 1)
        wrong[wrong.size - same.size :] |= ~np.where(same, follows, rises)
        return np.asarray(wrong)

    def _wrongly_null(self, rows: ArrivalRows) -> Flags:
        wrong = rows.null("site_id") != rows.virtual
        for name in OPTIONAL[1:]:
            wrong |= rows.null(name) == rows.virtual
        return np.asarray(wrong)

    def _foreign_site(self, rows: ArrivalRows) -> Flags:
        zone = rows.code["tzid_primary"]
        return np.asarray(self.places.sites.foreign(rows.ids("site_id"), rows.merchant, zone) & ~rows.virtual)

    def _foreign_edge(self, rows: ArrivalRows) -> Flags:
        wrong = np.zeros(rows.seq.size, np.bool_)
        virtual = np.flatnonzero(rows.virtual)
        merchant, edge = rows.merchant[virtual], rows.ids("edge_id")[virtual]
        primary, operational, settlement = (
            rows.code[f"tzid_{name}"][virtual] for name in ("primary", "operational", "settlement")
        )
        wrong[virtual] = self.places.edges.foreign(edge, merchant, operational) | (primary != operational)
        wrong[virtual] |= self.places.settlement.foreign(merchant, merchant, settlement)
        return wrong

    def _foreign_series(self, rows: ArrivalRows) -> Flags:
        columns = [rows.code[name] for name in _TEXT_KEY]
        code, series = distinct(self._series_code(rows.merchant_at, columns))
        unknown = rows.merchant_at < 0
        for column in columns:
            unknown |= column < 0
        return np.asarray(unknown | ~np.isin(series, self._series)[code])

    def _series_code(self, merchant: I64, columns: Sequence[NDArray[np.integer]]) -> I64:
        code = merchant
        for name, column in zip(_TEXT_KEY, columns, strict=True):
            code = code * len(self.words[name]) + column
        return code

    def _foreign_universe(self, rows: ArrivalRows) -> Flags:
        words, universe = self.words["routing_universe_hash"], rows.code["routing_universe_hash"]
        physical = np.zeros(len(words) + 1, np.bool_)
        physical[[words[name] for name in self.places.physical_universes]] = True
        # A code of −1 is the last position, which belongs to no universe.
        return np.where(rows.virtual, universe != words[self.places.virtual_universe], ~physical[universe])
