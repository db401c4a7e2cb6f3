import math

import numpy as np
import pytest
from scipy import stats

from segment5b_lib.errors import InputError
from segment5b_lib.kernel.latent import IID, LATENT_MODES, NONE, OU, latent_field, normal
from segment5b_lib.kernel.streams import LATENT_VECTOR, stream_key
from tests.kernel import witness
from tests.kernel.witness import GROUP, ROOT, SCENARIO, SEED, read

CLIP = (0.2, 5.0)
RNG = np.random.default_rng(5)
KEYS = RNG.integers(0, 2**64, 400, dtype=np.uint64)
SIGMA = RNG.uniform(0.05, 1.2, 400)
LENGTH = RNG.uniform(2, 168, 400)


def field(mode=OU, *, groups=slice(None), buckets=500, sigma=SIGMA, clip=CLIP):
    return latent_field(KEYS[groups], sigma[groups], LENGTH[groups], buckets=buckets, mode=mode, clip=clip)


def test_pinned_draws():
    (row,) = (row for row in read("draws.txt") if row[0] == "latent")
    sigma, length, *expected = map(float, row[1:])
    key = np.array([stream_key(LATENT_VECTOR, ROOT, SEED, SCENARIO, GROUP)], dtype=np.uint64)
    found = latent_field(key, np.array([sigma]), np.array([length]), buckets=len(expected), mode=OU, clip=CLIP)
    assert found.z[0] == pytest.approx(expected, rel=1e-12)


def test_equals_the_witness():
    found = field(groups=slice(3), buckets=100)
    for group in range(3):
        expected = witness.ou(int(KEYS[group]), SIGMA[group], LENGTH[group], 100)
        assert found.z[group] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        factor = np.exp(np.array(expected) - SIGMA[group] ** 2 / 2).clip(*CLIP)
        assert found.factor[group] == pytest.approx(factor, rel=1e-9)


def test_normals_are_normal():
    draws = [normal(bucket, KEYS[0]) for bucket in range(50_000)]
    assert stats.kstest(draws, "norm").pvalue > 1e-3
    assert np.corrcoef(draws[1:], draws[:-1])[0, 1] == pytest.approx(0, abs=4 / math.sqrt(50_000))


def test_independent_field_is_sigma_times_the_normals():
    found = field(IID, groups=slice(2), buckets=50)
    for group in range(2):
        assert found.z[group].tolist() == [SIGMA[group] * normal(b, KEYS[group]) for b in range(50)]


def test_ou_is_stationary_with_the_given_deviation_and_memory():
    """Over 400 groups Z/σ is standard normal at every bucket, and its products have mean exp(−k/L)."""
    z = field().z / SIGMA[:, None]
    for bucket in (0, 1, 30, 499):
        assert stats.kstest(z[:, bucket], "norm").pvalue > 1e-3
    for lag in (1, 10, 100):
        excess = (z[:, lag:] * z[:, :-lag]).mean(axis=1) - np.exp(-lag / LENGTH)
        assert abs(excess.mean()) < 4 * excess.std() / math.sqrt(excess.size)


def test_factor_has_mean_one_before_clipping():
    wide = field(IID, clip=(1e-12, 1e12)).factor
    error = wide.mean(axis=1) - 1
    assert abs(error.mean()) < 4 * error.std() / math.sqrt(error.size)


def test_clips_are_counted_and_nothing_leaves_the_bounds():
    free, cut = field(clip=(1e-12, 1e12)), field()
    assert (cut.z == free.z).all()
    assert (cut.factor == free.factor.clip(*CLIP)).all()
    assert (cut.clipped_low == (free.factor < CLIP[0]).sum(axis=1)).all() and cut.clipped_low.any()
    assert (cut.clipped_high == (free.factor > CLIP[1]).sum(axis=1)).all() and cut.clipped_high.any()
    assert not free.clipped_low.any() and not free.clipped_high.any()


def test_none_is_exactly_one_everywhere():
    found = field(NONE)
    assert (found.z == 0).all() and (found.factor == 1).all()
    assert not found.clipped_low.any() and not found.clipped_high.any()


@pytest.mark.parametrize("mode", [OU, IID])
def test_no_deviation_is_exactly_one_everywhere(mode):
    assert (field(mode, sigma=np.zeros(400)).factor == 1).all()


@pytest.mark.parametrize("mode", LATENT_MODES)
def test_a_group_does_not_depend_on_its_slice(mode):
    whole, part = field(mode), field(mode, groups=slice(17, 60))
    for all_groups, some in zip(whole, part, strict=True):
        assert (all_groups[17:60] == some).all()


def test_a_longer_horizon_begins_the_same():
    assert (field(buckets=50).z == field(buckets=500).z[:, :50]).all()


GOOD = {
    "keys": np.zeros(2, np.uint64),
    "sigma": np.full(2, 0.3),
    "length": np.full(2, 24.0),
    "buckets": 4,
    "mode": OU,
    "clip": CLIP,
}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("keys", np.zeros(2), "5B.KERNEL.ARRAY"),
        ("keys", np.zeros((2, 1), np.uint64), "5B.KERNEL.ARRAY"),
        ("sigma", np.full(3, 0.3), "5B.KERNEL.ARRAY"),
        ("sigma", np.full(2, -0.1), "5B.KERNEL.RANGE"),
        ("sigma", np.full(2, np.nan), "5B.KERNEL.RANGE"),
        ("sigma", np.full(2, 5.1), "5B.KERNEL.RANGE"),
        ("length", np.zeros(2), "5B.KERNEL.RANGE"),
        ("length", np.full(2, np.inf), "5B.KERNEL.RANGE"),
        ("buckets", 0, "5B.KERNEL.RANGE"),
        ("mode", "ou", "5B.KERNEL.LATENT_MODE"),
        ("clip", (0.0, 5.0), "5B.KERNEL.RANGE"),
        ("clip", (1.1, 5.0), "5B.KERNEL.RANGE"),
        ("clip", (0.2, 0.9), "5B.KERNEL.RANGE"),
    ],
)
def test_bad_input(name, value, code):
    with pytest.raises(InputError) as caught:
        latent_field(**{**GOOD, name: value})
    assert caught.value.code == code
