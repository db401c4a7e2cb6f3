import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from segment5b_lib.errors import InputError
from segment5b_lib.kernel import counts
from segment5b_lib.kernel.counts import draw_counts, log_pmf, nb2_inverse, poisson_inverse, tail_sum
from segment5b_lib.kernel.streams import BUCKET_COUNT, stream_key
from tests.kernel.witness import ROOT, SCENARIO, SEED, SERIES, read

POISSON = math.inf
"""κ of the Poisson law: NB2 with α = 1/κ = 0."""
MEANS = (1e-6, 1e-3, 0.3, 1.0, 7.5, 30.0, 100.0, 255.9, 256.1, 1000.0, 10_000.0)
KAPPAS = (2.0, 2.5, 12.0, 30.0, 77.7, 200.0, POISSON)
GRID_STEP = 2.0**-52

KEY = stream_key(BUCKET_COUNT, ROOT, SEED, SCENARIO, *SERIES)


def law(mu, kappa):
    return stats.poisson(mu) if kappa == POISSON else stats.nbinom(kappa, 1 / (1 + mu / kappa))


@njit
def inverse_all(u, mu, alpha, out):
    for i in range(u.size):
        out[i] = counts._inverse(u[i], mu, alpha)


def inverse(u, mu, kappa):
    out = np.empty(u.size, dtype=np.int64)
    inverse_all(u, mu, 1 / kappa, out)
    return out


def walk(start, stop, mu, alpha):
    """Terms p(start), …, p(stop), each from the one before, as the kernel walks."""
    odds = mu / (1 + alpha * mu)
    first = math.exp(log_pmf(start, mu, alpha))
    step, combine = (1, np.multiply) if stop >= start else (-1, np.divide)
    below = np.arange(start, stop, step) - (step < 0)
    return combine.accumulate(np.array([first, *(counts.ratio(k, odds, alpha) for k in below.tolist())]))


def boundaries(mu, kappa, high):
    """The kernel's own F(0 … high): its starts and its order of additions, chosen as its draws choose."""
    alpha = 1 / kappa
    low = counts.lower_edge(mu, alpha)
    cdf = np.concatenate([np.zeros(low), np.add.accumulate(walk(low, high, mu, alpha))])
    if mu > counts.WALK_FROM_MODE:
        mode = max(0, int(mu * (1 - alpha)))
        above, below = walk(mode, high, mu, alpha), walk(mode, low, mu, alpha)
        above[0] = 1 - walk(mode, mode + 1, mu, alpha)[1] * tail_sum(mode, mu, alpha)
        middle = np.concatenate(
            [
                np.zeros(low),
                np.subtract.accumulate(np.array([above[0], *below[:-1]]))[:0:-1],
                np.add.accumulate(above),
            ]
        )
        cdf = np.where(cdf <= counts.TAIL, cdf, middle)
    survival = np.add.accumulate(walk(counts.upper_edge(mu, alpha), 1, mu, alpha))[::-1][: high + 1]
    return np.where(survival <= counts.TAIL, 1 - survival, cdf)


def check_total_variation(mu, kappa):
    known = law(mu, kappa)
    high = int(known.isf(1e-12)) + 1
    edges = boundaries(mu, kappa, high)
    distance = 0.5 * np.abs(np.diff(edges, prepend=0.0) - known.pmf(np.arange(high + 1))).sum()
    assert distance + known.sf(high) <= 1e-9
    # They are the kernel's own boundaries: draws on either side of one differ as it says.
    inside = np.flatnonzero((edges > 1e-13) & (edges < 1 - 1e-13))
    sample = inside[:: max(1, inside.size // 200)]
    u = (np.floor(edges[sample] / GRID_STEP) + 0.5) * GRID_STEP
    assert (inverse(u - 2 * GRID_STEP, mu, kappa) <= sample).all()
    assert (inverse(u + 2 * GRID_STEP, mu, kappa) > sample).all()


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("mu", MEANS)
def test_total_variation_to_scipy(mu, kappa):
    check_total_variation(mu, kappa)


@pytest.mark.parametrize("kappa", [2.0, 30.0, 200.0, POISSON])
def test_total_variation_to_scipy_at_the_largest_mean(kappa):
    check_total_variation(50_000.0, kappa)


def test_total_variation_to_scipy_all_over_the_ranges():
    """Means and dispersions that nobody chose: log-uniform over [1e-6, 50,000] and [2, 200]."""
    rng = np.random.default_rng(17)
    for mu, kappa, poisson in zip(
        np.exp(rng.uniform(math.log(1e-6), math.log(50_000), 120)),
        np.exp(rng.uniform(math.log(2), math.log(200), 120)),
        rng.random(120) < 0.2,
        strict=True,
    ):
        check_total_variation(mu, POISSON if poisson else kappa)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("mu", [*MEANS, 50_000.0, 200_000.0])
def test_quantiles_hold_to_the_last_uniform_of_both_tails(mu, kappa):
    tails = np.array([2.0**-53, 1e-14, 1e-9, 0.999 * counts.TAIL, 1.001 * counts.TAIL, 0.3])
    tails = (np.floor(tails / GRID_STEP) + 0.5) * GRID_STEP
    slack = np.where(tails <= counts.TAIL, 1e-8 * tails, 1e-9)
    known = law(mu, kappa)
    k = inverse(tails, mu, kappa)
    assert (known.cdf(k) >= tails - slack).all()
    assert ((known.cdf(k - 1) < tails + slack) | (k == 0)).all()
    k = inverse(1 - tails, mu, kappa)
    assert (known.sf(k) <= tails + slack).all()
    assert (known.sf(k - 1) > tails - slack).all()


@given(
    st.integers(0, 2**52 - 1),
    st.floats(math.log(1e-6), math.log(50_000)).map(math.exp),
    st.one_of(st.floats(2, 200), st.just(POISSON)),
)
def test_draw_is_the_smallest_count_whose_cdf_reaches_u(step, mu, kappa):
    u = (step + 0.5) * GRID_STEP
    k = poisson_inverse(u, mu) if kappa == POISSON else nb2_inverse(u, mu, kappa)
    known = law(mu, kappa)
    assert known.cdf(k) >= u - 1e-9
    assert k == 0 or known.cdf(k - 1) < u + 1e-9


@given(
    st.lists(st.integers(0, 2**52 - 1), min_size=2, max_size=50).map(sorted),
    st.floats(1e-6, 5_000),
    st.floats(2, 200),
)
def test_counts_rise_with_u(steps, mu, kappa):
    k = inverse((np.array(steps) + 0.5) * GRID_STEP, mu, kappa)
    assert (np.diff(k) >= 0).all()


@pytest.mark.parametrize("kappa", [1.0, 2.0, 33.3, 200.0, 10_000.0, POISSON])
@pytest.mark.parametrize("mu", [256.5, 5_000.0, 200_000.0])
def test_tail_sum_at_the_mode(mu, kappa):
    mode = max(0, int(mu * (1 - 1 / kappa)))
    survival = tail_sum(mode, mu, 1 / kappa) * math.exp(log_pmf(mode + 1, mu, 1 / kappa))
    assert survival == pytest.approx(law(mu, kappa).sf(mode), rel=2e-8)


def draw(mu, kappa=30.0, *, name="nb2", cap=50_000, mu_floor=1e-9, first_bucket=0, key=KEY):
    mu = np.atleast_2d(np.asarray(mu, dtype=np.float64))
    return draw_counts(
        np.array([key] * len(mu), dtype=np.uint64),
        mu,
        np.full(len(mu), kappa),
        law=name,
        mu_floor=mu_floor,
        cap=cap,
        first_bucket=first_bucket,
    )


@pytest.mark.parametrize("row", [row for row in read("draws.txt") if row[0] == "count"])
def test_pinned_draws(row):
    _, mu, kappa, *expected = row
    known = {"name": "poisson"} if kappa == "poisson" else {"kappa": float(kappa)}
    found, capped = draw(np.full(len(expected), float(mu)), **known)
    assert found.tolist() == [[int(k) for k in expected]]
    assert found.dtype == np.int32 and not capped.any()


@pytest.mark.parametrize(
    ("mu", "kappa", "name"),
    [(2.0, 2.0, "nb2"), (30.0, 12.0, "nb2"), (300.0, 200.0, "nb2"), (30.0, 1.0, "poisson")],
)
def test_draws_have_the_laws_distribution(mu, kappa, name):
    found, _ = draw(np.full(100_000, mu), kappa, name=name)
    known = law(mu, POISSON if name == "poisson" else kappa)
    edges = np.unique(known.ppf(np.linspace(0, 1, 60)[1:-1]).astype(int))
    observed = np.histogram(found, bins=[-0.5, *(edges + 0.5), np.inf])[0]
    expected = np.diff(known.cdf(edges), prepend=0.0, append=1.0) * found.size
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_no_intensity_is_never_an_arrival():
    mu = np.zeros((3, 5_000))
    mu[1] = 1e-9
    found, capped = draw(mu)
    assert not found.any() and not capped.any()
    assert not draw(np.full(100, 50.0), mu_floor=50.0)[0].any()
    assert draw(np.full(100, 50.0), mu_floor=49.9)[0].all()


def test_a_zero_does_not_shift_the_draws_of_its_neighbours():
    mu = np.full(200, 20.0)
    full, _ = draw(mu)
    mu[::3] = 0.0
    holes, _ = draw(mu)
    assert not holes[0, ::3].any()
    assert (np.delete(holes, np.s_[::3]) == np.delete(full, np.s_[::3])).all()


def test_cap_cuts_and_says_so():
    mu = np.full(500, 30.0)
    free, _ = draw(mu)
    cut, capped = draw(mu, cap=30)
    assert (cut == np.minimum(free, 30)).all()
    assert (capped == (free > 30)).all() and capped.any()


def test_any_row_and_bucket_can_be_drawn_alone_and_on_any_thread():
    rng = np.random.default_rng(3)
    keys = rng.integers(0, 2**64, 40, dtype=np.uint64)
    mu, kappa = rng.gamma(0.3, 100, (40, 300)), rng.uniform(2, 200, 40)
    settings = {"law": "nb2", "mu_floor": 1e-9, "cap": 50_000}
    whole, _ = draw_counts(keys, mu, kappa, **settings)

    def part(row):
        rows = slice(row, row + 1)
        tail = np.ascontiguousarray(mu[rows, 100:])
        return draw_counts(keys[rows], tail, kappa[rows], first_bucket=100, **settings)[0]

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(part, range(40)))
    assert (np.concatenate(parts) == whole[:, 100:]).all()


def test_empty_slices():
    found, capped = draw_counts(np.empty(0, np.uint64), np.empty((0, 7)), np.empty(0), law="nb2", mu_floor=0.0, cap=1)
    assert found.shape == capped.shape == (0, 7)


GOOD = {
    "keys": np.zeros(2, np.uint64),
    "mu": np.ones((2, 3)),
    "kappa": np.full(2, 30.0),
    "law": "nb2",
    "mu_floor": 1e-9,
    "cap": 50_000,
    "first_bucket": 0,
}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("keys", np.zeros(2, np.int64), "5B.KERNEL.ARRAY"),
        ("keys", np.zeros(3, np.uint64), "5B.KERNEL.ARRAY"),
        ("mu", np.ones((2, 3), np.float32), "5B.KERNEL.ARRAY"),
        ("mu", np.ones((3, 2)).T, "5B.KERNEL.ARRAY"),
        ("mu", np.ones(6), "5B.KERNEL.ARRAY"),
        ("mu", np.full((2, 3), -1e-12), "5B.KERNEL.RANGE"),
        ("mu", np.full((2, 3), np.nan), "5B.KERNEL.RANGE"),
        ("mu", np.full((2, 3), 200_000.1), "5B.KERNEL.RANGE"),
        ("kappa", np.full(2, 0.99), "5B.KERNEL.RANGE"),
        ("kappa", np.full(2, np.inf), "5B.KERNEL.RANGE"),
        ("kappa", np.full(3, 30.0), "5B.KERNEL.ARRAY"),
        ("law", "normal", "5B.KERNEL.COUNT_LAW"),
        ("mu_floor", -1.0, "5B.KERNEL.RANGE"),
        ("cap", 2**31, "5B.KERNEL.RANGE"),
        ("first_bucket", -1, "5B.KERNEL.RANGE"),
    ],
)
def test_bad_input(name, value, code):
    with pytest.raises(InputError) as caught:
        draw_counts(**{**GOOD, name: value})
    assert caught.value.code == code
