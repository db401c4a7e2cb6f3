"""The ledger of S5: S2 and S3 read together, every row of both, slice by slice.

Row i of either is series i // H and bucket i % H of S1's domain. That is checked, not assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.arrays import F64, I64
from segment5b_lib.contract.datasets import SERIES_KEY, dataset
from segment5b_lib.contract.words import Lane
from segment5b_lib.kernel import ledger_check
from segment5b_lib.kernel.drawn_sums import NOTHING_DRAWN, DrawnSums, drawn_sums
from segment5b_lib.kernel.ledger_check import KeyColumns, LedgerLimits, LedgerRows, SeriesKeys, check_ledger
from segment5b_lib.model.random_laws import dispersion
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5.check import Issue, Violations, require_values
from segment5b_lib.states.series import SeriesDomain
from segment5b_lib.states.surface import SeriesSlice, series_slices
from segment5b_lib.store.columns import coded, dictionary, numbered, word_codes
from segment5b_lib.store.scan import RowRanges

BUCKET_KEY: Final = (*SERIES_KEY, "bucket_index")
_S2: Final = ("lambda_baseline", "lambda_random_component", "lambda_realised")
_COUNTED: Final = ("mu", "count_N", "count_capped")
_S3: Final = (*BUCKET_KEY, *_COUNTED)
CountMatrix = NDArray[np.unsignedinteger]
"""uint16, or uint32 if the policy's largest count needs it."""

LEDGER_INVARIANTS: Final = {
    "DOMAIN": "S2 and S3 hold every series of S1 with every bucket once, in key order",
    "INTENSITY": "λ_realised is finite and not negative",
    "INTENSITY_CAP": "λ_realised does not exceed lambda_max",
    "ZERO_BASELINE": "λ_realised is 0 where λ_baseline is 0",
    "FACTOR_CLIP": "λ_random_component lies within factor_clip, as float32 stores its bounds",
    "MU": "S3's mu is S2's λ_realised",
    "ZERO_INTENSITY": "a count is 0 where mu does not exceed lambda_zero_eps",
    "COUNTS": "a count is a whole number from 0 to max_count",
    "CAPPED_FLAG": "count_capped is set only at counts of max_count",
}
"""Rules of every row of S2 and S3."""


class KeyCodes:
    """The series key of every row of a domain as numbers, to compare columns with."""

    def __init__(self, domain: SeriesDomain) -> None:
        self._merchants = domain.frame["merchant_id"].to_numpy()
        self._words = {name: dictionary(domain.frame[name]) for name in SERIES_KEY[1:]}
        self.keys = SeriesKeys(self._merchants, *(word_codes(domain.frame[name], w) for name, w in self._words.items()))

    def columns(self, table: pa.Table) -> KeyColumns:
        """The key columns of a table in the same numbers."""
        text = [part for name, words in self._words.items() for part in coded(table, name, numbered(words))]
        return KeyColumns(table["merchant_id"].to_numpy(), table["bucket_index"].to_numpy(), *text)


@dataclass
class RowLedger:
    """Totals of one scenario's rows.

    `of_series` is ndarray(int64, ndim=1), the sum of each series' counts by S3, `positive` ndarray(int64, ndim=1) how
    many of them are above 0, `factor_mean` ndarray(float64, ndim=1) its mean latent factor; `histogram` ndarray(int64,
    ndim=1) the number of rows by count.
    """

    domain: SeriesDomain
    of_series: I64
    positive: I64
    factor_mean: F64
    histogram: I64 = field(default_factory=lambda: np.zeros(1, np.int64))
    capped: int = 0
    drawn: DrawnSums = NOTHING_DRAWN
    violations: Violations = field(default_factory=lambda: Violations(tuple(LEDGER_INVARIANTS)))

    @property
    def rows(self) -> int:
        return len(self.domain) * self.domain.buckets

    @property
    def arrivals(self) -> int:
        return int(self.of_series.sum())


def read_ledger(
    context: Context, domain: SeriesDomain, weekend: F64, zone_of: NDArray[np.intp]
) -> tuple[RowLedger, CountMatrix]:
    """Read one scenario's S2 and S3. Returns the ledger, and S3's counts: ndarray(ndim=2) [series, bucket].

    `weekend` is ndarray(float64, ndim=2) [zone, bucket]: share of the bucket on a local Saturday or Sunday; `zone_of`
    ndarray(intp, ndim=1) the zone of each series.
    """
    return _Reader(context, domain, weekend, zone_of).read()


class _Reader:
    def __init__(self, context: Context, domain: SeriesDomain, weekend: F64, zone_of: NDArray[np.intp]) -> None:
        self.context, self.domain, self.weekend, self.zone_of = context, domain, weekend, zone_of
        names = ("s2_realised_intensity_5B", "s3_bucket_counts_5B")
        self.s2, self.s3 = (RowRanges(context.run.files(name, domain.scenario_id), dataset(name)) for name in names)
        policy = context.run.policies.count
        kappa = dispersion(domain.frame["demand_class"], domain.band, policy)
        self.over_kappa = 1 / kappa if policy.law == "nb2" else np.zeros(len(domain))
        self.codes = KeyCodes(domain)
        cap, clip = context.run.policies.lgcp.lambda_max, context.run.policies.lgcp.factor_clip
        low, high = np.float32(clip.min), np.float32(clip.max)
        self.limits = LedgerLimits(float(cap), low, high, float(policy.lambda_zero_eps), policy.max_count)
        # As narrow as the invariant COUNTS allows: in a large world this is the largest array of the state.
        kind = np.uint16 if policy.max_count <= np.iinfo(np.uint16).max else np.uint32
        self.counts: CountMatrix = np.zeros((len(domain), domain.buckets), kind)
        n = len(domain)
        self.ledger = RowLedger(domain, np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n))

    def read(self) -> tuple[RowLedger, CountMatrix]:
        ledger, expected = self.ledger, self.ledger.rows
        if self.s2.rows != expected or self.s3.rows != expected:
            actual = f"S2 {self.s2.rows} rows, S3 {self.s3.rows} rows"
            issue = Issue(f"scenario {self.domain.scenario_id}", f"{expected} rows", actual)
            ledger.violations.rows["DOMAIN"], ledger.violations.issues["DOMAIN"] = expected, [issue]
            return ledger, self.counts
        slices = series_slices(len(self.domain), self.domain.buckets)
        rows = [len(bounds) * self.domain.buckets for bounds in slices]
        totals = self.context.map_shards("read S2 and S3", self._slice, slices, rows)
        for histogram, capped, drawn, violations in totals:
            ledger.histogram, ledger.capped = added(ledger.histogram, histogram), ledger.capped + capped
            ledger.drawn = ledger.drawn.plus(drawn)
            ledger.violations.add(violations)
        return ledger, self.counts

    def _slice(self, bounds: SeriesSlice) -> tuple[I64, int, DrawnSums, Violations]:
        """Histogram, capped counts, sums over the drawn rows and violations of one slice."""
        first, last = bounds.start * self.domain.buckets, bounds.stop * self.domain.buckets
        with self.context.step("read S2 and S3", Lane.INPUT_LOAD) as step:
            s2, s3 = self.s2.read(_S2, first, last), self.s3.read(_S3, first, last)
            step.rows = 2 * s3.num_rows
        with self.context.step("check S2 and S3", Lane.VALIDATION):
            for table in (s2, s3):
                require_values(table, f"S2 or S3, scenario {self.domain.scenario_id}")
            mu, count, capped = (s3[name].to_numpy() for name in ("mu", "count_N", "count_capped"))
            factor = s2["lambda_random_component"].to_numpy()
            shape, series = (len(bounds), self.domain.buckets), slice(bounds.start, bounds.stop)
            by_bucket = count.reshape(shape)
            self.counts[series] = by_bucket  # a count that does not fit violates COUNTS
            self.ledger.of_series[series] = by_bucket.sum(axis=1, dtype=np.int64)
            self.ledger.positive[series] = np.count_nonzero(by_bucket > 0, axis=1)
            self.ledger.factor_mean[series] = factor.reshape(shape).mean(axis=1, dtype=np.float64)
            return (
                np.bincount(np.clip(count, 0, self.limits.max_count)),
                int(capped.sum()),
                # The rows that were drawn: all others have no mean and no count.
                drawn_sums(
                    mu, count, self.over_kappa[series], self.zone_of[series], self.weekend, self.limits.zero_eps
                ),
                self._violations(bounds, s2, s3),
            )

    def _violations(self, bounds: SeriesSlice, s2: pa.Table, s3: pa.Table) -> Violations:
        values = LedgerRows(*(s2[name].to_numpy() for name in _S2), *(s3[name].to_numpy() for name in _COUNTED))
        buckets, violations = self.domain.buckets, Violations(tuple(LEDGER_INVARIANTS))
        broken = check_ledger(bounds.start, buckets, self.codes.columns(s3), self.codes.keys, values, self.limits)
        if broken is None:
            return violations

        def place(row: int) -> str:
            return self.domain.place(bounds.start + row // buckets, row % buckets)

        limits, clip = self.limits, self.context.run.policies.lgcp.factor_clip
        for invariant, bit, expected, values_of in (
            ("DOMAIN", ledger_check.DOMAIN, "the key of this place", s3["bucket_index"].to_numpy()),
            ("INTENSITY", ledger_check.INTENSITY, "finite and ≥ 0", values.realised),
            ("INTENSITY_CAP", ledger_check.INTENSITY_CAP, f"≤ {limits.lambda_max}", values.realised),
            ("ZERO_BASELINE", ledger_check.ZERO_BASELINE, "0", values.realised),
            ("FACTOR_CLIP", ledger_check.FACTOR_CLIP, f"{clip.min} to {clip.max}", values.factor),
            ("MU", ledger_check.MU, "S2's lambda_realised", values.mu),
            ("ZERO_INTENSITY", ledger_check.ZERO_INTENSITY, "0", values.arrivals),
            ("COUNTS", ledger_check.COUNT_RANGE, f"0 to {limits.max_count}", values.arrivals),
            ("CAPPED_FLAG", ledger_check.CAPPED_FLAG, f"a count of {limits.max_count}", values.arrivals),
        ):
            violations.record(invariant, (broken & bit) != 0, place, expected, values_of.item)
        return violations


def added(left: I64, right: I64) -> I64:
    """Sum of two histograms that may differ in length."""
    total = np.zeros(max(left.size, right.size), np.int64)
    total[: left.size] += left
    total[: right.size] += right
    return total
