"""S3 against S4: counts per key on both sides, compared in full at two levels.

The row key is series and bucket, country included. The logical key leaves the country out, as the engine's
own series do: several rows (components) may then share one key. A key without arrivals on both sides is no key.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.arrays import I32, I64
from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.gates.evidence.arrival_pass import ArrivalTally
from segment5b_lib.gates.evidence.count_pass import SeriesCounts

ROW_LEVEL: Final = "series and bucket"
LOGICAL_LEVEL: Final = "logical key"
EXAMPLES: Final = 20

_ROW_KEY: Final = (*SERIES_KEY, "bucket_index")
_LOGICAL_SERIES: Final = tuple(name for name in SERIES_KEY if name != "legal_country_iso")
_COUNTERS: Final = ("keys_compared", "arrivals_s3", "arrivals_s4", "keys_that_differ", "only_in_s3", "only_in_s4")
Table = I32


def compare_counts(counts: SeriesCounts, arrivals: ArrivalTally) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compare one scenario's S3 counts with its arrivals.

    Returns
    -------
    levels : one row per level: `level`, `keys_compared`, `arrivals_s3`, `arrivals_s4`, `keys_that_differ`,
        `only_in_s3`, `only_in_s4`
    examples : the first keys that differ, with `s3` and `s4`
    """
    promised, delivered = counts.counts, arrivals.tally.delivered
    unknown_keys = arrivals.overflow.series.select(*_ROW_KEY, s3=pl.lit(0, pl.Int64), s4="arrivals")
    rows = _compared(promised, delivered) + _compared(*_columns(unknown_keys))
    levels = [(ROW_LEVEL, rows), (LOGICAL_LEVEL, _logical(counts.series, promised, delivered, unknown_keys))]
    table = pl.DataFrame([{"level": name, **dict(zip(_COUNTERS, sums.tolist(), strict=True))} for name, sums in levels])
    examples = pl.concat([_differing(counts.series, promised, delivered), unknown_keys]).sort(_ROW_KEY).head(EXAMPLES)
    scenario_id = pl.lit(arrivals.tables.scenario_id).alias("scenario_id")
    return table, examples.select(scenario_id, *_ROW_KEY, "s3", "s4")


def _compared(s3: NDArray[np.integer], s4: NDArray[np.integer]) -> I64:
    """The counters over two tables that run in parallel."""
    in_s3, in_s4 = s3 != 0, s4 != 0
    counted = (in_s3 | in_s4, s3 != s4, in_s3 & ~in_s4, in_s4 & ~in_s3)
    keys, differing, only_s3, only_s4 = (int(np.count_nonzero(flags)) for flags in counted)
    totals = (int(side.sum(dtype=np.int64)) for side in (s3, s4))
    return np.array([keys, *totals, differing, only_s3, only_s4], np.int64)


def _columns(keys: pl.DataFrame) -> tuple[I64, I64]:
    return keys["s3"].to_numpy(), keys["s4"].to_numpy()


def _logical(series: pl.DataFrame, promised: Table, delivered: Table, unknown_keys: pl.DataFrame) -> I64:
    """Series that share a logical key added up; those that an unknown key belongs to are added up key by key."""
    numbered = series.with_row_index("s")
    touched = numbered.join(unknown_keys, on=_LOGICAL_SERIES, how="semi")
    whole = numbered.join(unknown_keys, on=_LOGICAL_SERIES, how="anti")
    groups = whole.group_by(_LOGICAL_SERIES).agg("s")["s"].to_list()
    alone = [group[0] for group in groups if len(group) == 1]
    sums = _compared(promised[alone], delivered[alone])
    for group in groups:
        if len(group) > 1:
            sums += _compared(promised[group].sum(axis=0), delivered[group].sum(axis=0))
    keys = pl.concat([_keys(touched, promised, delivered), unknown_keys])
    added = keys.group_by(*_LOGICAL_SERIES, "bucket_index").agg(pl.col("s3", "s4").sum())
    return sums + _compared(*_columns(added))


def _keys(numbered: pl.DataFrame, promised: Table, delivered: Table) -> pl.DataFrame:
    """The keys with arrivals of some series, as rows."""
    at = numbered["s"].to_numpy()
    position, bucket = np.nonzero((promised[at] != 0) | (delivered[at] != 0))
    return _rows(numbered.select(SERIES_KEY)[position], at[position], bucket, promised, delivered)


def _differing(series: pl.DataFrame, promised: Table, delivered: Table) -> pl.DataFrame:
    """The first differing keys; series are in order of their keys, and so are these."""
    at, bucket = np.divmod(np.flatnonzero(promised != delivered)[:EXAMPLES], promised.shape[1])
    return _rows(series[at], at, bucket, promised, delivered)


def _rows(keys: pl.DataFrame, at: NDArray[np.integer], bucket: I64, promised: Table, delivered: Table) -> pl.DataFrame:
    return keys.with_columns(
        bucket_index=pl.Series(bucket.astype(np.int32)),
        s3=pl.Series(promised[at, bucket].astype(np.int64)),
        s4=pl.Series(delivered[at, bucket].astype(np.int64)),
    )
