"""The kernels of the gates' passes, rule by rule. What they add up to is checked against DuckDB in tests/gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segment5b_lib.errors import InputError
from segment5b_lib.kernel.arrival_tally import clock_errors, tally_rows
from segment5b_lib.kernel.bucket_sums import CountSums, Runs, add_counts, add_intensity, key_runs, new_sample
from segment5b_lib.kernel.tally_tables import COLUMN_TYPES, IRREGULAR, MIDDLE, Clock, Columns, new_odd

HOUR, QUARTER = 3_600_000_000, 900_000_000


def errors(ts: int, zone: int, local: int, *, there: int = 1) -> np.ndarray:
    """Digits of one row, by a clock that is right without an offset, over four quarters of an hour."""
    clock = Clock(0, HOUR, QUARTER, 500_000, np.zeros((1, 4), np.int64))
    one = [np.array([value], np.int32) for value in (zone, 0)]
    instants = [np.array([value], np.int64) for value in (ts, local)]
    counts = clock_errors(instants[0], *one, instants[1], np.array([there], np.uint8), clock, 1)
    return np.flatnonzero(counts[0])


@pytest.mark.parametrize(
    ("error", "digit"),
    [
        (0, MIDDLE),
        (500_000, MIDDLE),
        (500_001, IRREGULAR),
        (-500_000, MIDDLE),
        (-500_001, IRREGULAR),
        (QUARTER, MIDDLE + 1),
        (-HOUR, MIDDLE - 4),
        (HOUR + 500_001, IRREGULAR),
        (26 * HOUR, 2 * MIDDLE),
        (-26 * HOUR, 0),
        (26 * HOUR + QUARTER, IRREGULAR),
    ],
)
def test_errors_are_told_apart_in_quarters_of_an_hour(error: int, digit: int) -> None:
    assert errors(10, 0, 10 + error).tolist() == [digit]


@pytest.mark.parametrize(
    "row", [{"ts": -1}, {"ts": HOUR}, {"zone": -1}, {"there": 0}], ids=["early", "late", "no zone", "no clock"]
)
def test_nothing_is_expected_outside_the_table(row: dict[str, int]) -> None:
    ts = row.get("ts", 0)
    assert errors(ts, row.get("zone", 0), ts, there=row.get("there", 1)).tolist() == [IRREGULAR]


@pytest.mark.parametrize("name", Columns._fields)
def test_a_column_of_another_type_is_refused(name: str) -> None:
    columns = {field: np.zeros(3, COLUMN_TYPES.get(field, np.int32)) for field in Columns._fields}
    rows = Columns(**{**columns, name: np.zeros(3, np.float32)})
    nothing: Any = None
    with pytest.raises(InputError, match=name):
        tally_rows(rows, nothing, nothing, nothing, nothing, nothing, nothing, nothing, new_odd(3))


def test_runs_end_where_any_part_of_the_key_changes() -> None:
    merchant = np.array([1, 1, 2, 2, 2, 2], np.uint64)
    country, zone, channel = (np.array(part, np.int32) for part in ([0] * 6, [0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1]))
    assert key_runs(merchant, country, zone, channel).tolist() == [0, 2, 3, 5, 6]
    none = np.empty(0, np.int32)
    assert key_runs(np.empty(0, np.uint64), none, none, none).tolist() == [0]


def two_runs() -> Runs:
    """Two series of one zone, the second half physical; two rows each, the last outside a horizon of two buckets."""
    series, zone = np.array([0, 1], np.int32), np.zeros(2, np.int32)
    return Runs(np.array([0, 2, 4]), series, zone, np.array([1.0, 0.5]), np.array([7, 8], np.uint64))


def test_intensities_add_up_by_zone_and_kind() -> None:
    of_zone = np.zeros((2, 1, 2))
    bucket = np.array([0, 1, 1, 2], np.int32)
    assert add_intensity(two_runs(), bucket, np.array([1.0, 2.0, 4.0, 8.0]), of_zone) == 1
    assert of_zone[:, 0].tolist() == [[1.0, 6.0], [1.0, 4.0]]


def test_counts_add_up_with_their_law_and_their_sample() -> None:
    sums = CountSums(np.zeros((2, 2), np.int32), np.zeros((4, 1, 2)), np.zeros(7), new_sample(4))
    bucket, count = np.array([0, 1, 1, 2], np.int32), np.array([3, 0, 5, 9], np.int32)
    mu, kappa = np.array([4.0, 0.0, 4.0, 1.0]), np.full(4, 8.0)
    add_counts(two_runs(), bucket, mu, kappa, count, True, 1e-9, 1.0, sums)
    assert sums.counts.tolist() == [[3, 0], [0, 5]]
    assert sums.of_zone[:, 0].tolist() == [[4.0, 4.0], [6.0, 6.0], [4.0, 2.0], [6.0, 2.5]]
    rows, drawn, residual, squared, relative, total, outside = sums.moments
    assert (rows, drawn, outside, total) == (4, 2, 1, 8.0)
    assert (residual, squared, relative) == (-0.5 + 0.5, 0.5, 2 * 1.5)
    sample = sums.sample
    assert sample.found[0] == 2
    assert sample.drawn[:2].tolist() == [3, 5]
    assert ((sample.rank[:2] > 0) & (sample.rank[:2] < 1)).all()
    add_counts(two_runs(), bucket, mu, kappa, count, False, 1e-9, 0.0, sums)
    assert sample.found[0] == 2, "a share of nothing draws nothing"
    assert sums.moments[4] == 3.0 + 2.0, "Poisson counts have no excess"
