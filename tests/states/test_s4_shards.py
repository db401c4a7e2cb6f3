"""Shard plans: cover, order, bound, and what happens when one cell alone is too large."""

import numpy as np
import pytest

from segment5b_lib.states.s4 import counts as s4_counts
from segment5b_lib.states.s4.counts import merchant_groups, plan_row_groups, plan_shards, ranges_below


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch):
    monkeypatch.setattr(s4_counts, "SHARD_ARRIVALS", 100)
    monkeypatch.setattr(s4_counts, "ROW_GROUP_ROWS", 30)


def cells(rng, merchants=40, buckets=24, mean=1.0):
    size = rng.pareto(0.8, (merchants, 1)) * mean
    return rng.poisson(np.minimum(size, 50) * np.ones((1, buckets))).astype(np.int32)


@pytest.mark.parametrize("seed", range(20))
def test_shards_cover_every_cell_once_in_order(seed):
    table = cells(np.random.default_rng(seed))
    shards = plan_shards(table)
    covered = np.zeros(table.shape, int)
    for shard in shards:
        covered[shard.merchant_from : shard.merchant_to, shard.bucket_from : shard.bucket_to] += 1
        assert shard.arrivals == table.reshape(-1)[shard.cell_from : shard.cell_to].sum()
    assert (covered == 1).all()
    assert [shard.part for shard in shards] == list(range(len(shards)))
    assert [shard.cell_from for shard in shards[1:]] == [shard.cell_to for shard in shards[:-1]]


@pytest.mark.parametrize("seed", range(20))
def test_a_shard_above_the_bound_is_a_single_cell(seed):
    table = cells(np.random.default_rng(seed), mean=5.0)
    shards = plan_shards(table)
    assert any(shard.bucket_to < table.shape[1] for shard in shards)
    for shard in shards:
        single = shard.cell_to - shard.cell_from == 1
        assert shard.arrivals <= 100 or single
        whole = shard.bucket_from == 0 and shard.bucket_to == table.shape[1]
        assert whole or shard.merchant_to == shard.merchant_from + 1


@pytest.mark.parametrize("seed", range(5))
def test_row_groups_hold_all_arrivals_of_their_shard(seed):
    table = cells(np.random.default_rng(seed), mean=5.0)
    flat = table.reshape(-1)
    for shard in plan_shards(table):
        groups = plan_row_groups(table, shard)
        sizes = [int(flat[a:b].sum()) for a, b in groups]
        assert sum(sizes) == shard.arrivals
        assert all(0 < size <= 30 or b - a == 1 for size, (a, b) in zip(sizes, groups, strict=True))


def test_merchants_without_arrivals_are_still_covered():
    shards = plan_shards(np.zeros((7, 24), np.int32))
    assert [(s.merchant_from, s.merchant_to, s.arrivals) for s in shards] == [(0, 7, 0)]
    assert plan_row_groups(np.zeros((7, 24), np.int32), shards[0]) == []


def test_a_split_merchant_is_one_group():
    table = np.zeros((3, 24), np.int32)
    table[1] = 20
    groups = merchant_groups(plan_shards(table))
    assert [len(group) for group in groups] == [1, 5, 1]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([0, 0], [(0, 2)]),
        ([5, 5, 1], [(0, 2), (2, 3)]),
        ([11, 1, 11], [(0, 1), (1, 2), (2, 3)]),
        ([10, 0, 0, 1], [(0, 3), (3, 4)]),
        ([4, 4, 4, 4, 4], [(0, 2), (2, 4), (4, 5)]),
    ],
)
def test_ranges_end_before_the_bound_is_passed(sizes, expected):
    assert ranges_below(np.array(sizes, np.int32), 10) == expected
