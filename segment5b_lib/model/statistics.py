"""Statistics that S5 and the gates share: top share (T6), weekend difference (T8) and dispersion of counts (T9)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

TOP_ZONES: Final = 10
"""Number of the largest zones that T6 adds up (plan §3.1)."""
STANDARD_ERRORS: Final = 4
"""A weekend difference of up to this many standard errors of the observed share is noise."""


def top_share(counts: Iterable[int], k: int = TOP_ZONES) -> float | None:
    """Share of the whole that the `k` largest counts hold; None if nothing is counted.

    Examples
    --------
    >>> top_share([6, 1, 3], k=2)
    0.9
    """
    ordered = sorted(counts, reverse=True)
    total = sum(ordered)
    return sum(ordered[:k]) / total if total else None


class WeekendDifference(NamedTuple):
    """A difference of two shares.

    Attributes
    ----------
    value_pp : |observed − expected|, percentage points
    noise_pp : STANDARD_ERRORS standard errors of the observed share, percentage points
    arrivals_needed : approximate number of arrivals that it takes to decide; None if the data decide
    """

    value_pp: float
    noise_pp: float
    arrivals_needed: int | None


def weekend_noise_pp(variance: float, mean: float) -> float:
    """The noise of a ratio of sums, percentage points.

    Parameters
    ----------
    variance : of the sum of (weekend share of the bucket − expected share) over arrivals, by the count law
    mean : expected number of arrivals, above 0
    """
    return 100 * STANDARD_ERRORS * math.sqrt(max(variance, 0.0)) / mean


def weekend_difference(
    observed: float, expected: float, noise_pp: float, arrivals: int, limit_pp: float | None
) -> WeekendDifference:
    """The difference and its power: noise above the limit hides a difference that does not exceed their sum.

    Parameters
    ----------
    observed, expected : shares, 0..1
    noise_pp : see `WeekendDifference`
    arrivals : number of arrivals in the observed share
    limit_pp : upper bound of the difference; None if there is none. A bound of 0 is decided regardless of the noise,
        since no number of arrivals would resolve it
    """
    value = 100 * abs(observed - expected)
    if not limit_pp or noise_pp <= limit_pp or value > limit_pp + noise_pp:
        return WeekendDifference(value, noise_pp, None)
    return WeekendDifference(value, noise_pp, math.ceil(arrivals * (noise_pp / limit_pp) ** 2))


def pearson_dispersion(rows: float, residual: float, squared: float) -> float:
    """Standard deviation (ddof 1) of Pearson residuals r = (N − μ)/√μ: number of rows (at least 2), Σr, Σr²."""
    return math.sqrt((squared - residual**2 / rows) / (rows - 1))


def implied_dispersion(rows: float, relative_variance: float) -> float:
    """The value that the count law implies: root of the mean of variance/μ, which is 1 for Poisson, 1 + μ/κ for NB2."""
    return math.sqrt(relative_variance / rows)
