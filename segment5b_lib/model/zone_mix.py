"""Zone mix: an exponential tilt of a merchant's zones that keeps the merchant's total intensity."""

from __future__ import annotations

import numpy as np
import polars as pl

from segment5b_lib.arrays import F64
from segment5b_lib.contract.policies import ZoneTilt


def tilt_multipliers(series: pl.DataFrame, totals: F64, tilt: ZoneTilt) -> F64:
    """exp(−η·s_z)·Σλ / Σ(λ·exp(−η·s_z)), sums over the merchant's series; 1 for a merchant without λ."""
    scores = series["zone_representation"].replace_strict(tilt.scores, default=0.0, return_dtype=pl.Float64)
    weight = np.exp(-tilt.eta * scores.to_numpy())
    frame = series.select("merchant_id").with_columns(before=pl.Series(totals), after=pl.Series(totals * weight))
    kept = frame.select(pl.col("before", "after").sum().over("merchant_id"))
    before, after = kept["before"].to_numpy(), kept["after"].to_numpy()
    multipliers: F64 = np.where(after > 0, weight * before / np.where(after > 0, after, 1.0), 1.0)
    return multipliers
