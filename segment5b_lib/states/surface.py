"""The 5A intensity surface as a [series × bucket] matrix that is read in slices.

The engine's surface need not be sorted. If its rows come series by series and bucket by bucket, slices are read in
place; otherwise the rows are sorted once into a working copy, out of core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from segment5b_lib.arrays import F32
from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.upstream import SURFACE_KEY
from segment5b_lib.errors import InputError
from segment5b_lib.store.columns import words
from segment5b_lib.store.parquet import is_text
from segment5b_lib.store.query import connect, q
from segment5b_lib.store.scan import RowRanges, sql_rows
from segment5b_lib.store.worlds import World

_SURFACE: Final = dataset("merchant_zone_scenario_local_5A")
_BUCKET: Final = "local_horizon_bucket_index"
_LAMBDA: Final = "lambda_local_scenario"
SLICE_ROWS: Final = 1 << 20
"""Upper bound of rows in a slice of whole series; S2 and S3 write one part file per slice."""


@dataclass(frozen=True)
class SeriesSlice:
    """The half-open range [start, stop) of series; `part` numbers the ranges from 0."""

    part: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def series_slices(series: int, buckets: int, rows: int = SLICE_ROWS) -> list[SeriesSlice]:
    """Ranges of at most `rows` rows (but at least one series). They depend on nothing else."""
    step = max(1, rows // buckets)
    starts = range(0, series, step)
    return [SeriesSlice(part, start, min(start + step, series)) for part, start in enumerate(starts)]


@dataclass(frozen=True)
class SurfaceSlice:
    """The series [start, stop): key columns, one row each, and λ as float32 [series, bucket]."""

    start: int
    stop: int
    keys: pa.Table
    intensity: F32


class Surface:
    """One scenario's surface over its files, or over a sorted working copy of them."""

    def __init__(self, files: list[Path], scenario_id: str, buckets: int) -> None:
        self.files = files
        self.buckets = buckets
        self.where = f"merchant_zone_scenario_local_5A, scenario {scenario_id}"
        self._rows = RowRanges(files, _SURFACE)

    @property
    def rows(self) -> int:
        return self._rows.rows

    @property
    def series(self) -> int:
        """Number of series, given that each is complete."""
        return self.rows // self.buckets

    def slices(self) -> list[SeriesSlice]:
        """Ranges of series in which the surface is read."""
        return series_slices(self.series, self.buckets)

    def read(self, start: int, stop: int) -> SurfaceSlice | None:
        """Read the series [start, stop); None if the rows do not come series by series."""
        rows = self._rows.read((*SURFACE_KEY, _BUCKET, _LAMBDA), start * self.buckets, stop * self.buckets)
        shape = (stop - start, self.buckets)
        bucket = rows[_BUCKET].to_numpy().reshape(shape)
        in_order = bool((bucket == np.arange(self.buckets, dtype=bucket.dtype)).all())
        for name in SURFACE_KEY:
            codes = (words(rows, name)[0] if is_text(rows[name].type) else rows[name].to_numpy()).reshape(shape)
            in_order = in_order and bool((codes == codes[:, :1]).all())
        if not in_order:
            return None
        keys = rows.select(list(SURFACE_KEY)).take(pa.array(np.arange(stop - start) * self.buckets))
        return SurfaceSlice(start, stop, keys, rows[_LAMBDA].to_numpy().reshape(shape))

    def intensity(self, start: int, stop: int) -> F32:
        """λ of the series [start, stop) as float32 [series, bucket], of rows that are known to be in order."""
        rows = self._rows.read([_LAMBDA], start * self.buckets, stop * self.buckets)
        return np.asarray(rows[_LAMBDA].to_numpy().reshape(stop - start, self.buckets))


def source_surface(world: World, scenario_id: str, buckets: int) -> Surface:
    return Surface(world.files("merchant_zone_scenario_local_5A", scenario_id), scenario_id, buckets)


def sorted_surface(world: World, scenario_id: str, buckets: int, folder: Path) -> Surface:
    """A copy of the surface in series and bucket order, written to `folder` (out of core)."""
    source = source_surface(world, scenario_id, buckets)
    check_complete(source)
    target = folder / "part-000000.parquet"
    with connect([*_folders(source.files), folder]) as connection:
        rows = connection.read_parquet([str(path) for path in source.files], hive_partitioning=False)
        rows.order(", ".join((*SURFACE_KEY, _BUCKET))).to_parquet(str(target), compression="zstd")
    return Surface([target], scenario_id, buckets)


_INCOMPLETE: Final = f"""
SELECT {", ".join(SURFACE_KEY)},
  count(*), count(DISTINCT {_BUCKET}) AS buckets, min({_BUCKET}) AS first, max({_BUCKET}) AS last
FROM {sql_rows("$1")} GROUP BY {", ".join(SURFACE_KEY)}
HAVING count(*) <> $2 OR buckets <> $2 OR first <> 0 OR last <> $2 - 1 ORDER BY {", ".join(SURFACE_KEY)} LIMIT 1
"""


def _folders(files: Sequence[Path]) -> list[Path]:
    return sorted({path.parent for path in files})


def check_complete(surface: Surface) -> None:
    """Every series has each of the H buckets once; the error names the first series that does not."""
    with connect(_folders(surface.files)) as connection:
        offenders = q(connection, _INCOMPLETE, [[str(path) for path in surface.files], surface.buckets])
    for offender in offenders.rows():
        raise InputError(
            "5B.S1.SURFACE_INCOMPLETE",
            "a series of the surface does not have every bucket exactly once",
            where=f"{surface.where}, key {offender[:4]}",
            expected=f"{surface.buckets} rows, buckets 0 to {surface.buckets - 1}",
            found=f"{offender[4]} rows, {offender[5]} distinct buckets from {offender[6]} to {offender[7]}",
            next_step="segment 5A must publish the surface again",
        )


def check_intensity(part: SurfaceSlice, where: str) -> None:
    """λ is finite and not negative; the error names the first row where it is not."""
    wrong = ~(np.isfinite(part.intensity) & (part.intensity >= 0))
    if wrong.any():
        series, bucket = (int(index) for index in np.argwhere(wrong)[0])
        key = list(part.keys.slice(series, 1).to_pylist()[0].values())
        raise InputError(
            "5B.S1.INTENSITY_INVALID",
            "an expected arrival count is negative or not finite",
            where=f"{where}, key {key}, bucket {bucket}",
            expected="a finite number ≥ 0",
            found=part.intensity[series, bucket],
            next_step="segment 5A must publish the surface again",
        )
