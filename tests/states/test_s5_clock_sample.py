"""The clock sample: what it picks and counts, and that names, order and threads do not matter."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from segment5b_lib.contract.datasets import arrival_schema
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.contract.validation_policy import CivilTimeMeasurement, SamplingPlan
from segment5b_lib.kernel.sampling import ELSEWHERE
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5.clock_sample import draw_clock_sample, dst_strata
from segment5b_lib.states.s5.expected_clock import ScenarioHorizon, bucket_weekend_shares, stored_clock_errors
from segment5b_lib.states.s5.part_audit import sampled_parts
from segment5b_lib.states.s5.parts import read_parts
from segment5b_lib.states.s5.validation import SPEC
from segment5b_lib.store.parquet import open_writer

START, END = 1_767_225_600, 1_775_001_600  # 2026-01-01 to 2026-04-01
HORIZON = ScenarioHorizon(START, 3600, (END - START) // 3600)
ZONES = ("Africa/Casablanca", "America/New_York", "Asia/Tokyo", "Europe/London")
CIVIL = CivilTimeMeasurement(
    tolerance_seconds=0.5,
    dst_window_hours=24,
    dst_window_min_support=50,
    dst_window_min_exposed_windows=3,
    dst_window_min_total_support=2000,
    horizon_margin_days=35,
)
WINDOWS = dst_strata(ZONES, START, END, CIVIL)
PER_PART, PARTS = 6_000, 4


@pytest.fixture(scope="module")
def rows():
    """Arrivals of two merchants per part, in order; the local time is ts_utc itself."""
    rng = np.random.default_rng(3)
    merchant = np.repeat(np.arange(1, 2 * PARTS + 1), PER_PART // 2)
    ts = rng.integers(START * SECOND_US, END * SECOND_US, merchant.size)
    order = np.lexsort((ts, merchant))
    return {"merchant": merchant, "ts": ts[order], "zone": rng.integers(0, len(ZONES), merchant.size)}


def write_parts(folder, rows, names, row_group=2_500):
    folder.mkdir(parents=True)
    for part, name in enumerate(names):
        write_part(
            folder / name,
            {key: values[part * PER_PART : (part + 1) * PER_PART] for key, values in rows.items()},
            row_group,
        )
    return sorted(folder.iterdir())


def write_part(path, rows, row_group):
    schema = arrival_schema(utc_marked=False)
    n = rows["ts"].size
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["x"]))
    zones = pa.DictionaryArray.from_arrays(pa.array(rows["zone"].astype(np.int32)), pa.array(ZONES))
    columns = {
        "merchant_id": pa.array(rows["merchant"].astype(np.uint64)),
        "bucket_index": pa.array(((rows["ts"] // SECOND_US - START) // 3600).astype(np.int32)),
        "arrival_seq": pa.array(np.concatenate([np.arange(1, n // 2 + 1)] * 2)),
        "ts_utc": pa.array(rows["ts"]).cast(pa.timestamp("us", "UTC")),
        "ts_local_primary": pa.array(rows["ts"]).cast(pa.timestamp("us")),
        "tzid_primary": zones,
        "is_virtual": pa.array(np.zeros(n, np.bool_)),
    }
    optional = {
        "tzid_settlement",
        "tzid_operational",
        "ts_local_settlement",
        "ts_local_operational",
        "site_id",
        "edge_id",
    }
    arrays = [columns.get(field.name, pa.nulls(n, field.type) if field.name in optional else words) for field in schema]
    with open_writer(path, schema) as writer:
        writer.write_table(pa.table(arrays, schema=schema), row_group_size=row_group)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def files(folder, rows):
    return write_parts(folder / "named", rows, [f"part-{part:06d}.parquet" for part in range(PARTS)])


def sample(files, published_run, threads=1, **plan):
    limits = SamplingPlan(**({"seed": 5, "rows_per_dst_window": 40, "rows_elsewhere": 500, "parts": 2} | plan))
    context = Context(published_run, SPEC, threads)
    return draw_clock_sample(context, read_parts(files, 1), ZONES, WINDOWS, limits)


def inside(rows, window):
    code = ZONES.index(window.tzid)
    ts = rows["ts"] // SECOND_US
    return (rows["zone"] == code) & (ts >= window.start) & (ts < window.end)


def test_windows_are_the_transitions_of_the_zones():
    found = [(window.tzid, datetime.fromtimestamp(window.transition, UTC)) for window in WINDOWS]
    assert found == [
        ("Africa/Casablanca", datetime(2026, 2, 15, 2, tzinfo=UTC)),
        ("Africa/Casablanca", datetime(2026, 3, 22, 2, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
        ("Europe/London", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ]
    assert all(window.end - window.start == 2 * 86_400 for window in WINDOWS)
    (cut,) = dst_strata(["Europe/London"], START, WINDOWS[3].transition + 3600, CIVIL)
    assert cut.end == WINDOWS[3].transition + 3600


def test_every_window_is_counted_in_full_and_kept_up_to_its_quota(files, rows, published_run):
    drawn = sample(files, published_run, rows_per_dst_window=100)
    truth = [int(inside(rows, window).sum()) for window in WINDOWS]
    assert drawn.window_rows.tolist() == truth and min(truth) > 50
    kept = np.bincount(drawn.rows["stratum"][drawn.rows["stratum"] >= 0], minlength=len(WINDOWS))
    assert kept.tolist() == [min(100, number) for number in truth]
    assert drawn.population == rows["ts"].size
    np.testing.assert_array_equal(drawn.rows["ts"], rows["ts"][drawn.rows["rank"]])
    np.testing.assert_array_equal(drawn.rows["zone"], rows["zone"][drawn.rows["rank"]])
    for number, window in enumerate(WINDOWS):
        ranks = drawn.rows["rank"][drawn.rows["stratum"] == number]
        assert inside(rows, window)[ranks].all()


def test_elsewhere_is_outside_all_windows_and_evenly_spread(files, rows, published_run):
    drawn = sample(files, published_run)
    ranks = drawn.rows["rank"][drawn.rows["stratum"] == ELSEWHERE]
    assert not any(inside(rows, window)[ranks].any() for window in WINDOWS)
    stride = rows["ts"].size // 500
    assert np.unique(ranks % stride).size == 1 and 450 < ranks.size <= 500


def test_weights_stand_for_all_arrivals(files, rows, published_run):
    drawn = sample(files, published_run)
    weights = drawn.weights()
    assert weights.sum() == pytest.approx(rows["ts"].size)
    for number in range(len(WINDOWS)):
        assert weights[drawn.rows["stratum"] == number].sum() == pytest.approx(drawn.window_rows[number])


def test_file_names_order_row_groups_and_threads_do_not_matter(files, folder, rows, published_run):
    expected = sample(files, published_run)
    other = write_parts(folder / "renamed", rows, ["z.parquet", "a.parquet", "m.parquet", "b.parquet"], row_group=777)
    for paths, threads in ((files[::-1], 1), (other, 1), (other[::-1], 3)):
        drawn = sample(paths, published_run, threads)
        np.testing.assert_array_equal(drawn.rows, expected.rows)
        np.testing.assert_array_equal(drawn.window_rows, expected.window_rows)


def test_audited_parts_are_those_of_the_same_rows_under_any_names(files, folder, rows):
    def audited(paths, seed=5):
        plan = SamplingPlan(seed=seed, rows_per_dst_window=40, rows_elsewhere=500, parts=2)
        return [part.first for part in sampled_parts(read_parts(paths, 1), plan)]

    renamed = write_parts(folder / "audited", rows, ["z.parquet", "a.parquet", "m.parquet", "b.parquet"], row_group=777)
    assert audited(files) == audited(files[::-1]) == audited(renamed) == audited(renamed[::-1])
    assert len({first for seed in range(10) for first in audited(files, seed)}) == PARTS


def test_the_seed_picks_other_rows_and_only_that(files, published_run):
    first, second = sample(files, published_run), sample(files, published_run, seed=6)
    assert not np.array_equal(first.rows["rank"], second.rows["rank"])
    np.testing.assert_array_equal(first.window_rows, second.window_rows)


def test_kept_rows_of_a_window_are_no_prefix(files, rows, published_run):
    drawn = sample(files, published_run)
    london = drawn.rows["rank"][drawn.rows["stratum"] == 3]
    everyone = np.flatnonzero(inside(rows, WINDOWS[3]))
    assert london.size == 40 and np.median(np.searchsorted(everyone, london)) == pytest.approx(
        everyone.size / 2, rel=0.4
    )


def test_errors_are_those_of_zoneinfo_for_gaps_and_far_zones():
    rng = np.random.default_rng(1)
    ts = rng.integers(START * SECOND_US, END * SECOND_US, 400)
    ts[:8] = [(window.transition + step) * SECOND_US for window in WINDOWS for step in (-1, 0)]
    zone = rng.integers(0, len(ZONES), ts.size).astype(np.int32)
    zone[:8] = [ZONES.index(window.tzid) for window in WINDOWS for _ in range(2)]
    local = np.array(
        [
            int(instant)
            + int(datetime.fromtimestamp(int(instant) // SECOND_US, ZoneInfo(ZONES[code])).utcoffset().total_seconds())
            * SECOND_US
            for instant, code in zip(ts, zone, strict=True)
        ]
    )
    assert not stored_clock_errors(HORIZON, ZONES, zone, ts, local).any()
    assert (stored_clock_errors(HORIZON, ZONES, zone, ts, local + 3_600 * SECOND_US) == 3_600 * SECOND_US).all()
    unknown = stored_clock_errors(HORIZON, ("Mars/Olympus",), np.array([0, -1], np.int32), ts[:2], local[:2])
    assert (abs(unknown) > 10**15).all()


def test_weekends_are_local_and_split_where_a_bucket_straddles_midnight():
    shares = bucket_weekend_shares(HORIZON, ["Etc/UTC", "Asia/Kolkata", "Europe/London"])
    starts = [datetime.fromtimestamp(START + 3600 * bucket, UTC) for bucket in range(HORIZON.buckets)]
    np.testing.assert_array_equal(shares[0], [start.weekday() >= 5 for start in starts])
    kolkata = [
        np.mean([(start.timestamp() + 19_800 + 60 * minute) // 86_400 % 7 in (2, 3) for minute in range(60)])
        for start in starts
    ]
    np.testing.assert_allclose(shares[1], kolkata)
    assert set(np.unique(shares[1])) == {0.0, 0.5, 1.0}
    summer = next(bucket for bucket, start in enumerate(starts) if start == datetime(2026, 3, 29, 23, tzinfo=UTC))
    assert shares[2][summer] == 0.0 and shares[0][summer] == 1.0
