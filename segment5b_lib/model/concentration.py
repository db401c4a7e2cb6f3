"""Concentration of arrivals on few time zones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

TOP_ZONES: Final = 10
"""How many of the largest zones T6 adds up (plan §3.1)."""


def top_share(counts: Iterable[int], k: int = TOP_ZONES) -> float | None:
    """Share of the whole that the `k` largest counts hold; None where nothing is counted.

    Examples
    --------
    >>> top_share([6, 1, 3], k=2)
    0.9
    """
    ordered = sorted(counts, reverse=True)
    total = sum(ordered)
    return sum(ordered[:k]) / total if total else None
