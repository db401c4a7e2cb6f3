"""The one pass over S2: λ_realised by zone and bucket, all of it and what becomes physical arrivals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segment5b_lib.contract.datasets import SERIES_KEY, dataset
from segment5b_lib.gates.evidence.count_pass import CountLaw, foreign_bucket
from segment5b_lib.gates.evidence.series_runs import ZoneTables, runs_of, with_codes, zones_of
from segment5b_lib.kernel.bucket_sums import add_intensity
from segment5b_lib.store.columns import numbers
from segment5b_lib.store.parquet import open_file
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import each, no_rows, read_group

DATASET: Final = "s2_realised_intensity_5B"
_VALUES: Final = ("bucket_index", "lambda_realised")


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
    for part, strays in each(lambda path: _tally_part(path, law), run.files(DATASET, scenario_id)):
        tables.add(part.zones, part.of_zone)
        outside += strays
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
