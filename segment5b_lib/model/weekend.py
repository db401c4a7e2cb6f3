"""The weekend share of arrivals against that of their intensities, and whether the data can tell the two apart."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

STANDARD_ERRORS: Final = 4
"""So many standard errors of the observed share are noise."""


class WeekendDifference(NamedTuple):
    """A difference of two shares.

    Attributes
    ----------
    value_pp : |observed − expected|, percentage points
    noise_pp : STANDARD_ERRORS standard errors of the observed share, percentage points
    arrivals_needed : about how many arrivals it takes to decide; None where the data decide
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
    """The difference, and its power: noise above the limit hides a difference that does not stand out of both.

    Parameters
    ----------
    observed, expected : shares, 0..1
    noise_pp : see `WeekendDifference`
    arrivals : how many the observed share is of
    limit_pp : the upper bound that the difference is held against; None where there is none. A bound of 0 is
        decided whatever the noise, since no number of arrivals would resolve it
    """
    value = 100 * abs(observed - expected)
    if not limit_pp or noise_pp <= limit_pp or value > limit_pp + noise_pp:
        return WeekendDifference(value, noise_pp, None)
    return WeekendDifference(value, noise_pp, math.ceil(arrivals * (noise_pp / limit_pp) ** 2))
