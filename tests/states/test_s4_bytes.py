"""The bytes of S4 depend on the run: not on threads, not on the order of shards, not on the folder."""

import itertools

import pyarrow.parquet as pq
import pytest

from segment5b_lib.states.context import Context
from segment5b_lib.states.s4 import counts as s4_counts
from tests.arrivals import ARRIVALS, arrivals, part_digests, policies_of, run_s4

SMALL = 20_000


@pytest.fixture
def small_shards(monkeypatch):
    """Shards smaller than the larger merchants, and row groups smaller than shards."""
    monkeypatch.setattr(s4_counts, "SHARD_ARRIVALS", SMALL)
    monkeypatch.setattr(s4_counts, "ROW_GROUP_ROWS", SMALL // 3)


def test_threads_do_not_change_a_byte(own_run, small_shards):
    digests = []
    for threads in (1, 2, 4):
        counters = run_s4(own_run, threads=threads)
        digests.append((part_digests(own_run), counters))
    assert digests[0] == digests[1] == digests[2]
    assert len(digests[0][0]) > 15


def test_the_order_of_shards_does_not_change_a_byte(own_run, small_shards, monkeypatch):
    forwards = (run_s4(own_run, threads=1), part_digests(own_run))
    in_order = Context.map_shards

    def backwards(self, name, work, shards, rows):
        return in_order(self, name, work, shards[::-1], rows[::-1])[::-1]

    monkeypatch.setattr(Context, "map_shards", backwards)
    assert (run_s4(own_run, threads=1), part_digests(own_run)) == forwards


def test_the_folder_does_not_change_a_byte(own_run, published_run):
    run_s4(own_run)
    assert own_run.root != published_run.root
    assert part_digests(own_run) == part_digests(published_run)


@pytest.mark.parametrize("binding", ["group_weights", "row_zone"])
def test_merchants_split_over_shards_have_the_same_columns(own_run, monkeypatch, binding):
    policies = policies_of("published", {"routing.zone_binding": binding})
    whole = run_s4(own_run, policies), arrivals(own_run)
    summary = own_run.table("s4_arrival_summary_5B", scenario_id=own_run.scenarios[0])
    monkeypatch.setattr(s4_counts, "SHARD_ARRIVALS", SMALL)
    monkeypatch.setattr(s4_counts, "ROW_GROUP_ROWS", SMALL // 3)
    split = run_s4(own_run, policies), arrivals(own_run)
    files = own_run.files(ARRIVALS, own_run.scenarios[0])
    merchants = [set(pq.read_table(path, columns=["merchant_id"])["merchant_id"].to_pylist()) for path in files]
    assert any(a == b and len(a) == 1 for a, b in itertools.pairwise(merchants))
    assert max(pq.read_metadata(path).num_row_groups for path in files) > 1
    assert split[1].equals(whole[1])
    assert own_run.table("s4_arrival_summary_5B", scenario_id=own_run.scenarios[0]).equals(summary)
    for name in ("total_arrivals", "total_virtual", "rng", "anomalies", "scenarios"):
        assert split[0][name] == whole[0][name]
