"""The latent factor: how much busier or quieter than expected the hours of a run are, and for how long."""

from __future__ import annotations

import polars as pl

from segment5b_lib.gates.evidence.run_tables import Evidence


def latent_factor(evidence: Evidence) -> pl.DataFrame:
    """Distribution of S2's latent factor over all rows, and its memory.

    Returns `statistic` (mean, p50, p90, p99, lag-1 autocorrelation), `value` (quantiles to within 1e-4), `population`,
    `population_unit` (rows, or pairs of neighbouring buckets).
    """
    field = evidence.latent_factor
    quantiles = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    rows = [("mean", field.mean, field.rows, "rows")]
    rows += [(name, field.quantile(q), field.rows, "rows") for name, q in quantiles.items()]
    rows += [("lag-1 autocorrelation", field.lag_1, field.pairs, "pairs")]
    schema = {"statistic": pl.String, "value": pl.Float64, "population": pl.Int64, "population_unit": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")
