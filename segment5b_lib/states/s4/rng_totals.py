"""How many random blocks S4 draws per family: a function of counts, modes and virtual rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment5b_lib.kernel.arrival_tables import VIRTUAL
from segment5b_lib.kernel.streams import ARRIVAL_EDGE_PICK, ARRIVAL_SITE_PICK, ARRIVAL_TIME, FAMILIES
from segment5b_lib.states.s4.expansion import Expansion, ShardResult


def rng_totals(expansion: Expansion, results: Sequence[ShardResult]) -> list[dict[str, Any]]:
    """One row per family: events, blocks, draws, and the first and last domain in series order that drew.

    One time block per arrival; one site block per arrival of a merchant that is not only virtual (also where
    its coin says virtual); one edge block per virtual arrival.
    """
    arrivals = expansion.counts.of_series
    merchants = expansion.scenario.tables.merchants
    owner = np.repeat(np.arange(len(merchants.mode)), np.diff(merchants.first_series))
    picked = np.where(merchants.mode[owner] == VIRTUAL, 0, arrivals)
    blocks = {
        ARRIVAL_TIME: arrivals,
        ARRIVAL_SITE_PICK: picked,
        ARRIVAL_EDGE_PICK: _virtual_arrivals(expansion, results),
    }
    keys = expansion.domain.keys()
    return [_total(expansion.domain.scenario_id, family, drawn, keys) for family, drawn in blocks.items()]


def _virtual_arrivals(expansion: Expansion, results: Sequence[ShardResult]) -> NDArray[np.int64]:
    virtual = np.zeros(len(expansion.domain), np.int64)
    for result in results:
        first, stop = expansion.series_range(result.shard)
        virtual[first:stop] += result.virtual
    return virtual


def _total(
    scenario_id: str, family: str, drawn: NDArray[np.int64], keys: Sequence[tuple[str | int, ...]]
) -> dict[str, Any]:
    blocks, drew = int(drawn.sum()), np.flatnonzero(drawn)
    return {
        "scenario_id": scenario_id,
        "family": family,
        "events": blocks,
        "blocks": blocks,
        "draws": blocks * len(FAMILIES[family].lanes),
        "first_domain": _name(keys[drew[0]]) if drew.size else None,
        "last_domain": _name(keys[drew[-1]]) if drew.size else None,
    }


def _name(key: tuple[str | int, ...]) -> str:
    return "|".join(map(str, key))
