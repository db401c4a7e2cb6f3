"""Blocks: rows of one owner lie together, and `starts` says where each owner's begin."""

from __future__ import annotations

from itertools import pairwise

from segment5b_lib.world.sharing import Ints


def blocks(starts: Ints) -> list[slice]:
    """Rows [starts[i], starts[i + 1]) of each owner, as slices."""
    return [slice(a, b) for a, b in pairwise(starts.tolist())]
