"""`import segment5b_lib as s5` as a notebook meets it: lazy, complete on tab, correct in both encodings."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import segment5b_lib as s5
from segment5b_lib.contract.datasets import LOCAL_COLUMNS
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.errors import UsageError
from segment5b_lib.workbench.open_run import OpenRun
from tests.arrivals import frame as rows_as_written

POSTURES = ("published", "civil_time")


@pytest.fixture
def opened(request, published_run, civil_time_run) -> OpenRun:
    run = published_run if request.param == "published" else civil_time_run
    return s5.open_run(run.run_id)


both = pytest.mark.parametrize("opened", POSTURES, indirect=True)
published = pytest.mark.parametrize("opened", ["published"], indirect=True)


def test_importing_the_library_loads_nothing_else() -> None:
    code = (
        "import sys, segment5b_lib as s5\n"
        "dir(s5)\n"
        "heavy = {'numba', 'polars', 'duckdb', 'pyarrow', 'altair', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "ours = {name for name in sys.modules if name.startswith('segment5b_lib.')} - {'segment5b_lib.version'}\n"
        "sys.exit(str(heavy | ours) if heavy | ours else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "slow"),
    [
        ("import segment5b_lib as s5; s5.phase", ("altair", "scipy.optimize", "scipy.special", "scipy.stats")),
        ("import segment5b_lib.engine.preflight, segment5b_lib.world.build", ("polars", "scipy.spatial")),
    ],
    ids=["phases", "world"],
)
def test_what_takes_long_to_import_is_imported_by_who_calls_it(code: str, slow: tuple[str, ...]) -> None:
    code = f"import sys; {code}; sys.exit(str(loaded) if (loaded := {set(slow)} & set(sys.modules)) else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_charts_draw_offline_without_being_asked_to() -> None:
    code = (
        "import sys, altair, segment5b_lib as s5\n"
        "before = altair.renderers.active\n"
        "s5.charts\n"
        "sys.exit(f'{before} {altair.renderers.active}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.split() == ["default", "segment5b"]


def test_every_public_name_is_there_documented_and_all_that_tab_shows() -> None:
    assert dir(s5) == sorted(s5.__all__)
    for name in set(s5.__all__) - {"__version__"}:
        assert getattr(s5, name).__doc__, name
        assert f"\n{name} : " in (s5.__doc__ or ""), name
    with pytest.raises(AttributeError, match="nothing"):
        s5.nothing  # noqa: B018


@published
def test_a_run_shows_on_tab_what_it_can_do_and_nothing_else(opened: OpenRun) -> None:
    for thing in (opened, opened.dst):
        assert dir(thing) == sorted(dir(thing))
        assert not [name for name in dir(thing) if name.startswith("_") or not hasattr(thing, name)]
        public = {name for name in vars(type(thing)) if not name.startswith("_")}
        assert public <= set(dir(thing))


@published
def test_a_run_shows_who_it_is(opened: OpenRun) -> None:
    page = opened._repr_html_()
    for text in (opened.run_id, "published", "tiny", opened.receipt.manifest_fingerprint, "2026-01-01"):
        assert text in page
    assert opened.run_id[:8] in repr(opened)
    assert repr(opened.dst).count("()") == 3


def test_an_unknown_run_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="UNKNOWN"):
        s5.open_run("zzz")


@both
def test_states_are_the_records(opened: OpenRun) -> None:
    table = opened.states()
    records = opened.store.last_records()
    assert table["state"].to_list() == list(records)
    assert set(table["status"]) == {"PASS"}
    for row in table.to_dicts():
        record = records[row["state"]]
        lanes = ("input_load", "compute", "validation", "write")
        assert sum(row[lane] for lane in lanes) == pytest.approx(sum(step.wall_ms for step in record.steps) / 1e3)
        assert row["seconds"] == record.durations.wall_ms / 1e3
        assert (row["rows_out"], row["peak_bytes"]) == (record.rows_out, record.peak_rss_bytes)


def test_states_of_a_child_say_what_was_linked_and_what_was_not_run(own_run) -> None:
    child = prepare_rerun(own_run, "S4", {"routing.zone_binding": "row_zone"}, threads=1)
    table = s5.open_run(child.run_id).states()
    assert dict(table.select("state", "status").rows()) == {
        "S0": "LINKED",
        "S1": "LINKED",
        "S2": "LINKED",
        "S3": "LINKED",
        "S4": "NOT_RUN",
        "S5": "NOT_RUN",
    }
    assert table["seconds"].is_null().all()


@both
def test_arrivals_are_lazy_and_show_the_digits_on_the_wall(opened: OpenRun) -> None:
    lazy = opened.arrivals()
    assert isinstance(lazy, pl.LazyFrame)
    frame = lazy.collect()
    assert frame.schema["ts_utc"] == pl.Datetime("us", "UTC")
    assert all(frame.schema[name] == pl.Datetime("us") for name in LOCAL_COLUMNS)
    witness = rows_as_written(opened.store)
    times = ("ts_utc", *LOCAL_COLUMNS)
    plain = frame.drop("scenario_id").with_columns(
        pl.col(pl.Categorical, pl.Enum).cast(pl.String), pl.col(*times).to_physical()
    )
    assert plain.equals(witness.select(plain.columns))
    assert frame["scenario_id"].unique().to_list() == list(opened.store.scenarios)
    assert opened.arrivals(opened.store.scenarios[0]).select(pl.len()).collect().item() == frame.height


@both
def test_sql_sees_the_same_rows_in_utc(opened: OpenRun) -> None:
    frame = opened.arrivals().collect()
    found = opened.sql(
        "select tzid_primary, count(*) as n, min(ts_utc) as first, max(ts_local_primary) as last "
        "from arrival_events_5B where is_virtual = ? group by all order by tzid_primary",
        False,
    )
    expected = (
        frame.filter(~pl.col("is_virtual"))
        .group_by(pl.col("tzid_primary").cast(pl.String))
        .agg(n=pl.len().cast(pl.Int64), first=pl.col("ts_utc").min(), last=pl.col("ts_local_primary").max())
        .sort("tzid_primary")
    )
    assert found.equals(expected)
    assert found.schema == expected.schema


@published
def test_sql_knows_every_dataset_of_run_and_world(opened: OpenRun) -> None:
    names = set(opened.sql("show tables")["name"])
    assert {"arrival_events_5B", "s3_bucket_counts_5B", "s1_time_grid_5B", "site_timezones"} <= names
    for name in sorted(names):
        assert opened.sql(f"from {name} limit 1").height == 1, name
    expected = opened.store.table("s3_bucket_counts_5B", ["count_N"], opened.store.scenarios[0])
    (row,) = opened.sql("select sum(count_N)::bigint as n, any_value(scenario_id) as s from s3_bucket_counts_5B").rows()
    assert row == (sum(expected["count_N"].to_pylist()), opened.store.scenarios[0])


@published
def test_no_whole_table_by_surprise(opened: OpenRun) -> None:
    with pytest.raises(UsageError, match="TOO_MANY_ROWS"):
        opened.sql("from arrival_events_5B", max_rows=1000)
    assert opened.sql("from arrival_events_5B limit 1000", max_rows=1000).height == 1000


@published
def test_mismatches_are_the_rows_that_zoneinfo_says_are_wrong(opened: OpenRun) -> None:
    zone = ZoneInfo("Europe/Berlin")
    rows = opened.arrivals().filter(pl.col("tzid_primary") == "Europe/Berlin").collect()
    expected = [
        utc
        for utc, local in rows.select("ts_utc", "ts_local_primary").iter_rows()
        if utc.astimezone(zone).replace(tzinfo=None) != local
    ]
    assert expected
    found = opened.dst.mismatches(tzid="Europe/Berlin")
    assert isinstance(found, pl.LazyFrame)
    wrong = found.collect()
    assert sorted(wrong["ts_utc"]) == sorted(expected)
    assert set(wrong["error_seconds"]) == {-3600.0}
    utc, local = wrong.select("ts_utc", "expected_local").row(0)
    assert utc.astimezone(zone).replace(tzinfo=None) == local
    card = opened.scorecard()
    t1 = card.result("T1")
    assert opened.dst.mismatches().select(pl.len()).collect().item() == round((t1.value or 0) * (t1.population or 0))


@pytest.mark.parametrize("opened", ["civil_time"], indirect=True)
def test_a_right_clock_has_no_mismatches(opened: OpenRun) -> None:
    assert opened.dst.mismatches().collect().is_empty()
    with pytest.raises(UsageError, match="UNKNOWN_ZONE"):
        opened.dst.mismatches(tzid="Europe/Atlantis")


@published
def test_windows_stand_where_zoneinfo_changes_its_offset(opened: OpenRun) -> None:
    table = opened.dst.windows()
    assert table.schema["transition"] == pl.Datetime("us", "UTC")
    (berlin,) = table.filter(tzid="Europe/Berlin").to_dicts()
    assert berlin["transition"] == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert berlin["change_seconds"] == 3600
    day = opened.arrivals().filter(
        (pl.col("tzid_primary") == "Europe/Berlin")
        & pl.col("ts_utc").is_between(
            datetime(2026, 3, 28, 1, tzinfo=UTC), datetime(2026, 3, 30, 1, tzinfo=UTC), "left"
        )
    )
    assert berlin["support"] == day.select(pl.len()).collect().item()


@published
def test_the_heatmap_takes_the_run_itself(opened: OpenRun) -> None:
    chart = s5.charts.offset_heatmap(opened)
    assert s5.charts.spec(chart) == s5.charts.spec(s5.charts.mismatch_heatmap(opened.dst.by_date_and_zone()))
    by_view = s5.views.mismatch_by_date_and_zone(opened.evidence)
    assert opened.dst.by_date_and_zone().equals(by_view)


@published
def test_gates_and_charts_share_one_pass(opened: OpenRun) -> None:
    card = opened.scorecard(fresh=True)
    assert opened.evidence is card.evidence
    earlier = s5.open_run(opened.run_id)
    kept = earlier.evidence
    assert earlier.scorecard().evidence is not kept is earlier.evidence


@both
def test_the_listing_has_every_run(opened: OpenRun) -> None:
    (row,) = s5.runs().filter(run_id=opened.run_id).to_dicts()
    assert (row["posture"], row["seed"], row["scale"], row["states"]) == (opened.receipt.posture, 42, "tiny", 6)
