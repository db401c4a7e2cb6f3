"""Twenty million arrivals in several shards: same bytes for any thread count and order, memory bounded."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.states.context import Context
from segment5b_lib.store.postures import load_posture
from segment5b_lib.store.runs import Run
from segment5b_lib.world.build import build_world
from segment5b_lib.world.world_file import load_spec
from tests.arrivals import ARRIVALS, part_digests, run_s4

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def medium_run(tmp_path_factory):
    """The published run of the medium world; several shards, the largest merchant in more than one."""
    outputs = tmp_path_factory.mktemp("medium")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGMENT5B_OUTPUTS", str(outputs))
        world = build_world(load_spec("medium"), outputs).world
        run = create_run(world, load_posture("published"), seed=42, posture="published")
        run_states(run, threads=2)
        yield run


def files(run: Run) -> list[Path]:
    return run.files(ARRIVALS, run.scenarios[0])


def test_one_thread_and_shuffled_shards_give_the_same_files(medium_run, monkeypatch):
    expected = part_digests(medium_run)
    assert len(expected) > 4
    run_s4(medium_run, threads=1)
    assert part_digests(medium_run) == expected
    in_order = Context.map_shards

    def shuffled(self, name, work, shards, rows):
        order = random.Random(7).sample(range(len(shards)), len(shards))
        results = in_order(self, name, work, [shards[i] for i in order], [rows[i] for i in order])
        return [results[order.index(i)] for i in range(len(shards))]

    monkeypatch.setattr(Context, "map_shards", shuffled)
    run_s4(medium_run, threads=2)
    assert part_digests(medium_run) == expected


def test_duckdb_and_polars_read_it_with_plain_scans_and_agree(medium_run):
    glob = str(files(medium_run)[0].parent / "*.parquet")
    columns = "count(*), sum(arrival_seq), count(site_id), count(edge_id), epoch_us(min(ts_utc)), epoch_us(max(ts_utc))"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        ours = connection.execute(f"SELECT {columns} FROM read_parquet(?)", [glob]).fetchall()[0]
    theirs = pl.scan_parquet(glob).select(
        pl.len(),
        pl.col("arrival_seq").sum(),
        pl.col("site_id").count(),
        pl.col("edge_id").count(),
        pl.col("ts_utc").min().dt.epoch("us").alias("first"),
        pl.col("ts_utc").max().dt.epoch("us").alias("last"),
    )
    assert theirs.collect().row(0) == ours
    assert ours[0] == medium_run.counters("S4")["total_arrivals"]


def test_statistics_let_a_query_skip_most_row_groups(medium_run):
    """A merchant's rows lie together; within a large merchant so do a bucket range's."""
    merchants, buckets, groups = [], [], 0
    for path in files(medium_run):
        metadata = pq.read_metadata(path)
        column = metadata.schema.to_arrow_schema().names.index
        for group in range(metadata.num_row_groups):
            row_group, groups = metadata.row_group(group), groups + 1
            merchant = row_group.column(column("merchant_id")).statistics
            bucket = row_group.column(column("bucket_index")).statistics
            merchants.append((merchant.min, merchant.max))
            buckets.append((bucket.min, bucket.max))
    frame = pl.scan_parquet(files(medium_run)).group_by("merchant_id").len().collect().sort("len")
    for row, share in ((frame.height // 2, 0.15), (frame.height - 1, 0.5)):
        wanted = frame["merchant_id"][row]
        touched = sum(low <= wanted <= high for low, high in merchants)
        assert touched / groups <= share
    largest = frame["merchant_id"][-1]
    within = [span for span, (low, high) in zip(buckets, merchants, strict=True) if low == high == largest]
    assert len(within) >= 2
    assert sum(first <= 100 <= last for first, last in within) <= 1
