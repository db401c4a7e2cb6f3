"""How counts scatter around their means: the standard deviation of Pearson residuals (N − μ)/√μ."""

from __future__ import annotations

import math


def pearson_dispersion(rows: float, residual: float, squared: float) -> float:
    """Standard deviation (ddof 1) of residuals from their moments: number of rows (at least 2), Σr, Σr²."""
    return math.sqrt((squared - residual**2 / rows) / (rows - 1))


def implied_dispersion(rows: float, relative_variance: float) -> float:
    """What the count law implies: the root of the mean of variance/μ, which is 1 for Poisson, 1 + μ/κ for NB2."""
    return math.sqrt(relative_variance / rows)
