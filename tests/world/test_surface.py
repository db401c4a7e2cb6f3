"""The intensity surface: complete, on the zone's own clock, with holidays, and mostly zero."""

from datetime import UTC, datetime, timedelta
from importlib import metadata
from zoneinfo import ZoneInfo

import holidays
import numpy as np
import polars as pl
import pytest

from segment5b_lib.world.plan import Plan
from segment5b_lib.world.rhythm import QUARTERS_PER_WEEK, week_of, without_calendar
from segment5b_lib.world.spec import Rhythm
from segment5b_lib.world.world_file import load_spec

START = datetime(2026, 1, 1, tzinfo=UTC)
SERIES = ["merchant_id", "legal_country_iso", "tzid"]


@pytest.fixture(scope="module")
def surface(tiny_world):
    return tiny_world.frame("merchant_zone_scenario_local_5A", scenario_id="baseline_v1")


def rhythm(**changes):
    base = {
        "open": 9.0,
        "close": 17.0,
        "jitter_hours": 0.5,
        "days": (1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
        "bumps": (),
        "base": 1.0,
        "holiday": 0.0,
    }
    return Rhythm(**{**base, **changes})


def test_every_series_has_every_bucket(surface):
    counts = surface.group_by(SERIES).agg(pl.len(), pl.col("local_horizon_bucket_index").n_unique().alias("n"))
    assert counts.height == 44
    assert set(counts["len"]) == set(counts["n"]) == {2160}
    assert (surface["local_horizon_bucket_index"].min(), surface["local_horizon_bucket_index"].max()) == (0, 2159)
    assert surface["lambda_local_scenario"].is_finite().all()
    assert (surface["lambda_local_scenario"] >= 0).all()


def test_it_sums_to_the_expected_arrivals_and_is_mostly_zero(surface):
    expected = load_spec("tiny").arrivals_expected
    assert surface["lambda_local_scenario"].cast(pl.Float64).sum() == pytest.approx(expected, rel=1e-5)
    assert expected / surface.height == pytest.approx(3.5, rel=0.01)
    assert (surface["lambda_local_scenario"] == 0).mean() == pytest.approx(0.885, abs=0.05)


def test_the_profile_is_of_the_same_series_and_volume(tiny_world, surface):
    profile = tiny_world.frame("merchant_zone_profile_5A")
    total = surface.group_by(SERIES).agg(pl.col("lambda_local_scenario").cast(pl.Float64).sum()).sort(SERIES)
    assert profile.select(SERIES).equals(total.select(SERIES))
    weekly = total["lambda_local_scenario"].to_numpy() * 7 / 90
    assert profile["weekly_volume_expected"].to_numpy() == pytest.approx(weekly, rel=1e-5, abs=1e-6)


def test_every_series_follows_its_zones_clock(surface):
    """Intensity without overlay depends on local weekday and time alone, before and after every change."""
    instants = [START + timedelta(hours=b) for b in range(2160)]
    for key, series in surface.group_by(SERIES):
        zone = ZoneInfo(key[2])
        local = [instant.astimezone(zone) for instant in instants]
        slot = np.array([at.weekday() * 1440 + at.hour * 60 + at.minute for at in local])
        rows = series.sort("local_horizon_bucket_index")
        overlay = rows["overlay_factor_total"].to_numpy().astype(np.float64)
        base = np.divide(
            rows["lambda_local_scenario"].to_numpy(), overlay, out=np.full(2160, np.nan), where=overlay > 0
        )
        for value in np.unique(slot):
            same = base[(slot == value) & (overlay > 0)]
            assert same.size == 0 or np.allclose(same, same[0], rtol=1e-5, atol=1e-9), (key, value)


def test_overlay_is_on_the_countrys_holidays_by_local_date(tiny_world, surface):
    classes = dict(tiny_world.frame("merchant_zone_profile_5A").select("merchant_id", "demand_class").rows())
    laws = load_spec("tiny").rhythms
    seen = 0
    for (merchant, country, tzid), series in surface.group_by(SERIES):
        days = holidays.country_holidays(country, years=[2025, 2026])
        factor = laws[classes[merchant]].holiday
        zone = ZoneInfo(tzid)
        rows = series.sort("local_horizon_bucket_index")["overlay_factor_total"].to_list()
        for b in range(0, 2160, 7):
            on_holiday = (START + timedelta(hours=b)).astimezone(zone).date() in days
            seen += on_holiday
            assert rows[b] == pytest.approx(factor if on_holiday else 1.0)
    assert seen > 100


def test_the_two_a_knob_does_not_touch_the_surface():
    first, second = (
        Plan(load_spec("tiny", {"upstream.2A.last_transition_year": year})).surface.slab(0, 44, "baseline_v1")[0]
        for year in (2025, 2028)
    )
    assert np.array_equal(first, second)


def test_stress_surges_on_holidays_and_pay_days_and_nowhere_else():
    spec = load_spec("tiny", {"scenarios": ["baseline_v1", "stress_peak_v1"]})
    surface = Plan(spec).surface
    calm, _ = surface.slab(0, 44, "baseline_v1")
    surged, _ = surface.slab(0, 44, "stress_peak_v1")
    ratio = np.divide(surged, calm, out=np.zeros_like(surged), where=calm > 0)
    allowed = [1.0, spec.stress.pay_day_surge, spec.stress.holiday_surge]
    assert all(np.isclose(ratio[calm > 0], value, rtol=1e-5).any() for value in allowed)
    assert np.isclose(ratio[calm > 0][:, None], allowed, rtol=1e-5).any(axis=1).all()
    s = int(np.flatnonzero([surface.cells.tzid[c] == "Europe/London" for c in surface.series.cell])[0])
    pay_day = (datetime(2026, 1, 15, 12, tzinfo=UTC) - START).days * 24 + 12
    quiet = (datetime(2026, 1, 14, 12, tzinfo=UTC) - START).days * 24 + 12
    assert surface.slab(s, s + 1, "stress_peak_v1")[1][0, [pay_day, quiet]].tolist() == pytest.approx([1.6, 1.0])


def test_opening_hours_by_hand():
    week = week_of(rhythm(), np.zeros(3)).reshape(7, 96)
    assert (week[:5, 36:68] == 1).all()
    assert week.sum() == 5 * 32


def test_hours_past_midnight_belong_to_the_day_that_opened():
    week = week_of(rhythm(open=20.0, close=26.0, days=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)), np.zeros(3))
    open_at = np.flatnonzero(week)
    assert open_at.tolist() == [*range(8), *range(QUARTERS_PER_WEEK - 16, QUARTERS_PER_WEEK)]


def test_merchants_shift_their_hours_within_the_jitter():
    early = np.flatnonzero(week_of(rhythm(), np.array([-1.0, -1.0, 0.0])))
    assert (early[0], early[31]) == (34, 65)


def test_a_rush_peaks_at_its_hour_also_around_midnight():
    law = rhythm(open=0.0, close=24.0, days=(1.0,) * 7, bumps=({"hour": 24.0, "width": 1.0, "height": 3.0},))
    day = week_of(law, np.zeros(3))[:96]
    assert day[0] == pytest.approx(day[95])
    assert day.argmax() in (0, 95)
    assert day.max() == pytest.approx(4.0, rel=0.01)


def test_countries_without_a_calendar_are_told():
    horizon = load_spec("tiny").horizon
    assert without_calendar(["GB", "DE", "QQ"], horizon) == ["QQ"]
    assert metadata.version("holidays")
