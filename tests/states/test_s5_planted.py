"""Each check of S5 has the defect here that it is for, planted in a copied run and sealed as if it were right."""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from segment5b_lib.contract.datasets import arrival_schema
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.errors import InputError, MissingInputError, StaleError, StateError
from segment5b_lib.states.s4 import counts as s4_counts
from segment5b_lib.states.s5 import inputs as s5_inputs
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.postures import load_posture, with_changes
from tests.planted_run import (
    ARRIVALS,
    S2,
    S3,
    SUMMARY,
    edit_marker,
    judge,
    part_file,
    plant,
    reseal,
    rows_of,
    set_at,
    stale_folders,
    where_row,
)


def first_row(run, dataset_id, condition):
    """Position of the first row of a dataset's first part for which a condition holds."""
    return rows_of(part_file(run, dataset_id)).with_row_index().filter(condition)["index"][0]


def edit_receipt(run, **changes):
    path = run.file("s0_gate_receipt_5B")
    path.write_text(json.dumps(read_json(path) | changes))
    reseal(run)


def edit_sealed(run):
    path = run.file("sealed_inputs_5B")
    sealed = read_json(path)
    sealed[0]["sha256_hex"] = "0" * 64
    path.write_text(json.dumps(sealed))
    reseal(run)


def forget_policy(run):
    edit_marker(run, "S3", lambda marker: marker["policies"].update(count="0" * 64))


def foreign_input(run):
    edit_marker(run, "S4", lambda marker: marker["inputs"].update({next(iter(marker["inputs"])): "0" * 64}))


def late_bucket(run):
    def shift(grid):
        late = pl.col("bucket_start_utc") + pl.duration(seconds=1)
        return grid.with_columns(bucket_start_utc=pl.when(where_row(7)).then(late).otherwise("bucket_start_utc"))

    plant(run, "s1_time_grid_5B", shift)


def swapped_buckets(run):
    plant(run, S3, lambda rows: rows.with_columns(bucket_index=pl.col("bucket_index").reverse()))


def positive(run, dataset_id, column):
    return first_row(run, dataset_id, pl.col(column) > 0)


def zero_row(run, dataset_id, column):
    return first_row(run, dataset_id, pl.col(column) == 0)


def physical(run):
    return first_row(run, ARRIVALS, ~pl.col("is_virtual"))


def virtual(run):
    return first_row(run, ARRIVALS, pl.col("is_virtual"))


def setter(dataset_id, position, **values):
    """Set columns of the row that `position` finds."""
    return lambda run: plant(run, dataset_id, set_at(position(run), **values))


def dropped(dataset_id, position):
    return lambda run: plant(run, dataset_id, lambda rows: rows.filter(~where_row(position(run))))


def lower_rate(run):
    return positive(run, S2, "lambda_realised")


def one_more(rows):
    return rows.with_columns(count_N=pl.when(where_row(5)).then(pl.col("count_N") + 1).otherwise("count_N"))


def shifted_split(run):
    plant(run, SUMMARY, set_at(3, count_physical=10**6))


def marker_rows_off(run):
    def change(marker):
        (shards,) = marker["counters"]["shards"].values()
        next(iter(shards.values()))["rows"] += 1

    edit_marker(run, "S4", change)


def marker_zone_off(run):
    def change(marker):
        (shards,) = marker["counters"]["shards"].values()
        zones = next(iter(shards.values()))["rows_of_zone"]
        first, second, *_ = sorted(zones)
        zones[first] += 1
        zones[second] -= 1

    edit_marker(run, "S4", change)


def forgotten_part(run):
    edit_marker(run, "S4", lambda marker: next(iter(marker["counters"]["shards"].values())).clear())


def utc_marked(run):
    def mark(rows):
        return rows.with_columns(pl.selectors.starts_with("ts_local").dt.replace_time_zone("UTC"))

    plant(run, ARRIVALS, mark, schema=arrival_schema(utc_marked=True))


def swapped_rows(run):
    """Two arrivals of one merchant and bucket change places in time."""

    def swap(rows):
        order = np.arange(rows.height)
        order[[10, 11]] = [11, 10]
        return rows[order.tolist()].with_columns(arrival_seq=rows["arrival_seq"])

    plant(run, ARRIVALS, swap)


def gap_in_sequence(run):
    plant(run, ARRIVALS, lambda rows: rows.with_columns(pl.col("arrival_seq") + (pl.col("arrival_seq") > 10)))


def other_merchants_site(run):
    rows = rows_of(part_file(run, ARRIVALS)).filter(~pl.col("is_virtual"))
    merchant = rows["merchant_id"][0]
    foreign = rows.filter(pl.col("merchant_id") != merchant)["site_id"][0]
    plant(run, ARRIVALS, set_at(physical(run), site_id=foreign))


def zone_of_no_site(run):
    row = physical(run)
    rows = rows_of(part_file(run, ARRIVALS))
    other = rows.filter(pl.col("tzid_primary") != rows["tzid_primary"][row])["tzid_primary"][0]
    plant(run, ARRIVALS, set_at(row, tzid_primary=other))


def other_settlement(run):
    row = virtual(run)
    here = rows_of(part_file(run, ARRIVALS))["tzid_settlement"][row]
    plant(run, ARRIVALS, set_at(row, tzid_settlement="Asia/Tokyo" if here != "Asia/Tokyo" else "Europe/Paris"))


def hour_off(column, share):
    """A share of the rows shows a clock that is an hour fast."""

    def shift(rows):
        hit = (pl.col("arrival_seq") % 1000 < 1000 * share) & pl.col(column).is_not_null()
        return rows.with_columns(pl.when(hit).then(pl.col(column) + timedelta(hours=1)).otherwise(column).alias(column))

    return lambda run: plant(run, ARRIVALS, shift)


def seven_minutes_off(run):
    late = pl.col("ts_local_primary") + timedelta(minutes=7)
    plant(run, ARRIVALS, lambda rows: rows.with_columns(ts_local_primary=late))


def stopped_clock(run):
    """All clocks show the same hour of the day."""
    noon = pl.col("ts_local_primary").dt.truncate("1d") + timedelta(hours=12)
    plant(run, ARRIVALS, lambda rows: rows.with_columns(ts_local_primary=noon))


def same_offset(run):
    plant(run, ARRIVALS, lambda rows: rows.with_columns(pl.col("ts_utc").dt.truncate("1h") + timedelta(minutes=1)))


def rng_off(state, family, **changes):
    def change(marker):
        (row,) = [row for row in marker["counters"]["rng"] if row["family"].startswith(family)]
        row.update(changes)

    return lambda run: edit_marker(run, state, change)


def unknown_family(run):
    edit_marker(
        run,
        "S4",
        lambda marker: marker["counters"]["rng"].append(marker["counters"]["rng"][0] | {"family": "S4.nothing.v1"}),
    )


def trace_off(run):
    path = run.rng_log("trace")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["blocks"] += 1
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")


def trace_lost(run):
    run.rng_log("trace").unlink()


def factors(change):
    return lambda run: plant(run, S2, lambda rows: rows.with_columns(lambda_random_component=change))


FACTOR = pl.col("lambda_random_component")


def factor_of_its_own(run):
    """One series of a group of several has another factor in one bucket."""
    series = run.table("s1_grouping_5B", ["group_id", "series_id"], run.scenarios[0])
    shared = pl.DataFrame(pl.from_arrow(series)).filter(pl.len().over("group_id") > 1)["series_id"][0]
    buckets = run.table("s1_time_grid_5B", ["bucket_index"], run.scenarios[0]).num_rows
    factors(pl.when(where_row(shared * buckets + 3)).then(1.25).otherwise(FACTOR))(run)


PLANTED = {
    "receipt digest": ("SEALED_INPUTS", lambda run: edit_receipt(run, sealed_inputs_digest="0" * 64)),
    "receipt scenarios": ("SEALED_INPUTS", lambda run: edit_receipt(run, row_count=1)),
    "sealed row": ("SEALED_INPUTS", edit_sealed),
    "upstream not passed": (
        "UPSTREAM_BUNDLES",
        lambda run: edit_receipt(
            run,
            upstream_segments=read_json(run.file("s0_gate_receipt_5B"))["upstream_segments"]
            | {"3A": {"status": "FAIL", "bundle_digest": ""}},
        ),
    ),
    "state of another policy": ("STATE_MARKERS", forget_policy),
    "state of another input": ("STATE_MARKERS", foreign_input),
    "late bucket": ("TIME_GRID", late_bucket),
    "last bucket lost": ("TIME_GRID", dropped("s1_time_grid_5B", lambda run: 2159)),
    "buckets out of order": ("DOMAIN", swapped_buckets),
    "row lost in S3": ("DOMAIN", dropped(S3, lambda run: 100)),
    "row lost in S2": ("DOMAIN", dropped(S2, lambda run: 100)),
    "foreign series": ("DOMAIN", setter(S3, lambda run: 50, zone_representation="Asia/Tokyo")),
    "negative intensity": ("INTENSITY", setter(S2, lower_rate, lambda_realised=-1.0)),
    "infinite intensity": ("INTENSITY", setter(S2, lower_rate, lambda_realised=float("inf"))),
    "intensity that is no number": ("INTENSITY", setter(S2, lower_rate, lambda_realised=float("nan"))),
    "intensity above the cap": ("INTENSITY_CAP", setter(S2, lower_rate, lambda_realised=200_001.0)),
    "intensity from nothing": ("ZERO_BASELINE", setter(S2, lower_rate, lambda_baseline=0.0)),
    "mu of its own": ("MU", setter(S3, lambda run: positive(run, S3, "mu"), mu=0.125)),
    "count from nothing": ("ZERO_INTENSITY", setter(S3, lambda run: zero_row(run, S3, "mu"), count_N=1)),
    "negative count": ("COUNTS", setter(S3, lambda run: positive(run, S3, "count_N"), count_N=-1)),
    "count above the cap": ("COUNTS", setter(S3, lambda run: positive(run, S3, "count_N"), count_N=50_001)),
    "flag without cap": ("CAPPED_FLAG", setter(S3, lambda run: 5, count_capped=True)),
    "summary row lost": ("CONSERVATION", dropped(SUMMARY, lambda run: 5)),
    "summary counts one more": ("CONSERVATION", lambda run: plant(run, SUMMARY, one_more)),
    "summary of another bucket": ("CONSERVATION", setter(SUMMARY, lambda run: 5, bucket_index=1)),
    "split does not add up": ("SUMMARY_SPLIT", shifted_split),
    "sequence starts late": ("SEQUENCE", setter(SUMMARY, lambda run: 5, first_arrival_seq=2)),
    "sequence starts at 0": ("SEQUENCE", setter(SUMMARY, lambda run: 0, first_arrival_seq=0)),
    "one offset for all": ("OFFSET_VARIETY", same_offset),
    "utc-marked against the policy": ("ARRIVAL_SCHEMA", utc_marked),
    "arrival lost": ("PART_ROWS", dropped(ARRIVALS, lambda run: 5)),
    "marker counts another row": ("PART_ROWS", marker_rows_off),
    "part unknown to the marker": ("PART_ROWS", forgotten_part),
    "marker counts another zone": ("SHARD_STATISTICS", marker_zone_off),
    "one clock an hour off": (
        "SHARD_STATISTICS",
        lambda run: plant(
            run,
            ARRIVALS,
            lambda rows: rows.with_columns(
                pl.when(where_row(5))
                .then(pl.col("ts_local_primary") + timedelta(hours=1))
                .otherwise("ts_local_primary")
                .alias("ts_local_primary")
            ),
        ),
    ),
    "arrival in another bucket": ("TIME_WINDOW", setter(ARRIVALS, lambda run: 5, bucket_index=2000)),
    "bucket beyond the grid": ("PART_ORDER", setter(ARRIVALS, lambda run: 5, bucket_index=2160)),
    "bucket beyond the grid, by row": ("TIME_WINDOW", setter(ARRIVALS, lambda run: 5, bucket_index=2160)),
    "rows out of order": ("ORDER", swapped_rows),
    "gap in sequence": ("ORDER", gap_in_sequence),
    "unknown merchant": ("ORDER", setter(ARRIVALS, lambda run: 0, merchant_id=1)),
    "site lost": ("NULLABILITY", setter(ARRIVALS, physical, site_id=None)),
    "edge of a physical row": ("NULLABILITY", setter(ARRIVALS, physical, edge_id=1)),
    "edge lost": ("NULLABILITY", setter(ARRIVALS, virtual, edge_id=None)),
    "site of a virtual row": ("NULLABILITY", setter(ARRIVALS, virtual, site_id=1)),
    "settlement lost": ("NULLABILITY", setter(ARRIVALS, virtual, ts_local_settlement=None)),
    "site unknown": ("SITE_MEMBERSHIP", setter(ARRIVALS, physical, site_id=1)),
    "site of another merchant": ("SITE_MEMBERSHIP", other_merchants_site),
    "zone of no site": ("SITE_MEMBERSHIP", zone_of_no_site),
    "edge unknown": ("EDGE_MEMBERSHIP", setter(ARRIVALS, virtual, edge_id=1)),
    "settlement of another merchant": ("EDGE_MEMBERSHIP", other_settlement),
    "channel of no series": ("SERIES_MEMBERSHIP", setter(ARRIVALS, lambda run: 5, channel_group="carrier_pigeon")),
    "country of no series": ("SERIES_MEMBERSHIP", setter(ARRIVALS, lambda run: 5, legal_country_iso="AQ")),
    "universe of nobody": ("ROUTING_UNIVERSE", setter(ARRIVALS, physical, routing_universe_hash="0" * 64)),
    "clocks an hour off": ("CIVIL_MISMATCH", hour_off("ts_local_primary", 0.02)),
    "settlement clocks an hour off": ("CIVIL_MISMATCH", hour_off("ts_local_settlement", 0.5)),
    "operational clocks an hour off": ("CIVIL_MISMATCH", hour_off("ts_local_operational", 0.5)),
    "clocks off, but not by an hour": ("CIVIL_MISMATCH", seven_minutes_off),
    "an hour's signature": ("ONE_HOUR_MASS", hour_off("ts_local_primary", 0.004)),
    "clocks that stand still": ("HOUR_BIN_MAE", stopped_clock),
    "marked as UTC": ("LOCAL_TIME_CONTRACT", utc_marked),
    "normals not drawn": ("RNG_TOTALS", rng_off("S2", "S2", blocks=1)),
    "counts drawn twice": ("RNG_TOTALS", rng_off("S3", "S3", draws=7)),
    "times not drawn": ("RNG_TOTALS", rng_off("S4", "S4.arrival_time", events=0)),
    "sites of another series": ("RNG_TOTALS", rng_off("S4", "S4.arrival_site", first_domain="nobody")),
    "edges drawn for all": ("RNG_TOTALS", rng_off("S4", "S4.arrival_edge", blocks=10**6)),
    "draws of an unknown family": ("RNG_TOTALS", unknown_family),
    "trace says otherwise": ("RNG_TOTALS", trace_off),
    "trace lost": ("RNG_TOTALS", trace_lost),
    "factors too large": ("MEAN_FACTOR", factors((FACTOR * 1.5).cast(pl.Float32))),
    "factor of its own": ("SHARED_FACTOR", factor_of_its_own),
    "factor beyond the clip": ("FACTOR_CLIP", factors(pl.when(where_row(3)).then(5.5).otherwise(FACTOR))),
}


@pytest.mark.parametrize("defect", PLANTED)
def test_planted_defect_is_found(own_civil_run, defect):
    check_id, spoil = PLANTED[defect]
    spoil(own_civil_run)
    verdict = judge(own_civil_run)
    check = verdict.check(check_id)
    assert check["status"] == "fail"
    first = next(row["check_id"] for row in verdict.report["checks"] if row["status"] == "fail")
    assert verdict.error.code == verdict.report["first_failed_check"] == f"5B.S5.{first}"
    assert verdict.report["status"] == "FAIL"
    assert not (own_civil_run.bundle_folder / "_passed.flag").exists()
    assert own_civil_run.marker("S5") is None
    listed = pq.read_table(own_civil_run.bundle_folder / "validation_issue_table_5B.parquet").to_pylist()
    assert check["value"] is None or any(row["check_id"] == first for row in listed) or check_id in UNLISTED


UNLISTED = {"MEAN_FACTOR", "OFFSET_VARIETY", "ONE_HOUR_MASS", "HOUR_BIN_MAE"}
"""Checks of one figure: there is no offender to list."""


def test_clean_copy_has_no_finding(own_civil_run):
    verdict = judge(own_civil_run)
    assert verdict.error is None and not stale_folders(own_civil_run)


def test_conservation_counts_keys_both_ways(own_civil_run):
    rows = rows_of(part_file(own_civil_run, SUMMARY))
    lost = int(rows["count_N"][5])
    plant(
        own_civil_run,
        SUMMARY,
        lambda summary: summary.filter(~where_row(5)).with_columns(
            bucket_index=pl.when(where_row(9)).then(pl.lit(1, pl.Int32)).otherwise("bucket_index"),
            count_N=pl.when(where_row(20)).then(pl.col("count_N") + 2).otherwise("count_N"),
        ),
    )
    check = judge(own_civil_run).check("CONSERVATION")
    # One key lost, one moved (gone here, new there), one that counts two more.
    assert check["detail"] == {"keys_that_differ": 4, "total_difference": abs(lost - 2)}
    assert check["population"] == rows.height + 1
    issues = pq.read_table(own_civil_run.bundle_folder / "validation_issue_table_5B.parquet").to_pylist()
    found = [(row["expected"], row["found"]) for row in issues if row["check_id"] == "CONSERVATION"]
    assert (f"S3 counts {lost}", "summary counts 0") in found


def test_an_upstream_bundle_that_no_longer_verifies_is_named_without_a_path(own_run):
    world = own_run.world
    member = next(path for path in sorted(world.bundle_folder("3A").iterdir()) if path.suffix == ".json")
    member.unlink()
    verdict = judge(own_run)
    assert verdict.error.code == "5B.S5.UPSTREAM_BUNDLES"
    assert str(world.root) not in json.dumps(verdict.report) + str(verdict.error)


@pytest.mark.parametrize("damage", ["size", "content"])
def test_an_input_that_is_not_what_was_published_stops_it_before_anything_is_touched(own_run, damage):
    path = part_file(own_run, ARRIVALS)
    content = bytearray(path.read_bytes())
    if damage == "size":
        content += b"0"
    else:
        content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    before = {file: file.read_bytes() for file in own_run.bundle_folder.iterdir()}
    with pytest.raises(StaleError, match=r"5B\.S5\.INPUT_CHANGED"):
        judge(own_run)
    assert {file: file.read_bytes() for file in own_run.bundle_folder.iterdir()} == before
    assert own_run.marker("S5") is not None


def test_a_changed_world_stops_it(own_run):
    (path,) = own_run.world.files("tz_timetable_cache")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(StaleError, match="tz_cache"):
        judge(own_run)


def test_a_state_that_has_not_published_is_named(own_run):
    own_run.marker_path("S4").unlink()
    with pytest.raises(MissingInputError, match=r"5B\.S5\.STATE_MISSING"):
        judge(own_run)


def test_a_null_in_a_required_column_is_a_typed_error(own_civil_run):
    path = part_file(own_civil_run, S3)
    schema = pq.read_schema(path)
    at = schema.get_field_index("count_N")
    plant(own_civil_run, S3, set_at(5, count_N=None), schema=schema.set(at, schema.field(at).with_nullable(True)))
    with pytest.raises(InputError, match=r"5B\.S5\.NULL_IN_REQUIRED_COLUMN"):
        judge(own_civil_run)


@pytest.fixture
def run_in_parts(tiny_world, private_outputs, monkeypatch):
    """A published run whose arrivals lie in several part files, one merchant in more than one of them."""
    (private_outputs / "worlds" / tiny_world.mf).symlink_to(tiny_world.root)
    monkeypatch.setattr(s4_counts, "SHARD_ARRIVALS", 40_000)
    run = create_run(tiny_world, load_posture("published"), seed=42, posture="published")
    run_states(run, threads=2)
    assert len(run.files(ARRIVALS, run.scenarios[0])) > 4
    return run


def test_parts_that_are_not_sampled_are_held_against_their_footers(run_in_parts):
    verdict = judge(run_in_parts)
    (names,) = verdict.check("ORDER")["detail"]["sampled_parts"].values()
    assert len(names) == run_in_parts.policies.validation.sampling.parts
    files = run_in_parts.files(ARRIVALS, run_in_parts.scenarios[0])
    other = next(position for position, path in enumerate(files) if position and path.name not in names)
    plant(run_in_parts, ARRIVALS, set_at(0, arrival_seq=10**6), part=other)
    spoiled = judge(run_in_parts)
    assert spoiled.status("PART_ORDER") == "fail" and spoiled.status("ORDER") == "pass"
    plant(run_in_parts, ARRIVALS, lambda rows: rows.tail(-1), part=other)
    assert judge(run_in_parts).status("PART_ROWS") == "fail"


def test_a_part_twice_is_found(run_in_parts):
    files = run_in_parts.files(ARRIVALS, run_in_parts.scenarios[0])
    extra = files[0].with_name("part-000099.parquet")
    extra.write_bytes(files[0].read_bytes())
    verdict = judge(run_in_parts)
    assert verdict.status("PART_ROWS") == verdict.status("PART_ORDER") == "fail"


def test_a_run_without_arrivals_is_refused_and_nothing_breaks(tiny_world, private_outputs):
    (private_outputs / "worlds" / tiny_world.mf).symlink_to(tiny_world.root)
    policies = with_changes(load_posture("published"), {"count.lambda_zero_eps": 200_000.0})
    run = create_run(tiny_world, policies, seed=42, posture="published")
    with pytest.raises(StateError, match=r"5B\.S5\.NONZERO_FRACTION"):
        run_states(run, threads=2)
    verdict = judge(run)
    unmeasured = {check["check_id"] for check in verdict.report["checks"] if check["value"] is None}
    assert unmeasured >= {"COUNT_TAIL", "OFFSET_VARIETY", "CIVIL_MISMATCH", "HOUR_BIN_MAE", "T6_TOP10_ZONES"}
    assert not [name for name in unmeasured if verdict.status(name) == "pass"]


def test_no_transition_in_the_horizon_is_not_applicable(own_civil_run, monkeypatch):
    monkeypatch.setattr(s5_inputs, "dst_strata", lambda *_: ())
    verdict = judge(own_civil_run)
    assert verdict.error is None
    for name in ("HOUR_BIN_MAE", "DST_WINDOWS", "DST_SUPPORT"):
        assert verdict.status(name) == "pass" and "not applicable" in verdict.check(name)["message"]


def test_a_refusal_says_what_was_expected_found_and_done(own_civil_run):
    plant(own_civil_run, ARRIVALS, set_at(5, channel_group="carrier_pigeon"))
    error = judge(own_civil_run).error
    assert error.code == "5B.S5.SERIES_MEMBERSHIP"
    assert "arrival_seq" in error.where and "carrier_pigeon" in error.found
    assert "at most 0" in error.expected and "without a flag" in error.done and "rerun" in error.next_step
