"""The passes over S2. One for the gates: λ_realised by zone and bucket, all and physical, and a table with S3's counts.

One for charts: the latent factor of every row, its distribution and its correlation from bucket to bucket.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from segment5b_lib.arrays import F64
from segment5b_lib.contract.datasets import SERIES_KEY, dataset
from segment5b_lib.gates.evidence.clock import ExpectedClock
from segment5b_lib.gates.evidence.count_pass import CountLaw, SeriesCounts, foreign_bucket
from segment5b_lib.gates.evidence.series_runs import ZoneTables, runs_of, with_codes, zones_of
from segment5b_lib.kernel.bucket_sums import add_intensity
from segment5b_lib.store.columns import numbers
from segment5b_lib.store.parquet import open_file
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import collect, each, no_rows, read_group, scan_parts

_INTENSITY: Final = "s2_realised_intensity_5B"
_VALUES: Final = ("bucket_index", "lambda_realised")
_OF_S2: Final = ("intensity", "physical_intensity")
_OF_S3: Final = ("mean", "variance", "physical_mean", "physical_variance")
"""Columns of `zone_buckets`, in the order of the kernel's tables by zone and bucket."""


@dataclass(frozen=True)
class Intensity:
    """`zones` ascending; `of_zone` float64 [2, zone, bucket]: λ_realised, and its physical share."""

    zones: tuple[str, ...]
    of_zone: F64


def tally_intensity(run: Run, scenario_id: str, law: CountLaw) -> Intensity:
    """Read S2 of one scenario once.

    Raises
    ------
    InputError : ``5B.GATES.EMPTY_SCENARIO`` where there is no row; ``5B.GATES.FOREIGN_BUCKET`` where a row's bucket
        lies outside the horizon
    """
    tables, outside = ZoneTables(2, law.buckets), 0
    for part, rows_outside in each(lambda path: _tally_part(path, law), run.files(_INTENSITY, scenario_id)):
        tables.add(part.zones, part.of_zone)
        outside += rows_outside
    if outside:
        raise foreign_bucket(_INTENSITY, outside, law.buckets)
    if not tables.zones:
        raise no_rows(_INTENSITY, scenario_id)
    return Intensity(tables.zones, tables.of_zone())


def _tally_part(path: Path, law: CountLaw) -> tuple[Intensity, int]:
    tables, outside = ZoneTables(2, law.buckets), 0
    with open_file(path, dataset(_INTENSITY), foreign=True) as file:
        for group in range(file.num_row_groups):
            table = read_group(file, group, (*SERIES_KEY, *_VALUES), _INTENSITY)
            if table.num_rows:
                runs = runs_of(table)
                zones = zones_of(runs.keys)
                of_zone = np.zeros((2, len(zones), law.buckets))
                coded = with_codes(runs, runs.keys.unique(), zones, law.physical, law.seed)
                bucket, intensity = (numbers(table, name) for name in _VALUES)
                outside += add_intensity(coded, bucket, intensity, of_zone)
                tables.add(zones, of_zone)
    return Intensity(tables.zones, tables.of_zone()), outside


def zone_buckets(scenario_id: str, intensity: Intensity, counts: SeriesCounts, clock: ExpectedClock) -> pl.DataFrame:
    """Expected arrivals of one scenario by zone of the series and bucket; zones ascending, every bucket of each.

    Columns: scenario_id, tzid, bucket_index, `intensity` (sum of S2's lambda_realised), `mean` and `variance` (of S3's
    counts, by their law), the same three of physical arrivals as `physical_intensity`, `physical_mean` and
    `physical_variance`, and `weekend` (share of the bucket on a local weekend). Null where S2 or S3 has no such zone.
    """
    s2, s3 = _table(_OF_S2, intensity.zones, intensity.of_zone), _table(_OF_S3, counts.zones, counts.of_zone)
    weekend = clock.weekend_of_buckets(intensity.zones)
    joined = s2.join(s3, on=["tzid", "bucket_index"], how="full", coalesce=True, maintain_order="left_right")
    return joined.join(weekend, on=["tzid", "bucket_index"], how="left", maintain_order="left").select(
        pl.lit(scenario_id).alias("scenario_id"), pl.all()
    )


def _table(names: tuple[str, ...], zones: tuple[str, ...], of_zone: F64) -> pl.DataFrame:
    buckets = of_zone.shape[2]
    key = {
        "tzid": pl.Series(np.repeat(np.array(zones, dtype=str), buckets), dtype=pl.String),
        "bucket_index": np.tile(np.arange(buckets, dtype=np.int32), len(zones)),
    }
    return pl.DataFrame({**key, **{name: table.reshape(-1) for name, table in zip(names, of_zone, strict=True)}})


FACTOR_STEP: Final = 1e-4
"""Width of a bin of factors: how exactly quantiles are known."""
_SUMS: Final = ("pairs", "x", "y", "xx", "yy", "xy")


@dataclass(frozen=True)
class LatentFactor:
    """Latent factors of all rows of a run.

    Attributes
    ----------
    histogram : `bin` (i64; covers [bin, bin + 1) · FACTOR_STEP), `rows`, `total` (sum of the factors); ascending
    lag_1 : correlation of neighbouring buckets over all such pairs of all series; None where a factor never varies
    pairs : how many pairs that is
    """

    histogram: pl.DataFrame
    lag_1: float | None
    pairs: int

    @property
    def rows(self) -> int:
        return int(self.histogram["rows"].sum())

    @property
    def mean(self) -> float | None:
        """Mean over rows; None without rows."""
        return float(self.histogram["total"].sum()) / self.rows if self.rows else None

    def quantile(self, q: float) -> float | None:
        """The factor that a share `q` (0..1) of the rows does not exceed, to within FACTOR_STEP; None without rows."""
        reached = self.histogram.filter(pl.col("rows").cum_sum() >= q * self.rows)
        return None if reached.is_empty() else (float(reached["bin"][0]) + 0.5) * FACTOR_STEP


def take_latent_factor(run: Run, scenario_ids: tuple[str, ...]) -> LatentFactor:
    """Read `lambda_random_component` of all scenarios, one part file at a time.

    Rows of a series lie together in order of their buckets (the dataset's key), so a pair is two neighbouring
    rows whose bucket indices differ by one.
    """
    histograms, sums = [], [0.0] * len(_SUMS)
    columns = ["bucket_index", "lambda_random_component"]
    for scenario_id in scenario_ids:
        for part in scan_parts(run, _INTENSITY, scenario_id, columns):
            rows = collect(part, f"{_INTENSITY} of {scenario_id}")
            histograms.append(_counted(rows))
            sums = [before + now for before, now in zip(sums, _pair_sums(rows), strict=True)]
    histogram = pl.concat(histograms).group_by("bin").agg(pl.col("rows", "total").sum()).sort("bin")
    return LatentFactor(histogram, _correlation(*sums), int(sums[0]))


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    factor = pl.col("lambda_random_component").cast(pl.Float64)
    binned = rows.lazy().group_by((factor / FACTOR_STEP).floor().cast(pl.Int64).alias("bin"))
    return binned.agg(pl.len().cast(pl.Int64).alias("rows"), factor.sum().alias("total")).collect()


def _pair_sums(rows: pl.DataFrame) -> tuple[float, ...]:
    """Number of pairs, sums of first, second, squares and products."""
    x, bucket = pl.col("lambda_random_component").cast(pl.Float64), pl.col("bucket_index")
    pairs = rows.lazy().select(x=x, y=x.shift(-1), neighbours=bucket.shift(-1) - bucket == 1).filter("neighbours")
    first, second = pl.col("x"), pl.col("y")
    sums = (pl.len(), first.sum(), second.sum(), (first**2).sum(), (second**2).sum(), (first * second).sum())
    return pairs.select(*(term.alias(name) for name, term in zip(_SUMS, sums, strict=True))).collect().row(0)


def _correlation(n: float, x: float, y: float, xx: float, yy: float, xy: float) -> float | None:
    spread = (n * xx - x * x) * (n * yy - y * y)
    return (n * xy - x * y) / math.sqrt(spread) if spread > 0 else None
