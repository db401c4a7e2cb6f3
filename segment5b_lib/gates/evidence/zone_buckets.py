"""What S2 and S3 expect of every zone in every bucket, as a table."""

from __future__ import annotations

import numpy as np
import polars as pl

from segment5b_lib.gates.evidence.clock import ExpectedClock
from segment5b_lib.gates.evidence.count_pass import SeriesCounts
from segment5b_lib.gates.evidence.intensity_pass import Intensity
from segment5b_lib.kernel.bucket_sums import ALL, MEAN, PHYSICAL, PHYSICAL_MEAN, PHYSICAL_VARIANCE, VARIANCE


def zone_buckets(scenario_id: str, intensity: Intensity, counts: SeriesCounts, clock: ExpectedClock) -> pl.DataFrame:
    """Expected arrivals of one scenario by zone of the series and bucket; zones ascending, every bucket of each.

    Columns: scenario_id, tzid, bucket_index, `intensity` (sum of S2's lambda_realised), `mean` and `variance` (of S3's
    counts, by their law), the same three of physical arrivals as `physical_intensity`, `physical_mean` and
    `physical_variance`, and `weekend` (share of the bucket on a local weekend). Null where S2 or S3 has no such zone.
    """
    s2 = _table(intensity.zones, intensity=intensity.of_zone[ALL], physical_intensity=intensity.of_zone[PHYSICAL])
    s3 = _table(
        counts.zones,
        mean=counts.of_zone[MEAN],
        variance=counts.of_zone[VARIANCE],
        physical_mean=counts.of_zone[PHYSICAL_MEAN],
        physical_variance=counts.of_zone[PHYSICAL_VARIANCE],
    )
    weekend = clock.weekend_of_buckets(intensity.zones)
    joined = s2.join(s3, on=["tzid", "bucket_index"], how="full", coalesce=True, maintain_order="left_right")
    return joined.join(weekend, on=["tzid", "bucket_index"], how="left", maintain_order="left").select(
        pl.lit(scenario_id).alias("scenario_id"), pl.all()
    )


def _table(zones: tuple[str, ...], **tables: np.ndarray) -> pl.DataFrame:
    buckets = next(iter(tables.values())).shape[1]
    key = {
        "tzid": pl.Series(np.repeat(np.array(zones, dtype=str), buckets), dtype=pl.String),
        "bucket_index": np.tile(np.arange(buckets, dtype=np.int32), len(zones)),
    }
    return pl.DataFrame({**key, **{name: table.reshape(-1) for name, table in tables.items()}})
