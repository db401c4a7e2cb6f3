"""Sums over drawn counts against numpy, and their refusals."""

import numpy as np
import pytest

from segment5b_lib.errors import InputError
from segment5b_lib.kernel.drawn_sums import NOTHING_DRAWN, DrawnSums, drawn_sums

BUCKETS, SERIES, EPS = 24, 40, 1e-9


def rows(nb2=True):
    rng = np.random.default_rng(2)
    mu = np.where(rng.random(SERIES * BUCKETS) < 0.3, EPS, rng.gamma(0.5, 6, SERIES * BUCKETS))
    over_kappa = 1 / rng.uniform(2, 30, SERIES) if nb2 else np.zeros(SERIES)
    return mu, rng.poisson(mu).astype(np.int32), over_kappa, rng.integers(0, 3, SERIES), rng.random((3, BUCKETS))


def witness(mu, count, over_kappa, zone_of, weekend):
    """The same sums, each over whole columns."""
    series, bucket = np.arange(mu.size) // BUCKETS, np.arange(mu.size) % BUCKETS
    on = mu > EPS
    m, n, w = mu[on], count[on].astype(float), weekend[zone_of[series], bucket][on]
    r, v = (n - m) / np.sqrt(m), m + m**2 * over_kappa[series][on]
    terms = (np.ones(m.size), r, r**2, v / m, m, m * w, n, n * w, v, v * w, v * w**2)
    return DrawnSums(*(term.sum() for term in terms))


@pytest.mark.parametrize("nb2", [True, False])
def test_every_sum_is_that_over_whole_columns(nb2):
    given = rows(nb2)
    found = drawn_sums(*given, EPS)
    np.testing.assert_allclose(found, witness(*given), rtol=1e-12)
    assert found.rows == int((given[0] > EPS).sum()) < given[0].size


def test_a_mean_that_is_not_drawn_or_not_a_number_adds_nothing():
    mu, count, *rest = rows()
    mu[:BUCKETS] = np.tile([EPS, 0.0, np.nan], BUCKETS // 3)
    count[:BUCKETS] = 7
    kept = mu > EPS
    assert drawn_sums(mu, count, *rest, EPS).arrivals == count[kept].sum()


def test_two_halves_add_up():
    mu, count, over_kappa, zone_of, weekend = rows()
    cut, halves = SERIES // 2, NOTHING_DRAWN
    for series in (slice(None, cut), slice(cut, None)):
        part = slice(series.start and cut * BUCKETS, series.stop and cut * BUCKETS)
        halves = halves.plus(drawn_sums(mu[part], count[part], over_kappa[series], zone_of[series], weekend, EPS))
    np.testing.assert_allclose(halves, drawn_sums(mu, count, over_kappa, zone_of, weekend, EPS), rtol=1e-12)


@pytest.mark.parametrize("position", range(5))
def test_wrong_arrays_are_refused(position):
    given = list(rows())
    given[position] = given[position][:-1].astype(np.float32)
    with pytest.raises(InputError) as refused:
        drawn_sums(*given, EPS)
    assert refused.value.code == "5B.KERNEL.ARRAY"
