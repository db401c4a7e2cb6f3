"""A6: a second execution gives the same columns, and a column that was tampered with is found and named."""

from __future__ import annotations

import polars as pl

from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.a06_replay import other_threads, replay
from segment5b_lib.store.runs import Run
from tests.planted_run import ARRIVALS, plant, where_row


def test_replay_finds_the_one_column_that_differs(own_run: Run) -> None:
    same = replay(own_run)
    columns = len(pl.read_parquet_schema(own_run.files(ARRIVALS, own_run.scenarios[0])[0]))
    assert (same.value, same.verdict, same.population) == (0, Verdict.PASS_BPLUS, columns)
    assert same.detail["threads"] == other_threads(own_run) != own_run.last_records()["S4"].threads
    plant(
        own_run,
        ARRIVALS,
        lambda rows: rows.with_columns(site_id=pl.when(~where_row(5)).then("site_id")),
    )
    tampered = replay(own_run, {own_run.scenarios[0]: [0]})
    assert (tampered.value, tampered.verdict) == (1, Verdict.FAIL)
    assert tampered.detail["columns_that_differ"] == [f"{own_run.scenarios[0]} part 0: site_id"]


def test_a_run_whose_inputs_have_changed_is_not_replayed(own_run: Run) -> None:
    own_run.files("s3_bucket_counts_5B", own_run.scenarios[0])[0].unlink()
    result = replay(own_run)
    assert result.verdict is Verdict.NOT_MEASURED
    assert result.reason
