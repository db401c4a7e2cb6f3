"""Segment 2B, static part: how a merchant's physical trade is spread over its sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segment5b_lib.kernel.alias import GRID, GRID_BITS, quantise
from segment5b_lib.world.blocks import blocks
from segment5b_lib.world.cells import Cells
from segment5b_lib.world.footprint import Series
from segment5b_lib.world.merchants import Merchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.sharing import Floats, Ints
from segment5b_lib.world.sites import Sites
from segment5b_lib.world.spec import WorldSpec

QUANTISED_BITS = GRID_BITS
"""Weights are whole multiples of 2^-24, so that they sum to exactly 1 and an alias table decodes to them."""


@dataclass(frozen=True, eq=False)
class SiteWeights:
    """Routing weights of sites.

    Attributes
    ----------
    weight : ndarray(float64, ndim=1), one per site, sums to exactly 1 over a merchant
    floored : ndarray(bool, ndim=1), lifted to one grid step so that the site can be picked at all
    series_share : ndarray(float64, ndim=1), one per series, the sum over its sites
    starts : ndarray(int64, ndim=1), merchant `m` owns sites [starts[m], starts[m + 1])
    """

    weight: Floats
    floored: npt.NDArray[np.bool_]
    series_share: Floats
    starts: Ints


def build_site_weights(
    spec: WorldSpec,
    cells: Cells,
    merchants: Merchants,
    series: Series,
    sites: Sites,
    randomness: Randomness,
) -> SiteWeights:
    """A site trades more where demand is and where its merchant is at home; luck of cell and of site."""
    law = spec.site_weights
    luck = randomness.normals("cell_weights", merchants.ids, np.diff(series.starts))
    pull = cells.demand[series.cell] ** law.cell_demand_exponent * np.exp(law.cell_sigma * luck)
    pull = np.where(series.cell == merchants.home[series.merchant], law.home_pull, 1.0) * pull
    starts = np.searchsorted(series.merchant[sites.series], np.arange(len(merchants) + 1))
    luck = randomness.normals("site_weights", merchants.ids, np.diff(starts))
    raw = pull[sites.series] * np.exp(law.site_sigma * luck)
    masses, floored = gridded(raw, starts)
    weight = masses / GRID
    share: Floats = np.bincount(sites.series, weights=weight).astype(np.float64)
    return SiteWeights(weight, floored, share, starts)


def gridded(raw: Floats, starts: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Masses that sum to 2^24 in each block, at least 1 everywhere; which were lifted to that 1.

    What the lifted ones need is taken from the block's largest mass.
    """
    masses = np.concatenate([np.empty(0, np.int64), *(quantise(raw[own]) for own in blocks(starts))])
    floored = masses == 0
    for own in blocks(starts):
        if floored[own].any():
            largest = own.start + int(np.argmax(masses[own]))
            masses[own][floored[own]] = 1
            masses[largest] -= int(floored[own].sum())
    return masses, floored
