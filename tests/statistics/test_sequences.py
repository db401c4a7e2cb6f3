"""The sequences that go through the battery are those of a run, and no (key, counter) occurs in them twice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from segment5b_lib.kernel.streams import ARRIVAL_TIME, BUCKET_COUNT, FAMILIES, LATENT_VECTOR
from segment5b_lib.store.runs import Run
from tests import arrivals
from tests.reference import randomness
from tests.statistics.sequences import Population, population, words

HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def people(civil_time_run: Run) -> Population:
    return population(civil_time_run)


def uniforms(found: np.ndarray) -> np.ndarray:
    return ((found >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def test_offsets_of_the_run_are_those_of_the_sequence(people: Population, civil_time_run: Run) -> None:
    keys = people.keys(ARRIVAL_TIME, civil_time_run.receipt.seed)
    offset = np.floor(uniforms(words(ARRIVAL_TIME, keys, people.arrivals)[:, 0]) * HOUR_US).astype(np.int64)
    merchant = np.array([key[0] for key in people.series])[people.arrivals.owner]
    order = np.lexsort((offset, people.arrivals.bucket, merchant))
    found = arrivals.frame(civil_time_run)
    start = found["ts_utc"].min() // HOUR_US * HOUR_US
    # The first bucket with an arrival may not be the horizon's first.
    start -= int(found["bucket_index"][int(found["ts_utc"].arg_min() or 0)]) * HOUR_US
    assert (start + people.arrivals.bucket[order] * HOUR_US + offset[order] == found["ts_utc"].to_numpy()).all()
    assert (merchant[order] == found["merchant_id"].to_numpy()).all()


def test_counts_of_the_run_are_quantiles_of_the_sequence(people: Population, civil_time_run: Run) -> None:
    rows = arrivals.counts(civil_time_run)
    keys = people.keys(BUCKET_COUNT, civil_time_run.receipt.seed)
    u = uniforms(words(BUCKET_COUNT, keys, people.cells(len(people.series)))[:, 0])
    mu, kappa, count = (rows[name].to_numpy() for name in ("mu", "kappa", "count_N"))
    drawn = np.flatnonzero(mu > 1e-9)[::7]
    law = stats.nbinom(kappa[drawn], kappa[drawn] / (kappa[drawn] + mu[drawn]))
    assert (law.cdf(count[drawn]) >= u[drawn] - 1e-12).all()
    assert (law.cdf(count[drawn] - 1) < u[drawn] + 1e-12).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_words_are_those_of_the_reference(people: Population, family: str) -> None:
    law, seed = FAMILIES[family], 3
    domains = people.groups if family == LATENT_VECTOR else people.series
    draws = people.cells(len(domains)) if law.counter_low == "bucket_index" else people.arrivals
    found = words(family, people.keys(family, seed), draws)
    for event in range(0, draws.owner.size, draws.owner.size // 40):
        bucket, draw = int(draws.bucket[event]), int(draws.draw[event])
        where = {"draw": draw, "bucket_index": bucket, "0": 0}
        domain = domains[draws.owner[event]]
        key = randomness.stream_key(family, people.rng_root, seed, people.scenario_id, *domain)
        block = randomness.philox2x64(where[law.counter_low], where[law.counter_high], key)
        assert tuple(found[event].tolist()) == block[: len(law.lanes)]


def test_no_key_and_counter_is_used_twice_in_a_hundred_runs(people: Population) -> None:
    """One key per family, domain and seed; under a key one counter per event."""
    keys = np.concatenate([people.keys(family, seed) for seed in range(100) for family in FAMILIES])
    assert np.unique(keys).size == keys.size > 20_000
    draws = people.arrivals
    events = (draws.owner << 40) + (draws.bucket << 20) + draws.draw
    assert draws.draw.max() < 1 << 20 and np.unique(events).size == events.size
