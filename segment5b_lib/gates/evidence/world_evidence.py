"""The evidence that a run's world and policies give: horizons, expected clocks, zones, places, modes, the cache."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
import pyarrow.compute as pc

from segment5b_lib.civil_time.cache import TzCache, decode
from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.gates.evidence.clock import ExpectedClock
from segment5b_lib.gates.evidence.places import site_weights, world_edges, world_sites
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

    def buckets(self, bucket_seconds: int) -> int:
        """Number of buckets."""
        return (self.end - self.start) // bucket_seconds


class WorldEvidence:
    """What is known before any output of the run is read; kept once made."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def policy(self) -> ValidationPolicy:
        """The validation policy that the run was made with."""
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
        """The expected clock over each scenario's horizon."""
        width = self.run.policies.time_grid.bucket_seconds
        return {h.scenario_id: ExpectedClock(h.start, h.end, width) for h in self.horizons}

    @cached_property
    def sites(self) -> pl.DataFrame:
        """The world's sites (see `places.world_sites`)."""
        return world_sites(self.run.world)

    @cached_property
    def site_weights(self) -> pl.DataFrame:
        """The world's site weights (see `places.site_weights`)."""
        return site_weights(self.run.world)

    @cached_property
    def edges(self) -> pl.DataFrame:
        """The world's edges (see `places.world_edges`)."""
        return world_edges(self.run.world)

    @cached_property
    def active_zones(self) -> tuple[str, ...]:
        """Every tzid of a site, an edge or a settlement of the world, ascending."""
        zones: set[str] = set()
        for dataset_id, column in _ZONE_SOURCES:
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
        """The world's transition cache."""
        (path,) = self.run.world.files("tz_timetable_cache")
        return decode(path.read_bytes(), f"tz_timetable_cache: {path.name}")

    @cached_property
    def cache_document(self) -> dict[str, Any]:
        """The JSON document of the cache."""
        (path,) = self.run.world.files("tz_timetable_cache_json")
        return dict(read_json(path))
