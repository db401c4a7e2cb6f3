"""The evidence of one run: every table that gates and charts need, each made once and only when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
import pyarrow.compute as pc

from segment5b_lib.civil_time.cache import TzCache, decode
from segment5b_lib.contract.policies import ValidationPolicy
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.gates.census import take_census, take_role_counts
from segment5b_lib.gates.clock import ExpectedClock
from segment5b_lib.gates.conservation import EXAMPLES, compare_counts
from segment5b_lib.gates.count_shape import take_merchant_counts, take_residuals
from segment5b_lib.gates.latent_factor import LatentFactor, take_latent_factor
from segment5b_lib.gates.places import take_places, take_row_zones
from segment5b_lib.gates.scan import collect, scan_dataset
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.runs import Run

_ZONE_SOURCES = (
    ("site_timezones", "tzid"),
    ("edge_catalogue_3B", "tzid_operational"),
    ("virtual_settlement_3B", "tzid_settlement"),
)


@dataclass(frozen=True)
class Horizon:
    """One scenario's horizon [start, end), epoch seconds UTC."""

    scenario_id: str
    start: int
    end: int


class Evidence:
    """What is known about a run. Tables are small (counts, never rows of arrivals) and kept once made."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def policy(self) -> ValidationPolicy:
        """The validation policy that the run was made with."""
        return self.run.policies.validation

    @cached_property
    def horizons(self) -> tuple[Horizon, ...]:
        """Horizon of every scenario, from the sealed manifest, by scenario id."""
        manifest = self.run.world.table("scenario_manifest_5A", ["scenario_id", "horizon_start_utc", "horizon_end_utc"])
        found = [
            Horizon(
                row["scenario_id"],
                int(row["horizon_start_utc"].timestamp()),
                int(row["horizon_end_utc"].timestamp()),
            )
            for row in manifest.to_pylist()
        ]
        return tuple(sorted(found, key=lambda horizon: horizon.scenario_id))

    @cached_property
    def clocks(self) -> dict[str, ExpectedClock]:
        """The expected clock over each scenario's horizon."""
        width = self.run.policies.time_grid.bucket_seconds
        return {h.scenario_id: ExpectedClock(h.start, h.end, width) for h in self.horizons}

    @cached_property
    def census(self) -> pl.DataFrame:
        """The arrivals of all scenarios, counted (see `census.take_census`)."""
        tolerance = self.policy.civil_time.tolerance_seconds
        return pl.concat([take_census(self.run, name, clock, tolerance) for name, clock in self.clocks.items()])

    @cached_property
    def role_counts(self) -> pl.DataFrame:
        """The virtual arrivals' other two clocks, counted (see `census.take_role_counts`)."""
        tolerance = self.policy.civil_time.tolerance_seconds
        return pl.concat([take_role_counts(self.run, name, clock, tolerance) for name, clock in self.clocks.items()])

    @property
    def arrivals(self) -> int:
        """Number of arrivals in all scenarios."""
        return int(self.census["arrivals"].sum())

    @cached_property
    def zone_buckets(self) -> pl.DataFrame:
        """Expected arrivals by scenario, zone of the series and bucket.

        Columns: scenario_id, tzid, bucket_index, `intensity` (sum of S2's lambda_realised), `mean` and
        `variance` (of S3's counts, by their law), `weekend` (share of the bucket on a local weekend).
        """
        return pl.concat([self._zone_buckets(name, clock) for name, clock in self.clocks.items()])

    @cached_property
    def conservation(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """S3 against S4 over all scenarios: totals per level, and examples of keys that differ."""
        tables = [compare_counts(self.run, horizon.scenario_id) for horizon in self.horizons]
        levels = pl.concat([levels for levels, _ in tables])
        totals = levels.group_by("level", maintain_order=True).agg(pl.exclude("level").sum())
        return totals, pl.concat([examples for _, examples in tables]).head(EXAMPLES)

    @cached_property
    def places(self) -> pl.DataFrame:
        """Arrivals by site and edge over all scenarios (see `places.take_places`)."""
        tables = [take_places(self.run, h.scenario_id) for h in self.horizons]
        key = ["merchant_id", "site_id", "edge_id"]
        return pl.concat(tables).group_by(key).agg(pl.col("arrivals").sum()).sort(key)

    @cached_property
    def row_zones(self) -> pl.DataFrame:
        """Physical arrivals by the zone of the row that made them, over all scenarios: tzid, arrivals."""
        tables = [take_row_zones(self.run, h.scenario_id) for h in self.horizons]
        return pl.concat(tables).group_by("tzid").agg(pl.col("arrivals").sum()).sort("tzid")

    @cached_property
    def merchant_counts(self) -> pl.DataFrame:
        """S3 by merchant over all scenarios (see `count_shape.take_merchant_counts`)."""
        tables = [take_merchant_counts(self.run, h.scenario_id) for h in self.horizons]
        return pl.concat(tables).group_by("merchant_id").agg(pl.exclude("merchant_id").sum()).sort("merchant_id")

    @cached_property
    def residuals(self) -> pl.DataFrame:
        """How S3's counts scatter around μ, over all scenarios (see `count_shape.take_residuals`)."""
        eps = self.run.policies.count.lambda_zero_eps
        tables = [take_residuals(self.run, h.scenario_id, eps) for h in self.horizons]
        return pl.concat(tables).group_by("bin").agg(pl.col("rows").sum()).sort("bin")

    @cached_property
    def latent_factor(self) -> LatentFactor:
        """S2's latent factors over all scenarios."""
        return take_latent_factor(self.run, tuple(h.scenario_id for h in self.horizons))

    @cached_property
    def active_zones(self) -> tuple[str, ...]:
        """Every tzid of a site, an edge or a settlement of the world, ascending."""
        found: set[str] = set()
        for dataset_id, column in _ZONE_SOURCES:
            found.update(pc.unique(self.run.world.table(dataset_id, [column])[column]).to_pylist())
        return tuple(sorted(found))

    @cached_property
    def merchants_by_mode(self) -> dict[str, int]:
        """Number of merchants in each virtual mode of segment 3B; every mode is named."""
        modes = self.run.world.table("virtual_classification_3B", ["virtual_mode"])["virtual_mode"].to_pylist()
        return {mode.value: modes.count(mode.value) for mode in VirtualMode}

    @cached_property
    def cache(self) -> TzCache:
        """The world's transition cache."""
        (path,) = self.run.world.files("tz_timetable_cache")
        return decode(path.read_bytes(), f"tz_timetable_cache: {path.name}")

    @cached_property
    def cache_document(self) -> dict[str, Any]:
        """The JSON beside the cache."""
        (path,) = self.run.world.files("tz_timetable_cache_json")
        return dict(read_json(path))

    def _zone_buckets(self, scenario_id: str, clock: ExpectedClock) -> pl.DataFrame:
        key = ["zone_representation", "bucket_index"]
        intensity = (
            scan_dataset(self.run, "s2_realised_intensity_5B", scenario_id, [*key, "lambda_realised"])
            .group_by(key)
            .agg(pl.col("lambda_realised").sum().alias("intensity"))
        )
        counts = (
            scan_dataset(self.run, "s3_bucket_counts_5B", scenario_id, [*key, "mu", "kappa"])
            .group_by(key)
            .agg(pl.col("mu").sum().alias("mean"), self.count_variance.sum().alias("variance"))
        )
        tables = [
            collect(table, f"S2 and S3 of {scenario_id}")
            .with_columns(pl.col("zone_representation").cast(pl.String).alias("tzid"))
            .drop("zone_representation")
            for table in (intensity, counts)
        ]
        weekend = clock.weekend_of_buckets(sorted(tables[0]["tzid"].unique()))
        joined = tables[0].join(tables[1], on=["tzid", "bucket_index"], how="full", coalesce=True)
        return joined.join(weekend, on=["tzid", "bucket_index"], how="left").select(
            pl.lit(scenario_id).alias("scenario_id"),
            "tzid",
            "bucket_index",
            "intensity",
            "mean",
            "variance",
            "weekend",
        )

    @property
    def count_variance(self) -> pl.Expr:
        """Variance of a count given `mu` and `kappa`, by the policy's count law."""
        mu = pl.col("mu")
        return mu + mu**2 / pl.col("kappa") if self.run.policies.count.law == "nb2" else mu
