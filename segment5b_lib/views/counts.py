"""Counts: S2's latent factor, S3's rows against their means, conservation to S4, series of a key and of a group."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.gates.evidence.conservation import LOGICAL_LEVEL, ROW_LEVEL
from segment5b_lib.gates.evidence.count_pass import RESIDUAL_WIDTH
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.store.runs import Run

_LEVELS: Final = {ROW_LEVEL: "before: series × bucket", LOGICAL_LEVEL: "after: logical key"}


def latent_factor(evidence: Evidence) -> pl.DataFrame:
    """Distribution of S2's latent factor over all rows, and its autocorrelation.

    Returns `statistic` (mean, p50, p90, p99, lag-1 autocorrelation), `value` (quantiles to within 1e-4), `population`,
    `population_unit` (rows, or pairs of neighbouring buckets).

    Example: `views.latent_factor(evidence)`
    """
    field = evidence.latent_factor
    quantiles = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    rows = [("mean", field.mean, field.rows, "rows")]
    rows += [(name, field.quantile(q), field.rows, "rows") for name, q in quantiles.items()]
    rows += [("lag-1 autocorrelation", field.lag_1, field.pairs, "pairs")]
    schema = {"statistic": pl.String, "value": pl.Float64, "population": pl.Int64, "population_unit": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def zero_rate(evidence: Evidence) -> float | None:
    """Share of the S3 rows whose count is 0, rows without intensity included; None without rows.

    Example: `views.zero_rate(evidence)`
    """
    rows, zeros = (int(evidence.merchant_counts[name].sum()) for name in ("rows", "zero_rows"))
    return zeros / rows if rows else None


def residuals(evidence: Evidence) -> pl.DataFrame:
    """Histogram and distribution function of (N − μ)/√μ over the rows with μ above `lambda_zero_eps`.

    Returns `low`, `high` (edges of a bin [low, high), in standard deviations of a Poisson count), `rows`, `share`,
    `cumulative` (share below `high`), ascending. Residuals beyond ± 20 are in the outermost bins.

    Example: `views.residuals(evidence)`
    """
    share = pl.col("rows") / pl.col("rows").sum()
    return evidence.residuals.select(
        low=pl.col("bin") * RESIDUAL_WIDTH,
        high=(pl.col("bin") + 1) * RESIDUAL_WIDTH,
        rows="rows",
        share=share,
        cumulative=share.cum_sum(),
    )


def conservation(evidence: Evidence) -> pl.DataFrame:
    """Arrivals on both sides before and after aggregation to the logical key, as gate T4 compares them.

    Returns `level`, `source` (S3 counts or S4 arrivals), `arrivals`, `keys_compared`, `keys_that_differ`.

    Example: `views.conservation(evidence)`
    """
    levels, _ = evidence.conservation
    return (
        levels.rename({"arrivals_s3": "S3 counts", "arrivals_s4": "S4 arrivals"})
        .unpivot(
            ["S3 counts", "S4 arrivals"],
            index=["level", "keys_compared", "keys_that_differ"],
            variable_name="source",
            value_name="arrivals",
        )
        .with_columns(pl.col("level").replace_strict(_LEVELS))
        .sort("level", "source", descending=[True, False])
    )


def merchant_intensity(evidence: Evidence) -> pl.DataFrame:
    """Every merchant's expected arrivals (Σ λ_realised) and its arrivals.

    Returns `merchant_id` (text), `kind` (physical, virtual or both), `expected`, `arrivals`, by falling intensity.

    Example: `views.merchant_intensity(evidence)`
    """
    virtual = pl.col("edge_id").is_not_null().any()
    physical = pl.col("site_id").is_not_null().any()
    kind = pl.when(virtual & physical).then(pl.lit("both")).when(virtual).then(pl.lit("virtual"))
    arrivals = evidence.places.group_by("merchant_id").agg(
        pl.col("arrivals").sum(), kind.otherwise(pl.lit("physical")).alias("kind")
    )
    return (
        evidence.merchant_counts.select("merchant_id", "expected")
        .join(arrivals, on="merchant_id", how="left")
        .with_columns(pl.col("arrivals").fill_null(0), pl.col("kind").fill_null("none"))
        .sort("expected", "merchant_id", descending=[True, False])
        .select(pl.col("merchant_id").cast(pl.String), "kind", "expected", "arrivals")
    )


LOGICAL_KEY: Final = ("scenario_id", *(name for name in SERIES_KEY if name != "legal_country_iso"))
"""A series without its country: a series of the engine."""


def component_multiplicity(evidence: Evidence) -> pl.DataFrame:
    """Logical keys by the number of their components (series), over all scenarios.

    Returns `components` (1, 2, …), `series_keys` (logical keys of series), `row_keys` (`series_keys` times the buckets
    of the grid), `share` (fraction of the keys), ascending.

    Example: `views.component_multiplicity(evidence)`
    """
    tables = [_of_scenario(evidence, horizon.scenario_id) for horizon in evidence.horizons]
    return (
        pl.concat(tables)
        .group_by("components")
        .agg(pl.col("series_keys", "row_keys").sum())
        .with_columns(share=pl.col("series_keys") / pl.col("series_keys").sum())
        .sort("components")
    )


def _of_scenario(evidence: Evidence, scenario_id: str) -> pl.DataFrame:
    run = evidence.run
    series = run.frame("s1_grouping_5B", list(SERIES_KEY), scenario_id)
    buckets = run.table("s1_time_grid_5B", ["bucket_index"], scenario_id).num_rows
    keys = series.with_columns(scenario_id=pl.lit(scenario_id)).group_by(LOGICAL_KEY).agg(components=pl.len())
    counted = keys.group_by(pl.col("components").cast(pl.Int64)).agg(series_keys=pl.len().cast(pl.Int64))
    return counted.with_columns(row_keys=pl.col("series_keys") * buckets)


def group_sizes(run: Run) -> pl.DataFrame:
    """Groups of S1 by the number of their members (series), over all scenarios.

    Returns `members` (1, 2, …), `groups` of that size, `series` in them, `share` of the groups with at most that many
    members, ascending; empty for a run without S1.

    Example: `views.group_sizes(run.store)`
    """
    if run.marker("S1") is None:
        return pl.DataFrame(schema=dict.fromkeys(("members", "groups", "series"), pl.Int64) | {"share": pl.Float64})
    members = [
        run.frame("s1_grouping_5B", ["group_id"], scenario).group_by("group_id").len("members")
        for scenario in run.scenarios
    ]
    sizes = pl.concat([frame.select(pl.col("members").cast(pl.Int64)) for frame in members])
    groups = sizes.group_by("members").agg(groups=pl.len().cast(pl.Int64)).sort("members")
    return groups.with_columns(
        series=pl.col("members") * pl.col("groups"), share=pl.col("groups").cum_sum() / pl.col("groups").sum()
    )
