"""The investigation without a front end: what a choice leads to, what each view shows, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import segment5b_lib as s5
from segment5b_lib.charts.renderer import VEGALITE_MIME, WIDGET_MIME
from segment5b_lib.errors import UsageError
from segment5b_lib.workbench import panels
from segment5b_lib.workbench.case import PAGE_ROWS, Case, day_second, day_text
from segment5b_lib.workbench.investigation import Investigation

VIEWS = (
    *("identity", "answer", "choice", "offsets", "heatmap", "timeline", "duration"),
    *("day_offsets", "hours", "rows", "owners", "what_if", "next_steps"),
)
CHARTS = {"offsets", "heatmap", "timeline", "duration", "day_offsets", "hours", "what_if"}


@pytest.fixture(scope="module")
def published(published_run, tmp_path_factory) -> Case:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segment5b_lib.gates.scoring.outputs_folder", lambda: tmp_path_factory.mktemp("kept"))
        return Case(s5.open_run(published_run.run_id))


@pytest.fixture
def clock(published: Case, monkeypatch: pytest.MonkeyPatch) -> Investigation:
    """The investigation of the published run as a notebook without widgets shows it, at its first choice."""
    monkeypatch.setattr(panels, "widgets_installed", lambda: False)
    published.choose_zone("Europe/London")
    return Investigation(published)


def html(panel: panels.Panel) -> str:
    return str(panel._repr_mimebundle_()[0]["text/html"])


def test_it_begins_where_most_is_wrong_and_at_the_change_after_which_it_is(published: Case) -> None:
    busiest = published.zones.row(0, named=True)
    assert published._busiest() == busiest["tzid"] and busiest["mismatches"] == published.zones["mismatches"].max()
    published.choose_zone("America/New_York")
    assert published.transition == int(datetime(2026, 3, 8, 7, tzinfo=UTC).timestamp())
    assert day_text(published.day) == "2026-03-08"


def test_every_view_is_complete_without_a_front_end(clock: Investigation) -> None:
    for name in VIEWS:
        data, _ = getattr(clock, name)._repr_mimebundle_()
        assert WIDGET_MIME not in data
        if name in CHARTS:
            assert data["image/png"] and data[VEGALITE_MIME]["title"]["text"], name
        else:
            assert data["text/html"].startswith("<"), name
    assert "Owner: 2A" in html(clock.answer) and "2026-03-29 01:00 UTC, +1 h" in html(clock.choice)
    assert "segment5b world reopen" in html(clock.next_steps)


def test_rows_are_those_of_the_day_in_order_of_time_with_the_clock_that_zoneinfo_shows(published: Case) -> None:
    published.choose_cell(("Europe/Berlin", day_second("2026-03-30")))
    begin = datetime(2026, 3, 30, tzinfo=UTC)
    witness = (
        published.run.arrivals()
        .filter(pl.col("tzid_primary") == "Europe/Berlin", pl.col("ts_utc").dt.date() == begin.date())
        .sort("ts_utc", "merchant_id", "arrival_seq")
        .collect()
    )
    assert published.rows_of_day == witness.height > PAGE_ROWS
    found = pl.concat([published.day_rows.page("Europe/Berlin", published.day, n) for n in range(published.pages)])
    assert found["ts_utc"].to_list() == witness["ts_utc"].to_list()
    assert found["stored_local"].to_list() == witness["ts_local_primary"].to_list()
    zone = ZoneInfo("Europe/Berlin")
    assert found["expected_local"].to_list() == [t.astimezone(zone).replace(tzinfo=None) for t in witness["ts_utc"]]
    assert set(found["error_seconds"]) == {-3600.0}


def test_the_page_shown_first_has_the_first_wrong_row(published: Case) -> None:
    published.choose_zone("America/New_York")
    first = published.day_rows.page(published.tzid, published.day, published.page)
    assert (first["error_seconds"] != 0).any()
    if published.page:
        before = published.day_rows.page(published.tzid, published.day, published.page - 1)
        assert (before["error_seconds"] == 0).all()


def test_a_choice_moves_what_depends_on_it(clock: Investigation) -> None:
    clock.choose(tzid="America/New_York", day="2026-03-20")
    assert "America/New_York, 2026-03-20 UTC" in html(clock.rows)
    assert "2026-03-08 07:00 UTC" in html(clock.choice)
    clock.chosen("cell", ("Europe/Berlin", day_second("2026-01-05")))
    assert clock.case.transition == int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp())
    clock.choose(tzid="Asia/Tokyo")
    assert clock.case.transition is None and "does not change its offset" in html(clock.duration)
    clock.chosen("page", 1)
    assert "page 2 of" in html(clock.rows)


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"tzid": "Europe/Atlantis"}, "5B.DST.ZONE_WITHOUT_ARRIVALS"),
        ({"tzid": "Europe/London", "transition": "2026-03-30"}, "5B.DST.NO_SUCH_CHANGE"),
        ({"day": "30.3.2026"}, "5B.DST.NOT_A_DATE"),
    ],
)
def test_a_place_that_is_not_there_is_refused(clock: Investigation, choice: dict[str, str], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        clock.choose(**choice)
    assert caught.value.code == code


def test_the_what_if_agrees_with_the_prediction_and_with_the_run_that_was_made(
    published: Case, civil_time_run, tmp_path
) -> None:
    shares = dict(published.what_if.select("year", "t1").rows())
    assert shares[2025] == pytest.approx(published.scorecard.result("T1").value)
    for year in (2020, 2025, 2028):
        expected = s5.predict(published.run, reopened={"2A": {"last_transition_year": year}} if year != 2025 else None)
        estimate = expected.prediction.gates["T1"]
        assert shares[year] == pytest.approx(estimate.value, abs=5 * estimate.standard_error)
    assert shares[2028] == 0 == s5.open_run(civil_time_run.run_id).dst.mismatches().collect().height


def test_a_live_view_follows_and_may_change_from_a_chart_to_a_text(published: Case) -> None:
    for needed in ("ipywidgets", "anywidget"):
        pytest.importorskip(needed, reason="the extra `notebook` is not installed")
    published.choose_zone("Europe/London")
    clock = Investigation(published)
    data, _ = clock.duration._repr_mimebundle_()
    assert WIDGET_MIME in data and VEGALITE_MIME in data
    clock.choice._repr_mimebundle_()
    (chart,) = clock.duration.shown
    clock.choose(tzid="America/New_York")
    assert clock.duration.shown == (chart,) and "America/New_York" in chart.spec["title"]["text"]
    clock.choose(tzid="Asia/Tokyo")
    assert "does not change" in clock.duration.shown[0].value and "Asia/Tokyo" in clock.choice.shown[0].value
    clock.choose(tzid="Europe/London")
    assert "Europe/London" in clock.duration.shown[0].spec["title"]["text"]


def test_a_run_whose_clock_is_right_says_so(civil_time_run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "widgets_installed", lambda: False)
    clock = s5.investigate(civil_time_run.run_id)
    assert "Every local time shows" in html(clock.answer) and "nothing to repair" in html(clock.next_steps)
    assert clock.case.transition is not None and clock.case.zones["mismatches"].sum() == 0
