"""S1: grid and grouping against plain Python, and surfaces that must be refused."""

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from segment5b_lib.contract.upstream import SURFACE_KEY
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.errors import InputError, PolicyError, StateError
from segment5b_lib.store.postures import load_posture, with_changes
from tests.planted import world_with_surface


def frame(run, dataset_id):
    return run.frame(dataset_id, scenario_id=run.scenarios[0])


def run_s1(world, changes=None):
    policies = with_changes(load_posture("published"), changes or {})
    run = create_run(world, policies, seed=42, posture="published")
    run_states(run, ["S0", "S1"], threads=2)
    return run


def test_the_grid_is_contiguous_half_open_and_hourly(published_run):
    grid = frame(published_run, "s1_time_grid_5B")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert grid.height == 2160
    for bucket in (0, 1, 72, 73, 2159):
        row = grid.row(bucket, named=True)
        begin = start + timedelta(hours=bucket)
        assert row["bucket_index"] == bucket
        assert (row["bucket_start_utc"], row["bucket_end_utc"]) == (begin, begin + timedelta(hours=1))
        assert row["bucket_duration_seconds"] == 3600
        assert row["local_day_of_week"] == begin.isoweekday()
        assert row["local_minutes_since_midnight"] == begin.hour * 60
        assert row["is_weekend"] == (begin.isoweekday() >= 6)
        assert (row["scenario_is_baseline"], row["scenario_is_stress"]) == (True, False)


def test_groups_are_what_the_law_says(published_run):
    grouping = frame(published_run, "s1_grouping_5B")
    scenario = published_run.scenarios[0]
    classes = published_run.world.table("virtual_classification_3B").to_pylist()
    virtual = {row["merchant_id"]: row["virtual_mode"] for row in classes}
    assert grouping["series_id"].to_list() == list(range(grouping.height))
    for row in grouping.iter_rows(named=True):
        band = "physical" if virtual[row["merchant_id"]] == "NON_VIRTUAL" else "virtual"
        zone = hashlib.sha256(f"5B.zone_group|{row['zone_representation']}".encode()).digest()[0] % 16
        parts = (row["demand_class"], row["channel_group"], band, f"zg{zone:02d}")
        text = "|".join(["5B.group", scenario, *parts, str(row["merchant_id"])])
        bucket = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 32
        assert row["group_id"] == "|".join(["g", "baseline", *parts, f"b{bucket:02d}"])


def test_counters_describe_the_groups(published_run):
    grouping = frame(published_run, "s1_grouping_5B")
    members = sorted(Counter(grouping["group_id"]).values())
    counters = published_run.counters("S1")["scenarios"][published_run.scenarios[0]]
    assert counters["total_bucket_count"] == 2160
    assert counters["total_grouping_rows"] == grouping.height
    assert counters["total_unique_group_ids"] == len(members)
    assert counters["max_group_share"] == members[-1] / grouping.height
    assert counters["multi_member_fraction"] == sum(n > 1 for n in members) / len(members)
    middle = len(members) // 2
    expected = members[middle] if len(members) % 2 else (members[middle - 1] + members[middle]) / 2
    assert counters["median_members_per_group"] == expected


def drop_an_hour(surface):
    return surface.filter(pl.int_range(pl.len()) != 5000)


def repeat_an_hour(surface):
    return pl.concat([surface, surface.slice(5000, 1)])


def swap_an_hour(surface):
    row = pl.int_range(pl.len())
    bucket = pl.col("local_horizon_bucket_index")
    return surface.with_columns(pl.when(row == 5000).then(bucket + 1).otherwise(bucket))


def set_intensity(value):
    def change(surface):
        row = pl.int_range(pl.len())
        changed = pl.when(row == 5000).then(pl.lit(value, pl.Float32)).otherwise("lambda_local_scenario")
        return surface.with_columns(lambda_local_scenario=changed)

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (drop_an_hour, "5B.S1.SURFACE_INCOMPLETE"),
        (repeat_an_hour, "5B.S1.SURFACE_INCOMPLETE"),
        (swap_an_hour, "5B.S1.SURFACE_INCOMPLETE"),
        (set_intensity(-0.5), "5B.S1.INTENSITY_INVALID"),
        (set_intensity(float("nan")), "5B.S1.INTENSITY_INVALID"),
        (set_intensity(float("inf")), "5B.S1.INTENSITY_INVALID"),
    ],
)
def test_a_bad_surface_is_refused_with_the_offending_key(private_outputs, monkeypatch, change, code):
    world = world_with_surface(change, private_outputs, monkeypatch)
    rows = pl.read_parquet(world.files("merchant_zone_scenario_local_5A", world.scenarios[0]))
    merchant = rows["merchant_id"][5000]
    run = create_run(world, load_posture("published"), seed=42, posture="published")
    with pytest.raises(InputError, match=str(merchant)) as caught:
        run_states(run, threads=2)
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    assert run.marker("S0") is not None
    assert run.marker("S1") is None
    assert not run.folder("s1_grouping_5B", world.scenarios[0]).exists()


def test_an_unsorted_surface_gives_the_same_series_and_intensities(
    tiny_world, published_run, private_outputs, monkeypatch
):
    world = world_with_surface(lambda s: s.sample(fraction=1, shuffle=True, seed=1), private_outputs, monkeypatch)
    run = create_run(world, load_posture("published"), seed=42, posture="published")
    run_states(run, ["S0", "S1", "S2"], threads=2)
    counters = run.counters("S1")["scenarios"][run.scenarios[0]]
    assert counters["surface_in_order"] is False
    assert frame(run, "s1_grouping_5B").equals(frame(published_run, "s1_grouping_5B"))
    columns = [*(name if name != "tzid" else "zone_representation" for name in SURFACE_KEY), "bucket_index"]
    ours = frame(run, "s2_realised_intensity_5B")
    theirs = frame(published_run, "s2_realised_intensity_5B")
    assert ours.select(*columns, "lambda_baseline").equals(theirs.select(*columns, "lambda_baseline"))


def test_a_merchant_unknown_to_3b_is_refused(private_outputs, monkeypatch):
    def change(surface):
        first = pl.col("merchant_id") == surface["merchant_id"].min()
        return surface.with_columns(merchant_id=pl.when(first).then(pl.lit(77, pl.UInt64)).otherwise("merchant_id"))

    world = world_with_surface(change, private_outputs, monkeypatch)
    with pytest.raises(InputError, match="77") as caught:
        run_s1(world)
    assert caught.value.code == "5B.S1.DEMAND_CLASS_MISSING"


def test_a_horizon_outside_the_policy_is_refused(own_world):
    with pytest.raises(PolicyError, match="90 days") as caught:
        run_s1(own_world, {"time_grid.max_horizon_days": 60})
    assert caught.value.code == "5B.S1.HORIZON_OUT_OF_BOUNDS"
    with pytest.raises(InputError, match="multiples of 5000 s"):
        run_s1(own_world, {"time_grid.bucket_seconds": 5000})


def test_group_targets_are_enforced_from_the_policys_number_of_series_on(own_world):
    with pytest.raises(StateError, match="median members") as caught:
        run_s1(own_world, {"grouping.targets.enforce_from_series": 10})
    assert caught.value.code == "5B.S1.GROUP_SHAPE"
