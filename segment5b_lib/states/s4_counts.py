"""S3's counts as a matrix, per merchant and bucket, and the sequence numbers that follow from them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.words import Lane
from segment5b_lib.errors import InputError
from segment5b_lib.kernel.arrival_tables import Counts
from segment5b_lib.states.context import Context
from segment5b_lib.states.series import SeriesDomain
from segment5b_lib.states.surface import SeriesSlice, series_slices
from segment5b_lib.store.row_ranges import RowRanges


def merchant_starts(domain: SeriesDomain) -> NDArray[np.int64]:
    """First series of each merchant, and the number of series at the end."""
    ids = domain.frame["merchant_id"].to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    return np.append(starts, len(ids)).astype(np.int64)


def load_counts(context: Context, domain: SeriesDomain) -> Counts:
    """Read `count_N` of all series: int32 [series, bucket], rows being in series and bucket order.

    Raises
    ------
    InputError : ``5B.S4.COUNTS_INCOMPLETE`` if there is not one row per series and bucket
    """
    rows = RowRanges(context.run.files("s3_bucket_counts_5B", domain.scenario_id), dataset("s3_bucket_counts_5B"))
    expected = len(domain) * domain.buckets
    if rows.rows != expected:
        raise InputError(
            "5B.S4.COUNTS_INCOMPLETE",
            "counts do not have one row per series and bucket",
            where=f"s3_bucket_counts_5B, scenario {domain.scenario_id}",
            expected=f"{len(domain)} series of {domain.buckets} buckets, {expected} rows",
            found=rows.rows,
            next_step="segment5b rerun --changed S3",
        )
    counts = np.empty((len(domain), domain.buckets), np.int32)

    def read(part: SeriesSlice) -> None:
        with context.step("read counts", Lane.INPUT_LOAD) as step:
            table = rows.read(["count_N"], part.start * domain.buckets, part.stop * domain.buckets)
            counts[part.start : part.stop] = table["count_N"].to_numpy().reshape(-1, domain.buckets)
            step.rows = table.num_rows

    slices = series_slices(len(domain), domain.buckets)
    context.map_shards("read counts", read, slices, [len(part) * domain.buckets for part in slices])
    cells = merchant_cells(domain, counts)
    ends = np.cumsum(cells, axis=1, dtype=np.int64)
    return Counts(counts, cells.astype(np.int32), ends - cells + 1)


def merchant_cells(domain: SeriesDomain, counts: NDArray[np.int32]) -> NDArray[np.int64]:
    """Arrivals per merchant and bucket, int64 [merchant, bucket], of counts [series, bucket]."""
    # Slice by slice: `np.add.reduceat` over axis 0 takes twenty times as long.
    return np.stack([counts[a:b].sum(axis=0, dtype=np.int64) for a, b in pairwise(merchant_starts(domain))])
