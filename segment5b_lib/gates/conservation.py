"""S3 against S4: counts per key on both sides, compared in full at two levels.

The row key is series and bucket, country included. The logical key leaves the country out, as the engine's
own series do: several rows (components) may then share one key.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.gates.scan import collect, scan_arrivals, scan_dataset
from segment5b_lib.store.runs import Run

ROW_LEVEL: Final = "series and bucket"
LOGICAL_LEVEL: Final = "logical key"
EXAMPLES: Final = 20

_TEXT: Final = ("legal_country_iso", "zone_representation", "channel_group")
_ROW_KEY: Final = (*SERIES_KEY, "bucket_index")
_LOGICAL_KEY: Final = tuple(name for name in _ROW_KEY if name != "legal_country_iso")


def compare_counts(run: Run, scenario_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compare one scenario's S3 counts with its arrivals; a key without arrivals on both sides is no key.

    Returns
    -------
    levels : one row per level: `level`, `keys_compared`, `arrivals_s3`, `arrivals_s4`, `keys_that_differ`,
        `only_in_s3`, `only_in_s4`
    examples : the first keys that differ, with `s3` and `s4`
    """
    s3 = scan_dataset(run, "s3_bucket_counts_5B", scenario_id, [*_ROW_KEY, "count_N"])
    promised = s3.filter(pl.col("count_N") != 0).select(
        *_key(), s3=pl.col("count_N").cast(pl.Int64), s4=pl.lit(0, pl.Int64)
    )
    delivered = scan_arrivals(run, scenario_id, _ROW_KEY).select(
        *_key(), s3=pl.lit(0, pl.Int64), s4=pl.lit(1, pl.Int64)
    )
    keys = collect(_summed(pl.concat([promised, delivered]), _ROW_KEY), f"S3 and arrivals of {scenario_id}")
    logical = _summed(keys.lazy(), _LOGICAL_KEY).collect()
    levels = pl.concat([_totals(ROW_LEVEL, keys), _totals(LOGICAL_LEVEL, logical)])
    differing = keys.filter(pl.col("s3") != pl.col("s4")).with_columns(pl.col(_TEXT).cast(pl.String))
    examples = differing.sort(_ROW_KEY).head(EXAMPLES)
    return levels, examples.select(pl.lit(scenario_id).alias("scenario_id"), *_ROW_KEY, "s3", "s4")


def _key() -> list[pl.Expr]:
    return [pl.col(name).cast(pl.Categorical) if name in _TEXT else pl.col(name) for name in _ROW_KEY]


def _summed(frame: pl.LazyFrame, key: tuple[str, ...]) -> pl.LazyFrame:
    return frame.group_by(key).agg(pl.col("s3", "s4").sum())


def _totals(level: str, keys: pl.DataFrame) -> pl.DataFrame:
    s3, s4 = pl.col("s3"), pl.col("s4")
    return keys.select(
        pl.lit(level).alias("level"),
        pl.len().cast(pl.Int64).alias("keys_compared"),
        s3.sum().alias("arrivals_s3"),
        s4.sum().alias("arrivals_s4"),
        (s3 != s4).sum().cast(pl.Int64).alias("keys_that_differ"),
        ((s4 == 0) & (s3 != 0)).sum().cast(pl.Int64).alias("only_in_s3"),
        ((s3 == 0) & (s4 != 0)).sum().cast(pl.Int64).alias("only_in_s4"),
    )
