"""The concentration problem: whose arrivals could lie in another of their own zones, and whose could not.

All figures are shares of the expected arrivals. An owner, which is a merchant of a scenario, spreads its physical
arrivals over the zones in which it has any; virtual arrivals lie where edges are, out of any tilt's reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from segment5b_lib.arrays import F64, I64
from segment5b_lib.calibrate.demand import ExpectedDemand
from segment5b_lib.calibrate.flows import blocks, destinations
from segment5b_lib.calibrate.tables import RoutingTables
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.model.statistics import TOP_ZONES

_DUST: Final = 1e-15
"""Shares below this are what is left of a subtraction."""


class Mix(NamedTuple):
    """Physical shares by owner and zone, and what is fixed.

    `owner`, `zone` int64 and `mass` float64 (> 0), one per cell, sorted by owner; `fixed` float64 [zone], virtual
    arrivals. All masses and fixed shares together are 1.
    """

    owner: I64
    zone: I64
    mass: F64
    fixed: F64

    @property
    def weight(self) -> F64:
        """Physical share of each owner."""
        return np.bincount(self.owner, self.mass).astype(np.float64)

    @property
    def first(self) -> I64:
        return np.flatnonzero(np.append(True, np.diff(self.owner) != 0)).astype(np.int64)

    def tilted(self, u: F64) -> tuple[F64, F64]:
        """Masses under p' ∝ p·exp(−u_zone), each owner's total kept; and log Σ p·exp(−u_zone) of each owner."""
        weight, least = self.weight, np.minimum.reduceat(u[self.zone], self.first)
        raised = self.mass * np.exp(least[self.owner] - u[self.zone])
        kept = np.bincount(self.owner, raised) / weight
        return raised / kept[self.owner], np.log(kept) - least

    def zones(self, mass: F64) -> F64:
        """Share of each zone under other masses."""
        spread: F64 = self.fixed + np.bincount(self.zone, mass, minlength=len(self.fixed))
        return spread

    def distortion(self, mass: F64) -> float:
        """Σ mass'·log(mass'/mass): the arrival-weighted Kullback–Leibler divergence, nats per arrival."""
        moved = mass > 0
        return float((mass[moved] * np.log(mass[moved] / self.mass[moved])).sum())


def largest(zones: F64) -> float:
    return float(np.sort(zones)[-TOP_ZONES:].sum())


class Volumes(NamedTuple):
    """Shares of all arrivals by the virtual mode of their merchant."""

    physical: float
    hybrid: float
    virtual_only: float

    def online(self, hybrid_share: float) -> float:
        """T7 as expected."""
        return self.virtual_only + hybrid_share * self.hybrid


def volumes(demands: Sequence[ExpectedDemand], tables: RoutingTables) -> Volumes:
    """How much of the surface belongs to merchants of each mode."""
    sums = dict.fromkeys(VirtualMode, 0.0)
    for demand in demands:
        places = destinations(demand, tables)
        by_merchant = np.bincount(places.merchant_of, demand.surface)
        for mode in VirtualMode:
            sums[mode] += float(by_merchant[places.mode == mode.value].sum())
    total = sum(sums.values())
    return Volumes(
        sums[VirtualMode.NON_VIRTUAL] / total, sums[VirtualMode.HYBRID] / total, sums[VirtualMode.VIRTUAL_ONLY] / total
    )


def row_zone_mix(demands: Sequence[ExpectedDemand], tables: RoutingTables, hybrid_share: float) -> Mix:
    """What S2's zone mix can move under `row_zone`, as shares of the surface, which no seed changes."""
    parts = []
    for demand in demands:
        places = destinations(demand, tables)
        virtual = places.virtual(hybrid_share)
        online = virtual * np.bincount(places.merchant_of, demand.surface)
        physical = demand.surface * (1.0 - virtual)[places.merchant_of]
        parts.append((places.merchant_of, places.zone_of.astype(np.int64), physical, online @ places.edges))
    return _joined(parts, len(tables.zones))


def group_weight_mix(demands: Sequence[ExpectedDemand], tables: RoutingTables, policies: Policies) -> Mix:
    """Owners are merchants with their weights averaged over the days: what S4's temper can move.

    The temper works day by day; on the average it is solved in a moment, and the difference is of second order in how
    much a merchant's weights vary from day to day. `policies` have zone binding `group_weights`.
    """
    parts = []
    for demand in demands:
        edges = destinations(demand, tables).edges
        online, physical = np.zeros(edges.shape[1]), np.zeros(edges.shape)
        for block in blocks(demand, tables, policies):
            arrivals = block.mean.sum(axis=1)[:, None]
            at_edges = block.virtual[:, None] * edges
            online += (arrivals * at_edges).sum(axis=0)
            physical += np.where(block.virtual[:, None] < 1, arrivals * (block.to_zone - at_edges), 0.0)
        owner, zone = np.nonzero(physical > _DUST * physical.sum())
        parts.append((owner, zone, physical[owner, zone], online))
    return _joined(parts, len(tables.zones))


def _joined(parts: Sequence[tuple[I64, I64, F64, F64]], zones: int) -> Mix:
    """Parts one after another, owners kept distinct, cells of one owner and zone added up, as shares of the whole."""
    owners, zone, mass, fixed = [], [], [], np.zeros(zones)
    known = 0
    for owner, at, physical, online in parts:
        cells, first = np.unique(owner[physical > 0] * zones + at[physical > 0], return_inverse=True)
        renumbered = np.unique(cells // zones, return_inverse=True)[1]
        owners.append(known + renumbered)
        zone.append(cells % zones)
        mass.append(np.bincount(first, physical[physical > 0], minlength=len(cells)))
        fixed += online
        known += int(renumbered.max(initial=-1)) + 1
    total = fixed.sum() + sum(float(part.sum()) for part in mass)
    return Mix(np.concatenate(owners), np.concatenate(zone), np.concatenate(mass) / total, fixed / total)
