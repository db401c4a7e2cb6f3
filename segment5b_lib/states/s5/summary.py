"""S4's summary compared with S3's counts: conservation by key, in full, and the sequence numbers that follow."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from segment5b_lib.arrays import I64, U64
from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.words import Lane
from segment5b_lib.kernel.ledger_check import add_summary_rows, summary_agrees
from segment5b_lib.states.context import Context
from segment5b_lib.states.s4.counts import merchant_cells, merchant_starts
from segment5b_lib.states.s5.check import MAX_ISSUES, Issue, Violations, require_values
from segment5b_lib.states.s5.ledger import BUCKET_KEY, CountMatrix, KeyCodes, RowLedger
from segment5b_lib.store.query import connect, q
from segment5b_lib.store.scan import RowRanges, sql_rows

_SUMMARY: Final = "s4_arrival_summary_5B"
_COLUMNS: Final = (*BUCKET_KEY, "count_N", "count_physical", "count_virtual", "first_arrival_seq")
SPLIT: Final = "SUMMARY_SPLIT"
SEQUENCE: Final = "SEQUENCE"
SUMMARY_INVARIANTS: Final = {
    SPLIT: "physical and virtual arrivals of a summary row add up to its count",
    SEQUENCE: "first_arrival_seq is the number that the counts before leave to the row",
}
"""Rules of every row of the summary."""


@dataclass(frozen=True)
class Sequences:
    """Sequence numbers that follow from S3 alone.

    `merchants` u64 ascending; `cells` and `first` are ndarray(int64, ndim=2) [merchant, bucket]: the arrivals of a
    merchant in a bucket carry the numbers [first, first + cells).
    """

    merchants: U64
    cells: I64
    first: I64


@dataclass
class Summary:
    """Totals of one scenario's summary.

    `arrivals` and `virtual` are its totals; `virtual_of_series` ndarray(int64, ndim=1), valid if no key differs;
    `differences` describes keys whose counts differ from S3's, `keys_that_differ` is their number and
    `total_difference` |ΣS3 − Σsummary|.
    """

    sequences: Sequences
    rows: int
    arrivals: int
    virtual: int
    virtual_of_series: I64
    keys_compared: int
    keys_that_differ: int
    total_difference: int
    differences: list[Issue]
    violations: Violations


def read_summary(context: Context, ledger: RowLedger, counts: CountMatrix) -> Summary:
    """Compare one scenario's summary with its ledger; `counts` are S3's, ndarray(ndim=2) [series, bucket]."""
    return _Reader(context, ledger, counts).read()


class _Reader:
    """Row k of the summary is the k-th positive count in key order; if that fails anywhere, keys are joined."""

    def __init__(self, context: Context, ledger: RowLedger, counts: CountMatrix) -> None:
        self.context, self.ledger, self.domain, self.counts = context, ledger, ledger.domain, counts
        files = context.run.files(_SUMMARY, self.domain.scenario_id)
        self.rows = RowRanges(files, dataset(_SUMMARY))
        self.first_row = np.concatenate([[0], np.cumsum(ledger.positive)])
        self.codes = KeyCodes(self.domain)
        self.in_step = self.rows.rows == self.first_row[-1]
        starts = merchant_starts(self.domain)
        self.merchant_of = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        cells = merchant_cells(self.domain, counts)
        merchants = self.domain.frame["merchant_id"].to_numpy()[starts[:-1]]
        self.sequences = Sequences(merchants, cells, np.cumsum(cells, axis=1) - cells + 1)
        self.least_seq = np.full(cells.shape, np.iinfo(np.int64).max)
        self.virtual = np.zeros(len(self.domain), np.int64)
        self.lock = threading.Lock()

    def read(self) -> Summary:
        groups = self.rows.row_groups
        totals = self.context.map_shards("read summary", self._group, groups, [b - a for a, b in groups])
        violations = Violations(tuple(SUMMARY_INVARIANTS))
        for _, _, _, of_group in totals:
            violations.add(of_group)
        arrivals = sum(total for total, _, _, _ in totals)
        equal = self.in_step and all(same for _, _, same, _ in totals)
        if equal:
            self._check_first(violations)
        keys = int(self.first_row[-1])
        compared, differ, issues = (keys, 0, []) if equal else self._join()
        return Summary(
            self.sequences,
            self.rows.rows,
            arrivals,
            sum(virtual for _, virtual, _, _ in totals),
            self.virtual,
            compared,
            differ,
            abs(arrivals - self.ledger.arrivals),
            issues,
            violations,
        )

    def _group(self, bounds: tuple[int, int]) -> tuple[int, int, bool, Violations]:
        """Arrivals, virtual arrivals, whether all rows are S3's, and which rows break an invariant."""
        with self.context.step("read summary", Lane.INPUT_LOAD) as step:
            table = self.rows.read(_COLUMNS, *bounds)
            step.rows = table.num_rows
        with self.context.step("check summary", Lane.VALIDATION):
            require_values(table, f"{_SUMMARY}, scenario {self.domain.scenario_id}")
            count, physical, virtual = (table[f"count_{name}"].to_numpy() for name in ("N", "physical", "virtual"))
            violations = Violations(tuple(SUMMARY_INVARIANTS))
            split = (physical < 0) | (virtual < 0) | (physical + virtual != count)
            violations.record(
                SPLIT, split, lambda row: _place(table, row), "count_physical + count_virtual", count.item
            )
            same = self.in_step and self._same(table, bounds, count, virtual, violations)
            return int(count.sum(dtype=np.int64)), int(virtual.sum(dtype=np.int64)), same, violations

    def _same(self, table: pa.Table, bounds: tuple[int, int], count: Any, virtual: Any, violations: Violations) -> bool:
        """Compare row by row with S3; record sequence numbers outside their bucket's."""
        place, first = self._places(*bounds), table["first_arrival_seq"].to_numpy()
        if not summary_agrees(place, self.codes.columns(table), self.codes.keys, count, self.counts):
            return False
        numbers, sums = self.sequences, (self.virtual, self.least_seq)
        with self.lock:
            outside = add_summary_rows(
                place, self.merchant_of, count, virtual, first, numbers.first, numbers.cells, *sums
            )
        violations.record(SEQUENCE, outside, lambda row: _place(table, row), "a number of this bucket", first.item)
        return True

    def _places(self, start: int, stop: int) -> I64:
        """Series · H + bucket of rows [start, stop)."""
        first = np.searchsorted(self.first_row, start, side="right") - 1
        last = np.searchsorted(self.first_row, stop)
        positive = np.flatnonzero(self.counts[first:last] > 0) + first * self.domain.buckets
        return np.asarray(positive[start - self.first_row[first] : stop - self.first_row[first]])

    def _check_first(self, violations: Violations) -> None:
        """The first arrival of a merchant's bucket follows the last of the buckets before."""
        expected, ids = self.sequences, self.sequences.merchants
        merchant, bucket = np.nonzero((expected.cells > 0) & (self.least_seq != expected.first))

        def where(row: int) -> str:
            return f"scenario {self.domain.scenario_id}, merchant {ids[int(merchant[row])]}, bucket {bucket[row]}"

        first = self.least_seq[merchant, bucket]
        violations.record(SEQUENCE, np.ones(merchant.size, np.bool_), where, "one more than all before", first.item)

    def _join(self) -> tuple[int, int, list[Issue]]:
        """Keys in either, keys that differ, and the first of them: the full join both ways."""
        run, scenario = self.context.run, self.domain.scenario_id
        files = [[str(path) for path in run.files(name, scenario)] for name in ("s3_bucket_counts_5B", _SUMMARY)]
        with self.context.step("join keys", Lane.VALIDATION), connect([run.root]) as connection:
            totals = q(connection, f"SELECT count(*), count_if(a <> b) AS n FROM ({_BOTH})", files)
            rows = q(connection, f"FROM ({_BOTH}) WHERE a <> b ORDER BY {_KEY} LIMIT {MAX_ISSUES}", files).rows()
        issues = [
            Issue(f"scenario {scenario}, key {list(row[:5])}", f"S3 counts {row[5]}", f"summary counts {row[6]}")
            for row in rows
        ]
        ((compared, differ),) = totals.rows()
        return int(compared), int(differ), issues


_KEY: Final = ", ".join(BUCKET_KEY)
_SUMS: Final = f"SELECT {_KEY}, sum(count_N)::BIGINT AS n FROM"
_BOTH: Final = f"""
SELECT {_KEY}, coalesce(s3.n, 0) AS a, coalesce(s4.n, 0) AS b
FROM ({_SUMS} {sql_rows("$1")} WHERE count_N <> 0 GROUP BY ALL) s3
FULL JOIN ({_SUMS} {sql_rows("$2")} GROUP BY ALL) s4 USING ({_KEY})
"""


def _place(table: pa.Table, row: int) -> str:
    return f"{_SUMMARY}, key {[table[name][row].as_py() for name in BUCKET_KEY]}"
