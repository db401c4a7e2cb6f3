"""Groups of series that share a latent field, by the attributes that 3B and 5A give a series."""

from __future__ import annotations

import hashlib

import polars as pl

from segment5b_lib.contract.policies import GroupingPolicy
from segment5b_lib.contract.upstream import SURFACE_KEY
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.errors import InputError
from segment5b_lib.identity import zone_group_id
from segment5b_lib.model.scenario import Scenario


def with_attributes(series: pl.DataFrame, profile: pl.DataFrame, virtual: pl.DataFrame) -> pl.DataFrame:
    """Each series with its demand class (5A) and virtual mode (3B); a series without one is an error."""
    joined = series.join(profile, on=SURFACE_KEY[:3], how="left", validate="m:1", maintain_order="left").join(
        virtual, on="merchant_id", how="left", validate="m:1", maintain_order="left"
    )
    for column, owner in (("demand_class", "merchant_zone_profile_5A"), ("virtual_mode", "virtual_classification_3B")):
        missing = joined.filter(pl.col(column).is_null())
        if missing.height:
            raise InputError(
                f"5B.S1.{column.upper()}_MISSING",
                f"a series of the surface has no row in {owner}",
                where=f"{owner}, key {missing.select(SURFACE_KEY).row(0)}",
                expected=column,
                found=f"{missing.height} series without",
            )
    return joined


def grouped(series: pl.DataFrame, scenario: Scenario, policy: GroupingPolicy) -> pl.DataFrame:
    """Each series with its group: hash bucket of scenario, class, channel, band, zone group and merchant."""
    zone_groups = {tzid: zone_group_id(tzid, policy.zone_groups) for tzid in series["tzid"].unique()}
    physical = pl.col("virtual_mode") == VirtualMode.NON_VIRTUAL.value
    labelled = series.with_columns(
        zone_group_id=pl.col("tzid").replace_strict(zone_groups),
        virtual_band=pl.when(physical).then(pl.lit("physical")).otherwise(pl.lit("virtual")),
        scenario_band=pl.lit(scenario.band.value),
        series_id=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    label = ("demand_class", "channel_group", "virtual_band", "zone_group_id")
    hashed = pl.format("5B.group|{}|{}|{}|{}|{}|{}", pl.lit(scenario.scenario_id), *label, "merchant_id")
    bucket = [_hash_bucket(text, policy.hash_buckets) for text in labelled.select(hashed).to_series()]
    return labelled.with_columns(hash_bucket=pl.Series(bucket, dtype=pl.String)).with_columns(
        group_id=pl.format("g|{}|{}|{}|{}|{}|b{}", "scenario_band", *label, "hash_bucket"),
        zone_representation=pl.col("tzid"),
    )


def _hash_bucket(text: str, buckets: int) -> str:
    first = hashlib.sha256(text.encode()).digest()[:8]
    return f"{int.from_bytes(first, 'big') % buckets:02d}"
