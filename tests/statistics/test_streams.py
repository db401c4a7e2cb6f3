"""The streams of whole runs through dieharder, in the order of drawing and across it; and bad ones, which must fail."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from segment5b_lib.kernel.streams import ARRIVAL_TIME
from segment5b_lib.store.runs import Run
from tests.statistics.battery import TESTS, needs_dieharder, p_values
from tests.statistics.sequences import Draws, Population, arrival_words, count_words, population

pytestmark = pytest.mark.slow
Stream = Iterator[NDArray[np.uint64]]


@pytest.fixture(scope="module")
def people(civil_time_run: Run) -> Population:
    needs_dieharder()
    return population(civil_time_run)


def arrivals_in(*order: str) -> Callable[[Population], Stream]:
    return lambda people: arrival_words(people.keys, people.arrivals.sorted_by(*order))


ORDERS: dict[str, Callable[[Population], Stream]] = {
    "arrivals as they are drawn": arrivals_in("owner", "bucket", "draw"),
    "arrivals across series": arrivals_in("bucket", "draw", "owner"),
    "arrivals across buckets": arrivals_in("draw", "owner", "bucket"),
    "counts and normals as they are drawn": lambda people: count_words(people, people.keys, across=False),
    "counts and normals across streams": lambda people: count_words(people, people.keys, across=True),
}


@pytest.mark.parametrize("order", ORDERS)
def test_streams_of_a_run_are_random_in_every_order(people: Population, order: str) -> None:
    found = list(p_values(ORDERS[order](people)))
    assert {entry.test for entry in found} == set(TESTS)
    assert not [entry for entry in found if entry.failed]
    # Of honest p-values one in a hundred is this near to an end: four of 27 once in 7,000 batteries.
    assert sum(min(entry.value, 1 - entry.value) < 0.005 for entry in found) <= 3


def forget_the_bucket(people: Population) -> Stream:
    """Every bucket of a series draws the same offsets and picks."""
    draws = people.arrivals
    return arrival_words(people.keys, Draws(draws.owner, np.zeros_like(draws.bucket), draws.draw))


def forget_the_zone(people: Population) -> Stream:
    """A merchant's series share their streams."""
    first = {merchant: key for key in reversed(people.series) for merchant in key[:1]}
    shared = people._replace(series=[first[key[0]] for key in people.series])
    return arrival_words(shared.keys, people.arrivals.sorted_by("bucket", "draw", "owner"))


def forget_the_family(people: Population) -> Stream:
    """Where an arrival goes is drawn with the key of when it comes."""
    return arrival_words(lambda _, seed: people.keys(ARRIVAL_TIME, seed), people.arrivals)


def weak_low_bits(_: Population) -> Stream:
    """A linear congruential generator modulo 2^64, whose lowest bits have short periods."""
    block = 1 << 16
    with np.errstate(over="ignore"):
        power = np.multiply.accumulate(np.full(block, 6_364_136_223_846_793_005, np.uint64))
    state = np.uint64(1)
    for _ in itertools.count():
        words = power * state
        state = words[-1]
        yield words


DEFECTS = (forget_the_bucket, forget_the_zone, forget_the_family, weak_low_bits)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_a_bad_generator_fails_the_same_battery(people: Population, defect: Callable[[Population], Stream]) -> None:
    assert any(entry.failed for entry in p_values(defect(people)))
