"""From demand to destinations: the chance that an arrival of some demand lands in a zone, and is virtual.

A *routing unit* is demand that S4 routes alike: a series under `row_zone`, a merchant and UTC day under
`group_weights`.
A block holds routing units and the spans over which their chances hold: the whole horizon, or one day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.arrays import F64, I32, I64
from segment5b_lib.calibrate.demand import ExpectedDemand
from segment5b_lib.calibrate.tables import RoutingTables
from segment5b_lib.contract.policies import Policies, ZoneTilt
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.errors import InputError
from segment5b_lib.model.pools import MERCHANT_COUNTRY_ZONE, MERCHANT_ZONE, destination_zones
from segment5b_lib.model.zones import tilt_multipliers
from segment5b_lib.store.columns import word_codes


class Block(NamedTuple):
    """Routing units and the spans that their chances hold for.

    `to_zone` float64 [unit, zone] sums to 1; `virtual` float64 [unit]; `mean`, `excess` float64 [unit, span] as in
    `ExpectedDemand`; `span` int64, indices into the demand's spans.
    """

    to_zone: F64
    virtual: F64
    mean: F64
    excess: F64
    span: I64


@dataclass(frozen=True, eq=False)
class Destinations:
    """The merchants of a demand: where their virtual arrivals go, and how many are virtual.

    `merchant_of` int64 [series]; `starts` int64, first series of each merchant; `zone_of` int32 [series];
    `mode` their virtual mode; `edges` float64 [merchant, zone].
    """

    merchants: pl.DataFrame
    merchant_of: I64
    starts: I64
    zone_of: I32
    mode: NDArray[np.str_]
    edges: F64

    def virtual(self, hybrid_share: float) -> F64:
        """Chance that an arrival is virtual, float64 [merchant]."""
        shares: Final[Mapping[str, float]] = {VirtualMode.VIRTUAL_ONLY: 1.0, VirtualMode.HYBRID: hybrid_share}
        return np.array([shares.get(name, 0.0) for name in self.mode])


def destinations(demand: ExpectedDemand, tables: RoutingTables) -> Destinations:
    """Look the merchants of a demand up in the routing tables."""
    ids = demand.series["merchant_id"].to_numpy()
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    merchants = pl.DataFrame({"merchant_id": ids[starts]}).with_row_index("m")
    modes = merchants.join(tables.modes, on="merchant_id", how="left", maintain_order="left")["virtual_mode"]
    own = tables.edges.join(merchants, on="merchant_id", maintain_order="left")
    edges = np.zeros((len(starts), len(tables.zones)))
    edges[own["m"].to_numpy(), word_codes(own["tzid"], tables.zones)] = own["share"].to_numpy()
    return Destinations(
        merchants=merchants,
        merchant_of=np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(ids)))),
        starts=starts.astype(np.int64),
        zone_of=word_codes(demand.series["zone_representation"], tables.zones),
        mode=modes.to_numpy().astype(str),
        edges=edges,
    )


def blocks(demand: ExpectedDemand, tables: RoutingTables, policies: Policies) -> Iterator[Block]:
    """The demand under some policies: zone mix applied, every routing unit with its destinations.

    The caps of S2 on λ and of S3 on counts are applied without the mix, or not at all: no shipped world meets them.
    """
    places = destinations(demand, tables)
    tilt = tilt_multipliers(demand.series, demand.surface, policies.lgcp.zone_mix)[:, None]
    mean, excess = demand.mean * tilt, demand.excess * tilt**2
    virtual = places.virtual(policies.routing.hybrid_policy.p_virtual_hybrid)
    redirect = policies.routing.fail_closed_rules.site_missing_in_zone == "anomaly"
    if policies.routing.bound_to_row:
        own = virtual[places.merchant_of]
        to_zone = own[:, None] * places.edges[places.merchant_of]
        zone = (
            _destination(demand.series.rename({"zone_representation": "tzid"}), MERCHANT_COUNTRY_ZONE, tables)
            if redirect
            else places.zone_of
        )
        to_zone[np.arange(len(own)), zone] += 1.0 - own
        yield Block(to_zone, own, mean, excess, np.arange(len(demand.day)))
        return
    weights = _zone_weights(demand, tables, places, policies.routing.concentration_temper, redirect=redirect)
    for day in range(len(demand.days)):
        span = np.flatnonzero(demand.day == day)
        of_day = np.add.reduceat(mean[:, span], places.starts), np.add.reduceat(excess[:, span], places.starts)
        physical = weights.of_day(day)
        _refuse_missing(places, demand.days[day], (of_day[0].sum(axis=1) > 0) & (virtual < 1), physical)
        to_zone = virtual[:, None] * places.edges + (1.0 - virtual)[:, None] * physical
        yield Block(to_zone, virtual, *of_day, span)


def _destination(wanted: pl.DataFrame, key: list[str], tables: RoutingTables) -> I32:
    return word_codes(destination_zones(wanted, key, tables.sites), tables.zones)


class _ZoneWeights(NamedTuple):
    """2B's weights in day order: rows [starts[d], starts[d + 1]) are of day d."""

    starts: I64
    m: I64
    z: I32
    weight: F64
    shape: tuple[int, int]

    def of_day(self, day: int) -> F64:
        """Shares float64 [merchant, zone] that sum to 1, or to 0 where there is no weight."""
        own, shares = slice(self.starts[day], self.starts[day + 1]), np.zeros(self.shape)
        np.add.at(shares, (self.m[own], self.z[own]), self.weight[own])
        total = shares.sum(axis=1, keepdims=True)
        np.divide(shares, total, out=shares, where=total > 0)
        return shares


def _zone_weights(
    demand: ExpectedDemand, tables: RoutingTables, places: Destinations, temper: ZoneTilt, *, redirect: bool
) -> _ZoneWeights:
    of_horizon = tables.group_weights.filter(pl.col("utc_day").is_in(demand.days))
    rows = of_horizon.join(places.merchants, on="merchant_id", how="inner", maintain_order="left")
    zone = word_codes(rows["tzid"], tables.zones)
    weight = rows["p_group"].to_numpy() * np.exp(-temper.eta * scores(temper, tables.zones))[zone]
    destination = _destination(rows, MERCHANT_ZONE, tables) if redirect else zone
    d, m = word_codes(rows["utc_day"], demand.days), rows["m"].cast(pl.Int64).to_numpy()
    order = np.argsort(d, kind="stable")
    starts = np.searchsorted(d[order], np.arange(len(demand.days) + 1)).astype(np.int64)
    shape = places.edges.shape[0], places.edges.shape[1]
    return _ZoneWeights(starts, m[order], destination[order], weight[order], shape)


def scores(tilt: ZoneTilt, zones: tuple[str, ...]) -> F64:
    """The tilt's score of each zone; 0 where it names none."""
    return np.array([tilt.scores.get(name, 0.0) for name in zones])


def _refuse_missing(places: Destinations, day: str, needed: NDArray[np.bool_], physical: F64) -> None:
    without = needed & (physical.sum(axis=1) == 0)
    if without.any():
        raise InputError(
            "5B.CALIBRATE.GROUP_WEIGHTS_MISSING",
            "a merchant expects physical arrivals on a day without zone weights",
            where=f"s4_group_weights, key ({places.merchants['merchant_id'][int(np.argmax(without))]}, {day})",
            expected="rows with a positive p_group",
            found=f"none, for {int(without.sum())} merchants",
            next_step="segment 2B must publish again; or rebuild the world",
        )
