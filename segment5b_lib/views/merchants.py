"""Merchants: how far the largest are from the ordinary, and whether each got the arrivals it was promised."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.views.inequality import arrivals_by, top_share

_QUANTILES: Final = {"median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
_TOPS: Final = {"top 1 %": 0.01, "top 5 %": 0.05}


def merchant_tail(evidence: Evidence) -> pl.DataFrame:
    """Arrivals per merchant: quantiles (linear interpolation), and what the largest hold together.

    Returns `statistic` (median, p90, p99, max, top 1 %, top 5 %), `value`, `unit` (arrivals, or share: a fraction
    of all arrivals).
    """
    arrivals = arrivals_by(evidence, "merchants")
    rows = [(name, arrivals.quantile(q, interpolation="linear"), "arrivals") for name, q in _QUANTILES.items()]
    rows += [(name, top_share(arrivals, part), "share") for name, part in _TOPS.items()]
    return pl.DataFrame(rows, schema={"statistic": pl.String, "value": pl.Float64, "unit": pl.String}, orient="row")


def merchant_intensity(evidence: Evidence) -> pl.DataFrame:
    """Every merchant's expected arrivals (Σ λ_realised) and the arrivals that it got.

    Returns `merchant_id` (text), `kind` (physical, virtual or both), `expected`, `arrivals`, by falling intensity.
    """
    virtual = pl.col("edge_id").is_not_null().any()
    physical = pl.col("site_id").is_not_null().any()
    kind = pl.when(virtual & physical).then(pl.lit("both")).when(virtual).then(pl.lit("virtual"))
    got = evidence.places.group_by("merchant_id").agg(
        pl.col("arrivals").sum(), kind.otherwise(pl.lit("physical")).alias("kind")
    )
    return (
        evidence.merchant_counts.select("merchant_id", "expected")
        .join(got, on="merchant_id", how="left")
        .with_columns(pl.col("arrivals").fill_null(0), pl.col("kind").fill_null("none"))
        .sort("expected", "merchant_id", descending=[True, False])
        .select(pl.col("merchant_id").cast(pl.String), "kind", "expected", "arrivals")
    )
