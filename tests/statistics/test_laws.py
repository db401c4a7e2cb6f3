"""Fields, offsets and picks under the keys of real streams: moments, memory, uniformity, independence, frequencies.

All draws are fixed by their keys, so a p-value is a constant, until the world itself changes: then chance alone fails a
test once in a hundred thousand changes.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from segment5b_lib.contract.upstream import SITE_KEY
from segment5b_lib.identity import site_id
from segment5b_lib.kernel.latent import OU, latent_field
from segment5b_lib.kernel.streams import ARRIVAL_EDGE_PICK, ARRIVAL_SITE_PICK, ARRIVAL_TIME, BUCKET_COUNT, LATENT_VECTOR
from segment5b_lib.store.runs import Run
from tests import arrivals
from tests.statistics.sequences import Population, population, words

CHANCE = 1e-5
CELLS = 32
LENGTH = 24.0


@pytest.fixture(scope="module")
def people(civil_time_run: Run) -> Population:
    return population(civil_time_run)


@pytest.fixture(scope="module")
def fields(people: Population) -> np.ndarray:
    """Z/σ [seed, group, bucket] of every group under fifty seeds."""
    shape = (50, len(people.groups), 600)
    keys = np.concatenate([people.keys(LATENT_VECTOR, seed) for seed in range(shape[0])])
    sigma = np.full(keys.size, 0.4)
    found = latent_field(keys, sigma, np.full(keys.size, LENGTH), buckets=shape[2], mode=OU, clip=(1e-9, 1e9))
    return np.asarray(found.z / 0.4).reshape(shape)


def test_latent_fields_have_the_moments_of_a_normal(fields: np.ndarray) -> None:
    """The first four moments, with the standard error that fields (not buckets) give."""
    flat = fields.reshape(-1, fields.shape[-1])
    for power, moment in enumerate((0.0, 1.0, 0.0, 3.0), 1):
        means = (flat**power).mean(axis=1)
        assert abs(means.mean() - moment) < 4 * means.std() / math.sqrt(means.size)


@pytest.mark.parametrize("lag", [1, 2, 6, 24, 72, 168])
def test_latent_fields_remember_as_long_as_the_law_says(fields: np.ndarray, lag: int) -> None:
    flat = fields.reshape(-1, fields.shape[-1])
    products = (flat[:, lag:] * flat[:, :-lag]).mean(axis=1)
    assert abs(products.mean() - math.exp(-lag / LENGTH)) < 4 * products.std() / math.sqrt(products.size)


def test_groups_and_seeds_do_not_move_together(fields: np.ndarray) -> None:
    for left, right in ((fields[:, 1:], fields[:, :-1]), (fields[1:], fields[:-1])):
        products = (left * right).mean(axis=-1).ravel()
        assert abs(products.mean()) < 4 * products.std() / math.sqrt(products.size)


def cells(found: np.ndarray) -> np.ndarray:
    return (found >> np.uint64(59)).astype(np.int64)


def test_offsets_are_uniform(people: Population) -> None:
    draws = people.arrivals
    found = words(ARRIVAL_TIME, people.keys(ARRIVAL_TIME, 42), draws)[:, 0]
    assert stats.chisquare(np.bincount((found >> np.uint64(54)).astype(np.int64), minlength=1024)).pvalue > CHANCE
    assert stats.kstest(found / 2.0**64, "uniform").pvalue > CHANCE


PAIRS = {
    "neighbouring draws": (ARRIVAL_TIME, (0, 0, 1), ARRIVAL_TIME, 0),
    "neighbouring buckets": (ARRIVAL_TIME, (0, 1, 0), ARRIVAL_TIME, 0),
    "neighbouring series": (ARRIVAL_TIME, (1, 0, 0), ARRIVAL_TIME, 0),
    "offset and coin": (ARRIVAL_TIME, (0, 0, 0), ARRIVAL_SITE_PICK, 0),
    "offset and site": (ARRIVAL_TIME, (0, 0, 0), ARRIVAL_SITE_PICK, 1),
    "offset and edge": (ARRIVAL_TIME, (0, 0, 0), ARRIVAL_EDGE_PICK, 0),
    "offset and count": (ARRIVAL_TIME, (0, 0, 0), BUCKET_COUNT, 0),
    "site and edge": (ARRIVAL_EDGE_PICK, (0, 0, 0), ARRIVAL_SITE_PICK, 1),
}
"""One family's first lane, a step of (series, bucket, draw), and another family's lane at the place stepped to."""


@pytest.mark.parametrize("pair", PAIRS)
def test_pairs_of_words_are_independent(people: Population, pair: str) -> None:
    """Chi-square of a 32 by 32 table over all arrivals of the run and their neighbours."""
    family, step, other, lane = PAIRS[pair]
    here = people.arrivals
    kept = (here.owner + step[0] < len(people.series)) & (here.bucket + step[1] < people.buckets)
    here = type(here)(*(column[kept] for column in here))
    there = type(here)(*(column + by for column, by in zip(here, step, strict=True)))
    first = words(family, people.keys(family, 42), here)[:, 0]
    second = words(other, people.keys(other, 42), there)[:, lane]
    table = np.bincount(cells(first) * CELLS + cells(second), minlength=CELLS**2).reshape(CELLS, CELLS)
    assert stats.chi2_contingency(table).pvalue > CHANCE


def places(run: Run) -> pl.DataFrame:
    """Every site and edge of the world: merchant_id, pool (what it is chosen from), place, weight."""
    world = run.world
    sites = arrivals.upstream(world, "site_timezones").join(arrivals.upstream(world, "s1_site_weights"), on=SITE_KEY)
    ids = pl.Series([site_id(*key) for key in sites.select(SITE_KEY).iter_rows()], dtype=pl.UInt64)
    pool = pl.concat_str("legal_country_iso", "tzid", separator=" ")
    edges = arrivals.upstream(world, "edge_catalogue_3B")
    edge = pl.col("edge_id").map_elements(lambda text: int(text, 16), pl.UInt64)
    return pl.concat(
        [
            sites.select("merchant_id", pool=pool, place=ids, weight="p_weight"),
            edges.select("merchant_id", pool=pl.lit("edges"), place=edge, weight="edge_weight"),
        ]
    ).with_columns(pl.col("weight").cast(pl.Float64))


@pytest.mark.parametrize("online", [False, True], ids=["sites", "edges"])
def test_picks_follow_the_weights(civil_time_run: Run, online: bool) -> None:
    """Chi-square over all pools of the run, each given its total; cells of fewer than five expected are pooled."""
    rows = arrivals.frame(civil_time_run).filter(pl.col("is_virtual") == online)
    counted = rows.group_by("merchant_id", pl.coalesce("site_id", "edge_id").alias("place")).len("found")
    known = places(civil_time_run).filter((pl.col("pool") == "edges") == online)
    assert counted.join(known, on=["merchant_id", "place"], how="anti").is_empty()
    of_pool = ["merchant_id", "pool"]
    total, weight = pl.col("found").sum().over(of_pool), pl.col("weight").sum().over(of_pool)
    table = (
        known.join(counted, on=["merchant_id", "place"], how="left")
        .with_columns(pl.col("found").fill_null(0))
        .with_columns(expected=total * pl.col("weight") / weight)
        .filter(total > 0)
    )
    assert table.filter((pl.col("weight") == 0) & (pl.col("found") > 0)).is_empty()
    cell = pl.when(pl.col("expected") >= 5).then("place").otherwise(0)
    pooled = table.group_by(*of_pool, cell.alias("cell")).agg(pl.col("found", "expected").sum())
    pooled = pooled.filter(pl.col("expected") > 0)
    freedom = pooled.height - pooled.select(of_pool).n_unique()
    statistic = float(((pooled["found"] - pooled["expected"]) ** 2 / pooled["expected"]).sum())
    assert freedom > 5
    assert stats.chi2.sf(statistic, freedom) > CHANCE
