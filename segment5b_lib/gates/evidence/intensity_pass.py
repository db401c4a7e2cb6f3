"""The one pass over S2: λ_realised by zone and bucket, all and physical; and the table of it with S3's counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.contract.datasets import SERIES_KEY, dataset
from segment5b_lib.gates.evidence.clock import ExpectedClock
from segment5b_lib.gates.evidence.count_pass import CountLaw, SeriesCounts, foreign_bucket
from segment5b_lib.gates.evidence.series_runs import ZoneTables, runs_of, with_codes, zones_of
from segment5b_lib.kernel.bucket_sums import add_intensity
from segment5b_lib.store.columns import numbers
from segment5b_lib.store.parquet import open_file
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import each, no_rows, read_group

DATASET: Final = "s2_realised_intensity_5B"
_VALUES: Final = ("bucket_index", "lambda_realised")
_OF_S2: Final = ("intensity", "physical_intensity")
_OF_S3: Final = ("mean", "variance", "physical_mean", "physical_variance")
"""Columns of `zone_buckets`, in the order of the kernel's tables by zone and bucket."""


@dataclass(frozen=True)
class Intensity:
    """`zones` ascending; `of_zone` float64 [2, zone, bucket]: λ_realised, and its physical share."""

    zones: tuple[str, ...]
    of_zone: NDArray[np.float64]


def tally_intensity(run: Run, scenario_id: str, law: CountLaw) -> Intensity:
    """Read S2 of one scenario once.

    Raises
    ------
    InputError : ``5B.GATES.EMPTY_SCENARIO`` where there is no row; ``5B.GATES.FOREIGN_BUCKET`` where a row's bucket
        lies outside the horizon
    """
    tables, outside = ZoneTables(2, law.buckets), 0
    for part, rows_outside in each(lambda path: _tally_part(path, law), run.files(DATASET, scenario_id)):
        tables.add(part.zones, part.of_zone)
        outside += rows_outside
    if outside:
        raise foreign_bucket(DATASET, outside, law.buckets)
    if not tables.zones:
        raise no_rows(DATASET, scenario_id)
    return Intensity(tables.zones, tables.of_zone())


def _tally_part(path: Path, law: CountLaw) -> tuple[Intensity, int]:
    tables, outside = ZoneTables(2, law.buckets), 0
    with open_file(path, dataset(DATASET), foreign=True) as file:
        for group in range(file.num_row_groups):
            table = read_group(file, group, (*SERIES_KEY, *_VALUES), DATASET)
            if table.num_rows:
                runs = runs_of(table)
                zones = zones_of(runs.keys)
                of_zone = np.zeros((2, len(zones), law.buckets))
                coded = with_codes(runs, runs.keys.unique(), zones, law.physical, law.seed)
                bucket, intensity = (numbers(table, name) for name in _VALUES)
                outside += add_intensity(coded, bucket, intensity, of_zone)
                tables.add(zones, of_zone)
    return Intensity(tables.zones, tables.of_zone()), outside


def zone_buckets(scenario_id: str, intensity: Intensity, counts: SeriesCounts, clock: ExpectedClock) -> pl.DataFrame:
    """Expected arrivals of one scenario by zone of the series and bucket; zones ascending, every bucket of each.

    Columns: scenario_id, tzid, bucket_index, `intensity` (sum of S2's lambda_realised), `mean` and `variance` (of S3's
    counts, by their law), the same three of physical arrivals as `physical_intensity`, `physical_mean` and
    `physical_variance`, and `weekend` (share of the bucket on a local weekend). Null where S2 or S3 has no such zone.
    """
    s2, s3 = _table(_OF_S2, intensity.zones, intensity.of_zone), _table(_OF_S3, counts.zones, counts.of_zone)
    weekend = clock.weekend_of_buckets(intensity.zones)
    joined = s2.join(s3, on=["tzid", "bucket_index"], how="full", coalesce=True, maintain_order="left_right")
    return joined.join(weekend, on=["tzid", "bucket_index"], how="left", maintain_order="left").select(
        pl.lit(scenario_id).alias("scenario_id"), pl.all()
    )


def _table(names: tuple[str, ...], zones: tuple[str, ...], of_zone: NDArray[np.float64]) -> pl.DataFrame:
    buckets = of_zone.shape[2]
    key = {
        "tzid": pl.Series(np.repeat(np.array(zones, dtype=str), buckets), dtype=pl.String),
        "bucket_index": np.tile(np.arange(buckets, dtype=np.int32), len(zones)),
    }
    return pl.DataFrame({**key, **{name: table.reshape(-1) for name, table in zip(names, of_zone, strict=True)}})
