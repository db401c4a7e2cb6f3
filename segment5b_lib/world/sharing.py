"""Sharing out: whole numbers in proportion to weights, and things handed to whoever is least covered."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from segment5b_lib.arrays import F64, I64, Flags


def owner_slices(starts: I64) -> list[slice]:
    """Rows [starts[i], starts[i + 1]) of each owner, as slices."""
    return [slice(a, b) for a, b in pairwise(starts.tolist())]


def apportion(weights: F64, total: int, least: int = 0, most: I64 | None = None) -> I64:
    """Whole numbers in proportion to `weights` with an exact sum.

    Every entry gets `least`; the rest goes by largest remainder (ties to the lower index), never above
    `most`, whose overflow is shared out among the others. ValueError where `least` or `most` make `total` impossible.
    """
    limit = np.full(len(weights), total) if most is None else most.astype(np.int64)
    given: I64 = np.minimum(np.full(len(weights), least), limit)
    if not given.sum() <= total <= limit.sum():
        raise ValueError(f"cannot share {total} out over {len(weights)} entries")
    while (left := total - int(given.sum())) > 0:
        open_ = given < limit
        share = np.where(open_, weights, 0.0)
        share = share / share.max() if share.any() else open_.astype(np.float64)
        exact = share * (left / share.sum())
        whole = np.minimum(np.floor(exact).astype(np.int64), limit - given)
        given = given + whole
        remainder = np.where((given < limit) & (exact > 0), exact - np.floor(exact), -1.0)
        first = np.argsort(-remainder, kind="stable")[: left - int(whole.sum())]
        given[first[remainder[first] >= 0]] += 1
    return given


def least_covered(sizes: F64, demand: F64, allowed: Flags | None = None) -> I64:
    """Taker of each thing, in turn the one whose demand is least covered so far, of equals the first.

    Largest first covers best. `demand` may have any unit; `allowed` [thing, taker] must have a taker for each thing.
    """
    wanted = demand * (sizes.sum() / demand.sum())
    taker = np.empty(len(sizes), np.int64)
    for i, size in enumerate(sizes):
        taker[i] = np.argmax(wanted if allowed is None else np.where(allowed[i], wanted, -np.inf))
        wanted[taker[i]] -= size
    return taker
