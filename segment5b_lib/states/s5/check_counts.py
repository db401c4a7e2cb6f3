"""Checks of S5 on intensities, counts and S4's summary of them: every row of all three."""

from __future__ import annotations

from typing import Final

import numpy as np

from segment5b_lib.arrays import I64
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.contract.verdicts import gate_bound, number_bound
from segment5b_lib.kernel.sampling import ELSEWHERE
from segment5b_lib.states.s5 import ledger as s5_ledger
from segment5b_lib.states.s5 import summary as s5_summary
from segment5b_lib.states.s5.check import NONE_ALLOWED, Check, CheckStatus, check_bounds, row_checks
from segment5b_lib.states.s5.clock_sample import ClockSample
from segment5b_lib.states.s5.expected_clock import ScenarioHorizon
from segment5b_lib.states.s5.inputs import CheckInputs, total

_BATCH: Final = 1000
"""Arrivals among which distinct offsets are counted."""


def count_checks(inputs: CheckInputs) -> list[Check]:
    """Row invariants of S2 and S3, conservation, row invariants of the summary, and the shape of counts and offsets."""
    rows = total(scenario.ledger.rows for scenario in inputs.scenarios)
    in_rows = inputs.violations(lambda scenario: scenario.ledger.violations)
    histogram = np.zeros(1, np.int64)
    for scenario in inputs.scenarios:
        histogram = s5_ledger.added(histogram, scenario.ledger.histogram)
    positive = histogram[1:]
    summary_rows = total(scenario.summary.rows for scenario in inputs.scenarios)
    in_summary = inputs.violations(lambda scenario: scenario.summary.violations)
    return [
        *row_checks(in_rows, s5_ledger.LEDGER_INVARIANTS, (rows, "rows")),
        _capped(inputs, rows),
        _conservation(inputs),
        *row_checks(in_summary, s5_summary.SUMMARY_INVARIANTS, (summary_rows, "rows")),
        _nonzero(inputs, rows, int(positive.sum())),
        _tail(inputs, positive),
        _offsets(inputs),
    ]


def _capped(inputs: CheckInputs, rows: int) -> Check:
    """A cap cuts the count law's tail off: it must be reported."""
    capped = total(scenario.ledger.capped for scenario in inputs.scenarios)
    return check_bounds(
        "COUNTS_CAPPED",
        capped,
        "rows",
        [NONE_ALLOWED],
        (rows, "rows"),
        f"{capped} counts were cut to max_count" if capped else "no count was cut",
        when_violated=CheckStatus.WARN,
    )


def _conservation(inputs: CheckInputs) -> Check:
    """S3 against the summary, key by key, both ways."""
    summaries = [scenario.summary for scenario in inputs.scenarios]
    keys = total(summary.keys_compared for summary in summaries)
    differ = total(summary.keys_that_differ for summary in summaries)
    difference = total(summary.total_difference for summary in summaries)
    return check_bounds(
        "CONSERVATION",
        differ + difference,
        "keys that differ + arrivals of difference",
        [gate_bound(inputs.policies.validation, "T4", "b")],
        (keys, "keys"),
        f"{differ} of {keys} keys differ between S3 and the summary, {difference} arrivals in total",
        detail={"keys_that_differ": differ, "total_difference": difference},
        issues=[issue for summary in summaries for issue in summary.differences],
    )


def _nonzero(inputs: CheckInputs, rows: int, positive: int) -> Check:
    share = positive / rows if rows else None
    least = inputs.policies.validation.count_shape.min_nonzero_fraction
    return check_bounds(
        "NONZERO_FRACTION",
        share,
        "share of rows",
        [number_bound("validation", "count_shape.min_nonzero_fraction", min=least)],
        (rows, "rows"),
        f"{positive} of {rows} rows have arrivals",
    )


def _tail(inputs: CheckInputs, histogram: I64) -> Check:
    """p99/p50 of positive counts, whose number of rows `histogram` has from 1 on: a flat law has no tail."""
    positive = int(histogram.sum())
    least = inputs.policies.validation.count_shape.min_p99_over_p50
    ratio, message = None, "no positive count"
    if positive:
        median, high = (_quantile(histogram, level) for level in (0.50, 0.99))
        ratio, message = high / median, f"p50 is {median}, p99 is {high}"
    return check_bounds(
        "COUNT_TAIL",
        ratio,
        "p99 / p50 of positive counts",
        [number_bound("validation", "count_shape.min_p99_over_p50", min=least)],
        (positive, "rows with arrivals"),
        message,
    )


def _quantile(histogram: I64, level: float) -> int:
    """Smallest count with at least `level` of the rows at or below it; `histogram[k]` counts the rows with k + 1."""
    running = np.cumsum(histogram)
    return int(np.searchsorted(running, level * running[-1])) + 1


def _offsets(inputs: CheckInputs) -> Check:
    """Distinct offsets within the bucket among 1,000 sampled arrivals, in the batch that has the fewest."""
    batches = [batch for scenario in inputs.scenarios for batch in _batches(scenario.clock, scenario.horizon)]
    distinct = [np.unique(batch).size * _BATCH / batch.size for batch in batches]
    least = inputs.policies.validation.count_shape.min_distinct_offsets_per_1000
    return check_bounds(
        "OFFSET_VARIETY",
        min(distinct, default=None),
        f"distinct offsets per {_BATCH} arrivals",
        [number_bound("validation", "count_shape.min_distinct_offsets_per_1000", min=least)],
        (total(batch.size for batch in batches), "sampled arrivals"),
        f"the fewest of {len(batches)} batches from the clock sample",
    )


def _batches(clock: ClockSample, horizon: ScenarioHorizon) -> list[I64]:
    ts = clock.rows["ts"][clock.rows["stratum"] == ELSEWHERE]
    offsets = (ts - horizon.start * SECOND_US) % (horizon.width * SECOND_US)
    whole = offsets[: offsets.size - offsets.size % _BATCH] if offsets.size >= _BATCH else offsets
    return list(np.split(whole, range(_BATCH, whole.size, _BATCH))) if whole.size else []
