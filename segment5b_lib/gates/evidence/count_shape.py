"""The shape of S3's counts, in two streaming passes: totals per merchant, and how counts scatter around μ."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import collect, scan_dataset

RESIDUAL_WIDTH: Final = 0.05
"""Width of a bin of residuals, in standard deviations of a Poisson count."""
LARGEST_RESIDUAL: Final = 20.0
"""Residuals beyond ± this are counted in the outermost bins."""


def take_merchant_counts(run: Run, scenario_id: str) -> pl.DataFrame:
    """S3 by merchant: merchant_id, rows, zero_rows (count 0), expected (Σ μ), count (Σ N); ascending."""
    counts = scan_dataset(run, "s3_bucket_counts_5B", scenario_id, ["merchant_id", "mu", "count_N"])
    totals = counts.group_by("merchant_id").agg(
        rows=pl.len().cast(pl.Int64),
        zero_rows=(pl.col("count_N") == 0).sum().cast(pl.Int64),
        expected=pl.col("mu").sum(),
        count=pl.col("count_N").cast(pl.Int64).sum(),
    )
    return collect(totals, f"s3_bucket_counts_5B of {scenario_id}").sort("merchant_id")


def take_residuals(run: Run, scenario_id: str, eps: float) -> pl.DataFrame:
    """Rows with μ > `eps` by bin of (N − μ)/√μ: bin (i32; covers [bin, bin + 1) · RESIDUAL_WIDTH), rows; ascending."""
    mu = pl.col("mu")
    most = round(LARGEST_RESIDUAL / RESIDUAL_WIDTH)
    residual = (pl.col("count_N") - mu) / mu.sqrt()
    position = (residual / RESIDUAL_WIDTH).floor().clip(-most, most - 1).cast(pl.Int32)
    rows = scan_dataset(run, "s3_bucket_counts_5B", scenario_id, ["mu", "count_N"]).filter(mu > eps)
    counted = rows.group_by(position.alias("bin")).agg(pl.len().cast(pl.Int64).alias("rows"))
    return collect(counted, f"s3_bucket_counts_5B of {scenario_id}").sort("bin")
