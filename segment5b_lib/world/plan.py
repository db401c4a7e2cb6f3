"""A world in memory: everything but the surface, computed from the world file when first asked for."""

from __future__ import annotations

from functools import cached_property

from segment5b_lib.world.cells import Cells, build_cells
from segment5b_lib.world.cities import load_cities
from segment5b_lib.world.footprint import Series, build_series
from segment5b_lib.world.group_mix import GroupWeights, build_group_weights
from segment5b_lib.world.merchants import PlannedMerchants, build_merchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.rhythm import build_weeks
from segment5b_lib.world.sites import PlannedSites, SiteWeights, build_site_weights, build_sites
from segment5b_lib.world.spec import ChannelRule, WorldSpec
from segment5b_lib.world.surface import SeriesDemand, WorldSurface, build_demand, build_surface
from segment5b_lib.world.virtual import PlannedEdges, build_edges, serving_rules


class Plan:
    """The parts of one world, each a function of the world file alone."""

    def __init__(self, spec: WorldSpec) -> None:
        self.spec = spec
        self._randomness = Randomness(spec.world_seed)

    @cached_property
    def cells(self) -> Cells:
        """Countries by zones, and the places in them."""
        return build_cells(load_cities(), self.spec.geography)

    @cached_property
    def merchants(self) -> PlannedMerchants:
        """Who trades (1A)."""
        return build_merchants(self.spec, self.cells, self._randomness)

    @cached_property
    def series(self) -> Series:
        """Where each trades (3A)."""
        return build_series(self.spec, self.cells, self.merchants, self._randomness)

    @cached_property
    def sites(self) -> PlannedSites:
        """Outlets (1B, 2A)."""
        return build_sites(self.spec, self.cells, self.merchants, self.series, self._randomness)

    @cached_property
    def site_weights(self) -> SiteWeights:
        """Static routing weights (2B)."""
        return build_site_weights(self.spec, self.cells, self.merchants, self.series, self.sites, self._randomness)

    @cached_property
    def group_weights(self) -> GroupWeights:
        """Daily zone weights (2B)."""
        return build_group_weights(
            self.spec, self.cells, self.merchants, self.series, self.site_weights, self._randomness
        )

    @cached_property
    def rules(self) -> tuple[ChannelRule, ...]:
        """The rule that decides how each merchant is served (3B)."""
        return serving_rules(self.spec, self.merchants)

    @cached_property
    def edges(self) -> PlannedEdges:
        """Online edges (3B)."""
        return build_edges(self.spec, self.cells, self.merchants, self.rules, self._randomness)

    @cached_property
    def demand(self) -> SeriesDemand:
        """Expected arrivals per series (5A)."""
        return build_demand(self.spec, self.cells, self.merchants, self.series, self.site_weights, self._randomness)

    @cached_property
    def surface(self) -> WorldSurface:
        """Expected arrivals per series and bucket (5A), made slab by slab."""
        weeks = build_weeks(self.spec, self.merchants, self._randomness)
        return build_surface(self.spec, self.cells, self.merchants, self.series, self.demand, weeks)
