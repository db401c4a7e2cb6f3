"""Structure as evidence: other bytes with the same content are equal, other content is not, whatever it looks like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segment5b_lib.contract.words import STATES
from segment5b_lib.phases.popt_structure import bundle_faults, counters_of, datasets_of, draws_of
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from tests.phases.popt_track import repetitions


@pytest.fixture
def second(own_run: Run, own_world: World) -> Run:
    """A repetition of `own_run`."""
    (run,) = repetitions(own_world, 1)
    return run


def rewrite(run: Run, dataset_id: str, state: str, change: Any) -> None:
    """Write a dataset's file anew, and its digest into the marker, as a state that writes other bytes would."""
    (path,) = run.files(dataset_id, run.scenarios[0])
    table = change(pq.read_table(path, partitioning=None))
    path.unlink()
    pq.write_table(table, path, compression="snappy", row_group_size=10_000)
    edit_marker(run, state, path, sha256_file(path))


def edit_marker(run: Run, state: str, path: Path, digest: str) -> None:
    marker = json.loads(run.marker_path(state).read_text())
    for output in marker["outputs"]:
        if run.root / output["path"] == path:
            output["sha256"] = digest
    run.marker_path(state).write_text(json.dumps(marker))


def edit_counters(run: Run, state: str, **counters: Any) -> None:
    marker = json.loads(run.marker_path(state).read_text())
    marker["counters"] |= counters
    run.marker_path(state).write_text(json.dumps(marker))


def shuffled(table: pa.Table) -> pa.Table:
    return table.take(np.random.default_rng(1).permutation(table.num_rows))


def test_a_repetition_is_equal_by_bytes(own_run: Run, second: Run) -> None:
    lines = datasets_of(second, own_run, STATES)
    assert all(line.equal and line.compared_by == "bytes" for line in lines)
    assert {"s1_grouping_5B", "arrival_events_5B", "validation_bundle_5B"} <= {line.dataset_id for line in lines}
    assert datasets_of(None, own_run, STATES) == []


def test_other_bytes_and_another_order_are_the_same_data(own_run: Run, second: Run) -> None:
    rewrite(second, "arrival_events_5B", "S4", shuffled)
    line = next(line for line in datasets_of(second, own_run, ["S4"]) if line.dataset_id == "arrival_events_5B")
    assert (line.compared_by, line.equal, line.differs) == ("columns", True, [])


def test_one_changed_value_names_its_column(own_run: Run, second: Run) -> None:
    def one_more(table: pa.Table) -> pa.Table:
        counts = table["count_N"].to_numpy().copy()
        counts[17] += 1
        return table.set_column(table.column_names.index("count_N"), "count_N", pa.array(counts))

    rewrite(second, "s3_bucket_counts_5B", "S3", one_more)
    (line,) = datasets_of(second, own_run, ["S3"])
    assert not line.equal and "count_N" in line.differs and "bucket_index" not in line.differs


def test_values_that_have_changed_rows_are_seen_by_the_rows_alone(own_run: Run, second: Run) -> None:
    def moved(table: pa.Table) -> pa.Table:
        counts = shuffled(table.select(["count_N"]))["count_N"]
        return table.set_column(table.column_names.index("count_N"), "count_N", counts)

    rewrite(second, "s3_bucket_counts_5B", "S3", moved)
    (line,) = datasets_of(second, own_run, ["S3"])
    assert not line.equal and line.differs == ["(row)"]


def test_a_lost_column_or_dataset_differs(own_run: Run, second: Run) -> None:
    rewrite(second, "s1_grouping_5B", "S1", lambda table: table.drop_columns(["demand_class"]))
    lost = next(line for line in datasets_of(second, own_run, ["S1"]) if line.dataset_id == "s1_grouping_5B")
    assert not lost.equal and "demand_class" in lost.differs
    second.marker_path("S2").unlink()
    (line,) = datasets_of(second, own_run, ["S2"])
    assert not line.equal


def test_counters_are_equal_or_within_what_is_allowed_or_missing(own_run: Run, second: Run) -> None:
    names = ["total_bucket_count", "total_grouping_rows"]
    lines = counters_of(second, own_run, "S1", names)
    assert len(lines) == 4 and all(line.equal for line in lines), "each in all and per scenario"
    one_more = second.counters("S1")["total_bucket_count"] + 1
    edit_counters(second, "S1", total_bucket_count=one_more, total_grouping_rows=None)
    changed = {line.counter: line.equal for line in counters_of(second, own_run, "S1", names)}
    assert not changed["total_bucket_count"] and not changed["total_grouping_rows"]
    shape = own_run.counters("S1")["scenarios"][own_run.scenarios[0]]["max_group_share"]
    edit_counters(second, "S1", max_group_share=shape)
    edit_counters(own_run, "S1", max_group_share=shape + 5e-10)
    close = [counters_of(second, own_run, "S1", ["max_group_share"], allowed_difference=d) for d in (1e-9, 1e-10)]
    assert [all(line.equal for line in lines) for lines in close] == [True, False]
    (unknown,) = counters_of(second, own_run, "S1", ["no_such_counter"])
    assert not unknown.equal


def test_random_numbers_are_counted_by_family(own_run: Run, second: Run) -> None:
    lines = draws_of(second, own_run, ["S2", "S3", "S4"])
    assert len(lines) == 3 * 5 and all(line.equal for line in lines)
    rng = [{**total, "draws": total["draws"] + 1} for total in second.counters("S3")["rng"]]
    edit_counters(second, "S3", rng=rng)
    assert [line.counter.split()[-1] for line in draws_of(second, own_run, ["S3"]) if not line.equal] == ["draws"]


def test_a_bundle_is_intact_or_says_what_is_wrong(own_run: Run) -> None:
    assert bundle_faults(own_run) == []
    layout = own_run.policies.bundle_layout
    report = own_run.bundle_folder / layout.report
    content = report.read_bytes()
    report.write_bytes(content + b" ")
    assert any(layout.flag in fault for fault in bundle_faults(own_run))
    report.unlink()
    assert bundle_faults(own_run) == [f"{layout.report} is missing"]
    report.write_bytes(content)
    (own_run.bundle_folder / layout.flag).unlink()
    assert bundle_faults(own_run) == [f"no {layout.flag}"]
    own_run.marker_path("S5").unlink()
    assert bundle_faults(own_run) == ["S5 has not published"]
