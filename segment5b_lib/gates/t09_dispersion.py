"""T9: counts scatter around their means as much as real counts do, and not as little as Poisson counts."""

from __future__ import annotations

import math

import polars as pl

from segment5b_lib.gates.evidence import Evidence
from segment5b_lib.gates.results import Measurement, not_measured
from segment5b_lib.gates.scan import collect, scan_dataset


def measure(evidence: Evidence) -> Measurement:
    """Standard deviation of (count - mu) / sqrt(mu) over S3 rows with mu above `lambda_zero_eps`.

    Beside it the value that the law implies, sqrt(1 + mean(mu / kappa)) for nb2 and 1 for poisson.
    """
    eps = evidence.run.policies.count.lambda_zero_eps
    scans = [
        scan_dataset(evidence.run, "s3_bucket_counts_5B", h.scenario_id, ["mu", "kappa", "count_N"])
        for h in evidence.horizons
    ]
    mu = pl.col("mu")
    residual = ((pl.col("count_N") - mu) / mu.sqrt()).filter(mu > eps)
    found = collect(
        pl.concat(scans).select(
            rows=pl.len(),
            population=(mu > eps).sum(),
            value=residual.std(),
            bias=residual.mean(),
            relative_variance=(evidence.count_variance / mu).filter(mu > eps).mean(),
            mean_mu=mu.filter(mu > eps).mean(),
        ),
        "s3_bucket_counts_5B",
    ).to_dicts()[0]
    if found["population"] < 2:
        return not_measured("S3 has fewer than two rows with mu above lambda_zero_eps", "rows")
    detail = {
        "model_value": math.sqrt(found["relative_variance"]),
        "mean_residual": found["bias"],
        "mean_mu": found["mean_mu"],
        "rows_at_or_below_lambda_zero_eps": found["rows"] - found["population"],
        "lambda_zero_eps": eps,
    }
    return Measurement(found["value"], found["population"], "rows", detail)
