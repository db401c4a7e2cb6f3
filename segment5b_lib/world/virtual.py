"""Segment 3B: which merchants are served online, where they settle, and their edges around the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from segment5b_lib.arrays import F64, I64, U32, U64
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.identity import edge_id
from segment5b_lib.kernel.alias import GRID, build_alias_slices
from segment5b_lib.world.cells import Cells
from segment5b_lib.world.merchants import PlannedMerchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.sites import gridded
from segment5b_lib.world.spec import Category, ChannelRule, WorldSpec


@dataclass(frozen=True, eq=False)
class PlannedEdges:
    """Online edges in ascending (merchant, edge id).

    `merchant`, `place` and `cell` index PlannedMerchants, the cells' places, and Cells; `seq` counts 0..n-1 within the
    merchant, in the order of making. Weights are whole multiples of 2^-24 that sum to exactly 1 over a merchant. The
    n-th merchant with edges owns [starts[n], starts[n + 1]).
    """

    merchant: I64
    edge_id: U64
    seq: I64
    place: I64
    cell: I64
    weight: F64
    starts: I64

    def alias_tables(self) -> tuple[U32, U32]:
        """Alias rows of every merchant's edges, in edge order."""
        if len(self.weight) == 0:
            return np.empty(0, np.uint32), np.empty(0, np.uint32)
        return build_alias_slices(self.weight, self.starts)


def serving_rules(spec: WorldSpec, merchants: PlannedMerchants) -> tuple[ChannelRule, ...]:
    """The rule that decides about each merchant: the first that fits its category and channel."""

    def fits(rule: ChannelRule, entry: Category) -> bool:
        fits_category = rule.mccs == "any" or entry.mcc in rule.mccs
        return fits_category and (rule.channel_groups == "any" or entry.channel_group in rule.channel_groups)

    rules = spec.upstream.s3B.rules
    return tuple(next(rule for rule in rules if fits(rule, entry)) for entry in merchants.category)


def build_edges(
    spec: WorldSpec, cells: Cells, merchants: PlannedMerchants, rules: tuple[ChannelRule, ...], randomness: Randomness
) -> PlannedEdges:
    """Edges of every merchant that is served online, at real cities, more of them on the home continent."""
    served = np.array([m for m, rule in enumerate(rules) if rule.mode != VirtualMode.NON_VIRTUAL], np.int64)
    nobody = _Drawn(np.empty(0, np.uint64), *(np.empty(0, np.int64),) * 3, np.empty(0))
    drawn = [nobody, *(_draw_edges(spec, cells, merchants, int(m), randomness) for m in served)]
    joined = _Drawn(*(np.concatenate(column) for column in zip(*drawn, strict=True)))
    starts = np.arange(len(served) + 1) * spec.edges.per_merchant
    masses, _ = gridded(joined.raw, starts)
    owner = np.repeat(served, spec.edges.per_merchant)
    return PlannedEdges(owner, joined.edge_id, joined.seq, joined.place, joined.cell, masses / GRID, starts)


class _Drawn(NamedTuple):
    """Edges of one merchant, in ascending edge id; `raw` are weights in any unit."""

    edge_id: U64
    seq: I64
    place: I64
    cell: I64
    raw: F64


def _draw_edges(spec: WorldSpec, cells: Cells, merchants: PlannedMerchants, m: int, randomness: Randomness) -> _Drawn:
    law, count, merchant = spec.edges, spec.edges.per_merchant, int(merchants.ids[m])
    generator = randomness.generator("edges", merchant)
    continent = np.array(cells.continent)
    near = continent == continent[merchants.home[m]]
    running = np.cumsum(cells.demand * np.where(near, law.home_continent_pull, 1.0))
    cell = np.searchsorted(running, generator.random(count) * running[-1], side="right")
    cell = np.minimum(cell, len(cells) - 1)
    place = cells.pick_places(cell, generator.random(count), law.city_population_exponent)
    noise = np.exp(law.weight_sigma * generator.standard_normal(count))
    raw = cells.places.population[place].astype(np.float64) ** law.weight_population_exponent * noise
    ids = np.array([edge_id(merchant, seq) for seq in range(count)], np.uint64)
    order = np.argsort(ids, kind="stable")
    return _Drawn(ids[order], order, place[order], cell[order], raw[order])
