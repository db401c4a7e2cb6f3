"""The latent factor of every S2 row, counted part file by part file: its distribution, and its memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import polars as pl

from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import collect, scan_parts

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
        """Number of rows."""
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
        for part in scan_parts(run, "s2_realised_intensity_5B", scenario_id, columns):
            rows = collect(part, f"s2_realised_intensity_5B of {scenario_id}")
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
