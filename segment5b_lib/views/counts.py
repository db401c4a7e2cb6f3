"""How S3's counts look beside their means: zero rows, and the distribution of residuals."""

from __future__ import annotations

import polars as pl

from segment5b_lib.gates.evidence.count_shape import RESIDUAL_WIDTH
from segment5b_lib.gates.evidence.run_tables import Evidence


def zero_rate(evidence: Evidence) -> float | None:
    """Share of the S3 rows whose count is 0, rows without intensity included; None without rows."""
    rows, zeros = (int(evidence.merchant_counts[name].sum()) for name in ("rows", "zero_rows"))
    return zeros / rows if rows else None


def residuals(evidence: Evidence) -> pl.DataFrame:
    """Histogram and distribution function of (N − μ)/√μ over the rows with μ above `lambda_zero_eps`.

    Returns `low`, `high` (edges of a bin [low, high), in standard deviations of a Poisson count), `rows`, `share`,
    `cumulative` (share below `high`), ascending. What lies beyond ± 20 is in the outermost bins.
    """
    share = pl.col("rows") / pl.col("rows").sum()
    return evidence.residuals.select(
        low=pl.col("bin") * RESIDUAL_WIDTH,
        high=(pl.col("bin") + 1) * RESIDUAL_WIDTH,
        rows="rows",
        share=share,
        cumulative=share.cum_sum(),
    )
