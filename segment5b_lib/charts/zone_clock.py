"""One zone's clock and its cache: true and cached offsets, and T1 under another cache."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from segment5b_lib.charts.parts import coloured, headed, tooltip
from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREY, VERMILLION

YEAR_PARAM: Final = "year"
"""Name of the parameter of `t1_by_cache_year` with the chosen year."""


def offset_timeline(frame: pl.DataFrame, moments: pl.DataFrame) -> Chart:
    """A zone's offset from UTC over the horizon, true and cached: where the lines part, the cache is wrong.

    `frame`: `clock` (`true` or `cached`), `time` (UTC text), `offset_hours`; a row per change and one at either end.
    `moments`: `what` (a name), `start`, `end` (UTC text): spans that are shaded, the same text for an instant.

    Example: `charts.offset_timeline(views.offset_timeline(evidence, "Europe/Berlin"), moments)`
    """
    x = alt.X("time:T", title="date (UTC)", scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b"))
    clocks = {"true": BLUE, "cached": VERMILLION}
    dashes, offsets = (
        alt.Scale(domain=list(clocks), range=[[1, 0], [5, 4]]),
        alt.Scale(zero=False, nice=True, padding=8),
    )
    lines = (
        alt.Chart(frame)
        .mark_line(interpolate="step-after", strokeWidth=3)
        .encode(
            x=x,
            y=alt.Y("offset_hours:Q", title="offset from UTC (h)", scale=offsets),
            color=coloured("clock:N", clocks, "clock"),
            strokeDash=alt.StrokeDash("clock:N", title="clock", scale=dashes),
            tooltip=tooltip("clock:N", "time:N", offset_hours="+.2f"),
        )
    )
    start = alt.X("start:T", title="date (UTC)", scale=alt.Scale(type="utc"))
    spans = alt.Chart(moments).mark_rect(color=GREY, opacity=0.35, stroke=GREY).encode(x=start, x2="end:T")
    height, rows = 150, moments.height
    names = [
        alt.Chart(moments[row])
        .mark_text(align="right", dx=-6)
        .encode(x=start, y=alt.value(height * (row + 1) / (rows + 1)), text="what:N")
        for row in range(rows)
    ]
    subtitle = "where the dashed line leaves the solid one, the cache is wrong"
    return headed(alt.layer(spans, lines, *names), "Offset from UTC, cached against true", subtitle, height=height)


def t1_by_cache_year(frame: pl.DataFrame, year: int) -> Chart:
    """T1 by the last year of the transition cache, with its thresholds; the chosen year is large.

    The chosen year is the parameter `year` of the chart, so that a slider can move it without a new chart.

    `frame`: `year`, `t1` (share, 0..1), `mismatches` (count), `own` (whether it is the cache's own), `b`, `bplus`.
    `year`: the year chosen at first.

    Example: `charts.t1_by_cache_year(views.t1_by_cache_year(views.ClockCounts(evidence)), 2025)`
    """
    chosen = alt.param(name=YEAR_PARAM, value=year)
    top = 1.25 * max(*frame["t1"].to_list(), *frame["b"].to_list())
    x = alt.X("year:O", title="last year of the cache (UTC)", axis=alt.Axis(labelAngle=0))
    y = alt.Y("t1:Q", title="T1, wrong clocks (%)", axis=alt.Axis(format=".1%"), scale=alt.Scale(domain=[0, top]))
    base = alt.Chart(frame).encode(x=x, y=y, tooltip=tooltip("year:O", t1=".4%", mismatches=","))
    stems = base.mark_rule(strokeWidth=2, color=GREY).encode(y2=alt.datum(0))
    colour = alt.condition("datum.t1 <= datum.bplus", alt.value(BLUE), alt.value(VERMILLION))
    size = alt.condition(f"datum.year == {YEAR_PARAM}", alt.value(260), alt.value(70))
    points = base.mark_point(filled=True, opacity=1).encode(color=colour, size=size)
    values = base.mark_text(dy=-16).encode(text=alt.Text("t1:Q", format=".2%"))
    own = base.transform_filter("datum.own").mark_text(align="left", dx=13).encode(text=alt.value("now"))
    layers = alt.layer(*_thresholds(frame), stems, points, values, own).add_params(chosen)
    subtitle = "T1 of these very arrivals: no draw depends on the cache, so all else stays as it is"
    return headed(layers, "What if the cache ended in another year?", subtitle, height=190, width=alt.Step(62))


def _thresholds(frame: pl.DataFrame) -> list[alt.Chart]:
    limits = pl.DataFrame([{"level": name, "limit": frame[key].max()} for name, key in (("B", "b"), ("B+", "bplus"))])
    base = alt.Chart(limits).encode(y=alt.Y("limit:Q", title="T1, wrong clocks (%)"))
    names = base.mark_text(align="left", dx=3, dy=-6).encode(x=alt.value(0), text="level:N")
    return [base.mark_rule(strokeDash=[4, 3]), names]
