"""The passes over S3. One for the gates: series, counts, their law by zone and bucket, what T9 and A3 need.

Two for charts: totals per merchant, and how counts scatter around μ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from segment5b_lib.arrays import F64, I32
from segment5b_lib.contract.datasets import SERIES_KEY, dataset
from segment5b_lib.errors import InputError
from segment5b_lib.gates.evidence.series_runs import KEY_SCHEMA, ZoneTables, runs_of, with_codes, zones_of
from segment5b_lib.kernel.bucket_sums import COUNTED_ROWS, OUTSIDE, CountSums, SampledCounts, add_counts, new_sample
from segment5b_lib.store.columns import numbers
from segment5b_lib.store.parquet import open_file
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import collect, each, no_rows, read_group, rows_of, scan_dataset

_COUNTS: Final = "s3_bucket_counts_5B"
_POOL: Final = 8
"""So many times the sample are drawn at most, before rows that S3 did not draw fall out."""
_COLUMNS: Final = (*SERIES_KEY, "bucket_index", "mu", "kappa", "count_N")


@dataclass(frozen=True)
class CountLaw:
    """Input of a pass: the policy's law, H, each merchant's expected physical share, the sample's size and seed."""

    dispersed: bool
    eps: float
    buckets: int
    physical: Mapping[int, float]
    sampled_rows: int
    seed: int


@dataclass(frozen=True)
class SeriesCounts:
    """S3 of one scenario.

    Attributes
    ----------
    series : SERIES_KEY ascending, one row per series
    counts : int32 [series, bucket], the sum over rows of one key
    zones, of_zone : tzids ascending, float64 [4, zone, bucket] (see `kernel.bucket_sums`)
    moments : float64 [7] (see `kernel.bucket_sums`)
    sample : rank, uniform, mu, kappa, drawn (count_N) of a seeded sample of the rows with μ above eps
    """

    series: pl.DataFrame
    counts: I32
    zones: tuple[str, ...]
    of_zone: F64
    moments: F64
    sample: pl.DataFrame


def tally_counts(run: Run, scenario_id: str, law: CountLaw) -> SeriesCounts:
    """Read S3 of one scenario once.

    Raises
    ------
    InputError : ``5B.GATES.EMPTY_SCENARIO`` where there is no row; ``5B.GATES.FOREIGN_BUCKET`` where a row's bucket
        lies outside the horizon
    """
    files = run.files(_COUNTS, scenario_id)
    rows = rows_of(files, dataset(_COUNTS))
    share = min(1.0, _POOL * law.sampled_rows / max(rows, 1))
    tables, moments, parts = ZoneTables(4, law.buckets), np.zeros(7), []
    for part in each(lambda path: _tally_part(path, law, share), files):
        tables.add(zones_of(part.series), part.of_zone)
        moments += part.moments
        parts.append((part.series, part.counts, part.sample))
    if moments[OUTSIDE]:
        raise foreign_bucket(_COUNTS, int(moments[OUTSIDE]), law.buckets)
    if not moments[COUNTED_ROWS]:
        raise no_rows(_COUNTS, scenario_id)
    series, counts = _merged([(keys, counts) for keys, counts, _ in parts], law.buckets)
    sample = pl.concat([rows for _, _, rows in parts]).sort("rank").head(law.sampled_rows)
    return SeriesCounts(series, counts, tables.zones, tables.of_zone(), moments, sample)


def foreign_bucket(dataset_id: str, rows: int, buckets: int) -> InputError:
    return InputError(
        "5B.GATES.FOREIGN_BUCKET",
        f"{dataset_id} has rows outside the scenario's horizon",
        where=dataset_id,
        expected=f"bucket_index in [0, {buckets})",
        found=f"{rows} rows with another",
    )


def _tally_part(path: Path, law: CountLaw, share: float) -> SeriesCounts:
    """One part file, its series in order of appearance."""
    with open_file(path, dataset(_COUNTS), foreign=True) as file:
        groups = [group for group in range(file.num_row_groups) if file.metadata.row_group(group).num_rows]
        tables = [read_group(file, group, _COLUMNS, _COUNTS) for group in groups]
    runs = [runs_of(table) for table in tables]
    series = pl.concat([pl.DataFrame(schema=KEY_SCHEMA), *(keys.keys for keys in runs)]).unique(maintain_order=True)
    zones = zones_of(series)
    sums = CountSums(
        np.zeros((series.height, law.buckets), np.int32),
        np.zeros((4, len(zones), law.buckets)),
        np.zeros(7),
        new_sample(sum(table.num_rows for table in tables)),
    )
    for table, keys in zip(tables, runs, strict=True):
        coded = with_codes(keys, series, zones, law.physical, law.seed)
        bucket, mu, kappa, count = (numbers(table, name) for name in _COLUMNS[len(SERIES_KEY) :])
        add_counts(coded, bucket, mu, kappa, count, law.dispersed, law.eps, share, sums)
    return SeriesCounts(series, sums.counts, tuple(zones), sums.of_zone, sums.moments, _rows(sums.sample))


def _rows(sample: SampledCounts) -> pl.DataFrame:
    return pl.DataFrame({name: getattr(sample, name)[: sample.found[0]] for name in sample._fields[:-1]})


def _merged(parts: list[tuple[pl.DataFrame, I32]], buckets: int) -> tuple[pl.DataFrame, I32]:
    """The series of all parts in order of their keys, and their counts; a series may lie in several parts."""
    series = pl.concat([keys for keys, _ in parts]).unique().sort(SERIES_KEY)
    numbered, counts = series.with_row_index("at"), np.zeros((series.height, buckets), np.int32)
    for keys, of_part in parts:
        counts[keys.join(numbered, on=SERIES_KEY, how="left", maintain_order="left")["at"].to_numpy()] += of_part
    return series, counts


RESIDUAL_WIDTH: Final = 0.05
"""Width of a bin of residuals, in standard deviations of a Poisson count."""
LARGEST_RESIDUAL: Final = 20.0
"""Residuals beyond ± this are counted in the outermost bins."""


def take_merchant_counts(run: Run, scenario_id: str) -> pl.DataFrame:
    """S3 by merchant: merchant_id, rows, zero_rows (count 0), expected (Σ μ), count (Σ N); ascending."""
    counts = scan_dataset(run, _COUNTS, scenario_id, ["merchant_id", "mu", "count_N"])
    totals = counts.group_by("merchant_id").agg(
        rows=pl.len().cast(pl.Int64),
        zero_rows=(pl.col("count_N") == 0).sum().cast(pl.Int64),
        expected=pl.col("mu").sum(),
        count=pl.col("count_N").cast(pl.Int64).sum(),
    )
    return collect(totals, f"{_COUNTS} of {scenario_id}").sort("merchant_id")


def take_residuals(run: Run, scenario_id: str, eps: float) -> pl.DataFrame:
    """Rows with μ > `eps` by bin of (N − μ)/√μ: bin (i32; covers [bin, bin + 1) · RESIDUAL_WIDTH), rows; ascending."""
    mu = pl.col("mu")
    most = round(LARGEST_RESIDUAL / RESIDUAL_WIDTH)
    residual = (pl.col("count_N") - mu) / mu.sqrt()
    position = (residual / RESIDUAL_WIDTH).floor().clip(-most, most - 1).cast(pl.Int32)
    rows = scan_dataset(run, _COUNTS, scenario_id, ["mu", "count_N"]).filter(mu > eps)
    counted = rows.group_by(position.alias("bin")).agg(pl.len().cast(pl.Int64).alias("rows"))
    return collect(counted, f"{_COUNTS} of {scenario_id}").sort("bin")
