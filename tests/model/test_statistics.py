"""The statistics that S5 and the gates share: top share, weekend difference with its power, dispersion."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from segment5b_lib.model.statistics import (
    STANDARD_ERRORS,
    TOP_ZONES,
    implied_dispersion,
    pearson_dispersion,
    top_share,
    weekend_difference,
    weekend_noise_pp,
)


def test_the_top_share_is_of_the_largest_whatever_their_order() -> None:
    assert top_share([1, 6, 3], k=2) == 0.9
    assert top_share(range(1, 21)) == sum(range(11, 21)) / sum(range(1, 21))
    assert top_share([5] * 3) == 1.0
    assert TOP_ZONES == 10


def test_nothing_counted_has_no_top_share() -> None:
    assert top_share([]) is None
    assert top_share([0, 0]) is None


@pytest.mark.parametrize(
    ("observed", "noise", "limit", "needed"),
    [
        (0.2810, 0.19, 0.2, None),  # noise within the limit: it decides
        (0.2810, 0.20, 0.2, None),
        (0.2810, 0.40, 0.2, 4000),  # too noisy, and the difference does not stand out
        (0.2859, 0.40, 0.2, 4000),
        (0.2861, 0.40, 0.2, None),  # above limit and noise together: it fails all the same
        (0.2810, 0.40, None, None),
        (0.2810, 0.40, 0.0, None),
    ],
)
def test_noise_above_the_limit_has_no_power_unless_the_difference_stands_out(
    observed: float, noise: float, limit: float | None, needed: int | None
) -> None:
    found = weekend_difference(observed, 0.28, noise, 1000, limit)
    assert found.value_pp == pytest.approx(100 * (observed - 0.28))
    assert found.noise_pp == noise
    assert found.arrivals_needed == needed


def test_the_weekend_noise_is_four_standard_errors() -> None:
    assert weekend_noise_pp(9.0, 300.0) == 100 * STANDARD_ERRORS * 3.0 / 300.0
    assert weekend_noise_pp(-1e-18, 300.0) == 0.0


def test_dispersion_from_moments_is_the_standard_deviation() -> None:
    residuals = np.random.default_rng(7).normal(0.1, 1.3, 1000)
    found = pearson_dispersion(residuals.size, residuals.sum(), (residuals**2).sum())
    assert found == pytest.approx(statistics.stdev(residuals.tolist()))


def test_the_law_implies_one_for_poisson_and_more_for_nb2() -> None:
    mu, kappa = np.array([1.0, 4.0, 9.0]), 2.0
    assert implied_dispersion(3, 3.0) == 1.0
    assert implied_dispersion(3, float((1 + mu / kappa).sum())) == math.sqrt(1 + float(mu.mean()) / kappa)
