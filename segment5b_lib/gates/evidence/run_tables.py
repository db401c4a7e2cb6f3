"""The evidence of one run: every table that gates and charts need, each made once and only when asked for.

A pass is made once also where it fails: bad evidence is not read again for the next gate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, overload

import numpy as np
import polars as pl
import pyarrow.compute as pc

from segment5b_lib.arrays import I64
from segment5b_lib.civil_time.cache import TzCache, decode
from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.gates.evidence import count_pass, intensity_pass
from segment5b_lib.gates.evidence.arrival_pass import ArrivalPass, ArrivalTally
from segment5b_lib.gates.evidence.arrival_tables import PLACE_SCHEMA, ArrivalTables
from segment5b_lib.gates.evidence.census import census_of, roles_of
from segment5b_lib.gates.evidence.clock import ExpectedClock
from segment5b_lib.gates.evidence.conservation import EXAMPLES, compare_counts
from segment5b_lib.gates.evidence.places import places_of, site_weights, take_row_zones, world_edges, world_sites
from segment5b_lib.gates.evidence.series_runs import KEY_SCHEMA
from segment5b_lib.gates.evidence.trace import sampled_series
from segment5b_lib.kernel.tally_tables import TALLIED_ROWS
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.runs import Run

Made = TypeVar("Made")


class once(Generic[Made]):  # noqa: N801  # a decorator, named like `cached_property`
    """`cached_property` that also keeps the `InputError` or `MissingInputError` that stopped it."""

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self._property = cached_property(make)
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._property.__set_name__(owner, name)
        self._refusal = f"_refusal_of_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> once[Made]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Made: ...
    def __get__(self, instance: object, owner: type) -> once[Made] | Made:
        if instance is None:
            return self
        if refusal := vars(instance).get(self._refusal):
            raise refusal
        try:
            return self._property.__get__(instance, owner)
        except (InputError, MissingInputError) as refusal:
            vars(instance)[self._refusal] = refusal
            raise


Value = TypeVar("Value")


ZONE_COLUMNS: Final = {
    "site_timezones": "tzid",
    "edge_catalogue_3B": "tzid_operational",
    "virtual_settlement_3B": "tzid_settlement",
}
"""Column by dataset, which together have every zone that is in use."""


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
        return self.run.policies.validation

    @cached_property
    def horizons(self) -> tuple[Horizon, ...]:
        """Horizon of every scenario, from the sealed manifest, by scenario id."""
        return tuple(
            Horizon(name, int(start.timestamp()), int(end.timestamp()))
            for name, (start, end) in self.run.horizons.items()
        )

    @cached_property
    def clocks(self) -> dict[str, ExpectedClock]:
        width = self.run.policies.time_grid.bucket_seconds
        return {h.scenario_id: ExpectedClock(h.start, h.end, width) for h in self.horizons}

    @cached_property
    def sites(self) -> pl.DataFrame:
        return world_sites(self.run.world)

    @cached_property
    def site_weights(self) -> pl.DataFrame:
        return site_weights(self.run.world)

    @cached_property
    def edges(self) -> pl.DataFrame:
        return world_edges(self.run.world)

    @cached_property
    def active_zones(self) -> tuple[str, ...]:
        """Every tzid of a site, an edge or a settlement of the world, ascending."""
        zones: set[str] = set()
        for dataset_id, column in ZONE_COLUMNS.items():
            zones.update(pc.unique(self.run.world.table(dataset_id, [column])[column]).to_pylist())
        return tuple(sorted(zones))

    @cached_property
    def merchants_by_mode(self) -> dict[str, int]:
        """Number of merchants in each virtual mode of segment 3B; every mode is named."""
        modes = self.run.world.table("virtual_classification_3B", ["virtual_mode"])["virtual_mode"].to_pylist()
        return {mode.value: modes.count(mode.value) for mode in VirtualMode}

    @cached_property
    def physical_shares(self) -> dict[int, float]:
        """The share of each merchant's arrivals that is expected to be physical, by segment 3B and the policy."""
        hybrid = 1.0 - self.run.policies.routing.hybrid_policy.p_virtual_hybrid
        share = {VirtualMode.NON_VIRTUAL: 1.0, VirtualMode.HYBRID: hybrid, VirtualMode.VIRTUAL_ONLY: 0.0}
        table = self.run.world.table("virtual_classification_3B", ["merchant_id", "virtual_mode"])
        return {row["merchant_id"]: share[VirtualMode(row["virtual_mode"])] for row in table.to_pylist()}

    @cached_property
    def cache(self) -> TzCache:
        (path,) = self.run.world.files("tz_timetable_cache")
        return decode(path.read_bytes(), f"tz_timetable_cache: {path.name}")

    @cached_property
    def cache_document(self) -> dict[str, Any]:
        (path,) = self.run.world.files("tz_timetable_cache_json")
        return dict(read_json(path))

    @once
    def counts(self) -> dict[str, count_pass.SeriesCounts]:
        """S3 of each scenario, read once (see `count_pass.SeriesCounts`)."""
        return {name: count_pass.tally_counts(self.run, name, law) for name, law in self._laws.items()}

    @once
    def intensities(self) -> dict[str, intensity_pass.Intensity]:
        """S2 of each scenario, read once (see `intensity_pass.Intensity`)."""
        return {name: intensity_pass.tally_intensity(self.run, name, law) for name, law in self._laws.items()}

    @once
    def tallies(self) -> dict[str, ArrivalTally]:
        """The arrivals of each scenario, read once (see `arrival_pass.ArrivalTally`)."""
        return {name: self._tally(name) for name in self.clocks}

    @cached_property
    def census(self) -> pl.DataFrame:
        """The arrivals of all scenarios, counted (see `census.census_of`)."""
        return pl.concat([census_of(counted) for counted in self.tallies.values()])

    @cached_property
    def role_counts(self) -> pl.DataFrame:
        """The virtual arrivals' other two clocks, counted (see `census.roles_of`)."""
        return pl.concat([roles_of(counted) for counted in self.tallies.values()])

    @property
    def arrivals(self) -> int:
        return int(self.arrival_totals[TALLIED_ROWS])

    @cached_property
    def arrival_totals(self) -> I64:
        """Totals of the pass over all scenarios, int64 [7] (see `kernel.tally_tables`)."""
        return np.asarray(np.sum([counted.tally.totals for counted in self.tallies.values()], axis=0))

    @cached_property
    def zone_buckets(self) -> pl.DataFrame:
        """Expected arrivals by scenario, zone of the series and bucket (see `intensity_pass.zone_buckets`)."""
        clocks = self.clocks.items()
        return pl.concat(
            intensity_pass.zone_buckets(name, self.intensities[name], self.counts[name], clock)
            for name, clock in clocks
        )

    @cached_property
    def conservation(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """S3 against S4 over all scenarios: totals per level, and examples of keys that differ."""
        tables = [compare_counts(self.counts[name], counted) for name, counted in self.tallies.items()]
        levels = pl.concat([levels for levels, _ in tables])
        totals = levels.group_by("level", maintain_order=True).agg(pl.exclude("level").sum())
        return totals, pl.concat([examples for _, examples in tables]).head(EXAMPLES)

    @cached_property
    def places(self) -> pl.DataFrame:
        """Arrivals by site and edge over all scenarios (see `places.places_of`)."""
        tables = [places_of(counted) for counted in self.tallies.values()]
        key = ["merchant_id", "site_id", "edge_id"]
        return pl.concat(tables).group_by(key).agg(pl.col("arrivals").sum()).sort(key)

    @cached_property
    def row_zones(self) -> pl.DataFrame:
        """Physical arrivals by the zone of the row that made them, over all scenarios: tzid, arrivals."""
        tables = [take_row_zones(self.run, h.scenario_id) for h in self.horizons]
        return pl.concat(tables).group_by("tzid").agg(pl.col("arrivals").sum()).sort("tzid")

    @cached_property
    def merchant_counts(self) -> pl.DataFrame:
        """S3 by merchant over all scenarios (see `count_pass.take_merchant_counts`)."""
        tables = [count_pass.take_merchant_counts(self.run, h.scenario_id) for h in self.horizons]
        return pl.concat(tables).group_by("merchant_id").agg(pl.exclude("merchant_id").sum()).sort("merchant_id")

    @cached_property
    def residuals(self) -> pl.DataFrame:
        """How S3's counts scatter around μ, over all scenarios (see `count_pass.take_residuals`)."""
        eps = self.run.policies.count.lambda_zero_eps
        tables = [count_pass.take_residuals(self.run, h.scenario_id, eps) for h in self.horizons]
        return pl.concat(tables).group_by("bin").agg(pl.col("rows").sum()).sort("bin")

    @cached_property
    def latent_factor(self) -> intensity_pass.LatentFactor:
        """S2's latent factors over all scenarios."""
        return intensity_pass.take_latent_factor(self.run, tuple(h.scenario_id for h in self.horizons))

    @cached_property
    def _laws(self) -> dict[str, count_pass.CountLaw]:
        """Input of the passes over S2 and S3. Only A2 needs 3B's modes, and asks for them itself."""
        count, seed = self.run.policies.count, self.policy.sampling.seed
        unknown: dict[int, float] = {}
        physical = _or(lambda: self.physical_shares, unknown)
        width, rows = self.run.policies.time_grid.bucket_seconds, self.policy.audit.sampled_rows
        dispersed, eps = count.law == "nb2", count.lambda_zero_eps
        return {
            h.scenario_id: count_pass.CountLaw(dispersed, eps, (h.end - h.start) // width, physical, rows, seed)
            for h in self.horizons
        }

    def _tally(self, scenario_id: str) -> ArrivalTally:
        """The pass over a scenario's arrivals; gates that need what is missing here ask for it themselves."""
        counts = _or(lambda: self.counts[scenario_id], None)
        series = pl.DataFrame(schema=KEY_SCHEMA) if counts is None else counts.series
        places = pl.DataFrame(schema=PLACE_SCHEMA)
        tables = ArrivalTables(
            scenario_id,
            self.clocks[scenario_id],
            self.policy.civil_time.tolerance_seconds,
            series,
            _or(lambda: self.sites.select(*PLACE_SCHEMA), places),
            _or(lambda: self.edges.select(*PLACE_SCHEMA), places),
            sampled_series(counts, self.policy.audit.traced_draws, self.policy.sampling.seed),
        )
        return ArrivalPass(tables).over(self.run)


def _or(get: Callable[[], Value], otherwise: Value) -> Value:
    """What there is, or something else where the data it is made from are not there or are foreign."""
    try:
        return get()
    except (InputError, MissingInputError):
        return otherwise
