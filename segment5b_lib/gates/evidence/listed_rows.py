"""Rows outside the dense tables, row group by row group: taken out, grouped and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.kernel.tally_tables import CENSUS_ROWS, Odd


@dataclass(frozen=True)
class Listed:
    """Rows outside the dense tables, grouped and counted in `arrivals` (i64).

    Attributes
    ----------
    census : tzid, cell (i64, of absolute time), digits (see `kernel.tally_tables.Odd`)
    roles : role, tzid, digit: the other two clocks of all virtual rows
    series : SERIES_KEY, bucket_index: keys that S3 does not have
    places : merchant_id, site_id, edge_id: places that are not the merchant's, or rows that are ill-formed
    sampled : SERIES_KEY, bucket_index, ts_utc (i64): one row per arrival of a sampled series
    """

    census: pl.DataFrame
    roles: pl.DataFrame
    series: pl.DataFrame
    places: pl.DataFrame
    sampled: pl.DataFrame


def taken(table: pa.Table, positions: NDArray[np.int32], names: Sequence[str]) -> pl.DataFrame:
    """Some columns of the rows at some positions; text as text, instants as epoch microseconds (i64)."""
    frame = pl.DataFrame(pl.from_arrow(table.select(list(names)).take(pa.array(positions))))
    return frame.with_columns(
        pl.col(pl.Categorical, pl.Enum).cast(pl.String), pl.col(pl.Datetime).dt.epoch("us").cast(pl.Int64)
    )


def grouped(table: pa.Table, positions: NDArray[np.int32], names: Sequence[str]) -> pl.DataFrame:
    """The same, one row per distinct combination, with `arrivals` (i64)."""
    return taken(table, positions, names).group_by(names).agg(arrivals=pl.len().cast(pl.Int64))


def odd_census(table: pa.Table, odd: Odd) -> pl.DataFrame:
    """The rows that the census lists, grouped: tzid, cell, digits, arrivals."""
    n = odd.found[CENSUS_ROWS]
    zones = taken(table, odd.census[:n], ["tzid_primary"])["tzid_primary"]
    frame = pl.DataFrame({"tzid": zones, "cell": odd.cell[:n], "digits": odd.digits[:n]})
    return frame.group_by("tzid", "cell", "digits").agg(arrivals=pl.len().cast(pl.Int64))


def together(parts: Sequence[Listed]) -> Listed:
    """Groups of all row groups together."""

    def total(name: str) -> pl.DataFrame:
        rows: pl.DataFrame = pl.concat([getattr(part, name) for part in parts])
        return rows.group_by(pl.exclude("arrivals")).agg(pl.col("arrivals").sum())

    sampled = pl.concat([part.sampled for part in parts])
    return Listed(total("census"), total("roles"), total("series"), total("places"), sampled)
