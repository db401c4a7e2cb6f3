"""Realised intensity against its formula, row by row."""

import numpy as np
import pytest

from segment5b_lib.errors import InputError
from segment5b_lib.kernel.intensity import first_invalid, realise

RNG = np.random.default_rng(8)
CAP = 40.0


def inputs(**changes):
    given = {
        "baseline": RNG.gamma(0.5, 20, (6, 9)).astype(np.float32),
        "factor": RNG.lognormal(0, 0.5, (4, 9)),
        "group": np.array([3, 0, 0, 2, 3, 1]),
        "tilt": RNG.uniform(0.5, 2, 6),
    }
    return {**given, **changes}


def test_is_the_capped_product_of_every_row():
    given = inputs()
    component, realised, capped = realise(**given, cap=CAP)
    over = 0
    for (series, bucket), baseline in np.ndenumerate(given["baseline"]):
        factor = float(given["factor"][given["group"][series], bucket])
        wanted = float(baseline) * factor * float(given["tilt"][series])
        over += wanted > CAP
        assert realised[series, bucket] == min(wanted, CAP)
        assert component[series, bucket] == np.float32(factor)
    assert capped == over > 0


def test_a_factor_that_is_no_number_stays_none_and_is_found():
    given = inputs()
    given["factor"][2, 5] = np.nan
    _, realised, _ = realise(**given, cap=CAP)
    assert np.argwhere(np.isnan(realised)).tolist() == [[3, 5]]
    assert first_invalid(given["baseline"], realised) == 3 * 9 + 5


@pytest.mark.parametrize("value", [-1e-300, np.inf, -np.inf, np.nan])
def test_finds_the_first_row_that_is_no_intensity(value):
    realised = np.ones((2, 3))
    realised[1, 1:] = value
    assert first_invalid(np.ones((2, 3), np.float32), realised) == 4


@pytest.mark.parametrize(("least", "found"), [(0.0, -1), (1e-300, 2)])
def test_finds_arrivals_out_of_nothing(least, found):
    baseline, realised = np.ones((2, 3), np.float32), np.ones((2, 3))
    baseline[0, 2], realised[0, 2] = 0.0, least
    assert first_invalid(baseline, realised) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline": np.ones((6, 9))},
        {"factor": np.ones((4, 8))},
        {"group": np.zeros(5, np.int64)},
        {"group": np.array([0, 0, 0, 0, 0, 4])},
        {"group": np.array([0, 0, 0, 0, 0, -1])},
        {"tilt": np.ones(5)},
    ],
)
def test_bad_input_is_refused(wrong):
    with pytest.raises(InputError):
        realise(**inputs(**wrong), cap=CAP)


def test_intensities_of_another_shape_are_refused():
    with pytest.raises(InputError):
        first_invalid(np.ones((2, 3), np.float32), np.ones((3, 2)))
