"""Arrivals by local hour and on weekends: stored and expected."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.parts import headed, tooltip
from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREY, ORANGE

_HOURS = list(range(0, 24, 3))


def hour_profile(frame: pl.DataFrame) -> Chart:
    """Share of arrivals by local hour, physical and virtual, stored (solid) and expected (dashed).

    `frame`: `hour` (0..23), `kind` (physical or virtual), `basis` (stored or expected), `share` (fraction of the kind's
    arrivals).

    Example: `charts.hour_profile(views.hour_profile(evidence))`
    """
    dashes = alt.Scale(domain=["stored", "expected"], range=[[1, 0], [4, 3]])
    lines = (
        alt.Chart(frame)
        .mark_line()
        .encode(
            x=alt.X("hour:Q", title="local hour of day (h)", axis=alt.Axis(values=_HOURS)),
            y=alt.Y("share:Q", title="share of the kind's arrivals (%)", axis=alt.Axis(format=".1%")),
            color=alt.Color("kind:N", title="arrivals", scale=alt.Scale(range=[BLUE, ORANGE])),
            strokeDash=alt.StrokeDash("basis:N", title="local time", scale=dashes),
            tooltip=tooltip("hour:Q", "kind:N", "basis:N", share=".3%"),
        )
    )
    return headed(lines, "Hour profile", "where the dashed line leaves the solid one, the clock is wrong")


def hour_matrix(frame: pl.DataFrame) -> Chart:
    """Stored against expected local hour: a right clock leaves only the (grey) diagonal.

    `frame`: `expected_hour`, `stored_hour` (0..23), `arrivals` (count > 0), `share` (fraction of the expected hour's
    arrivals).

    Example: `charts.hour_matrix(views.hour_matrix(evidence))`
    """
    base = alt.Chart(frame).encode(
        x=alt.X("stored_hour:O", title="stored local hour (h)", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("expected_hour:O", title="expected local hour (h)"),
        tooltip=tooltip("expected_hour:O", "stored_hour:O", arrivals=",", share=".3%"),
    )
    right = base.transform_filter("datum.stored_hour == datum.expected_hour").mark_rect(color=GREY, opacity=0.35)
    heat, legend = alt.Scale(domainMin=0, interpolate="rgb"), alt.Legend(format=".1%", gradientLength=140)
    colour = alt.Color("share:Q", title="share of expected hour", scale=heat, legend=legend)
    wrong = base.transform_filter("datum.stored_hour != datum.expected_hour").mark_rect().encode(color=colour)
    subtitle = "off the diagonal: arrivals that the clock put into another hour"
    return headed(alt.layer(right, wrong), "Stored × expected hour", subtitle, width=400, height=400)


def weekend_share(frame: pl.DataFrame) -> Chart:
    """Share of arrivals on local Saturdays and Sundays: observed, and expected from the intensities.

    `frame`: `scenario_id`, `basis` (observed or expected), `share` (fraction), `low`, `high` (the range that the count
    law allows around an expected share; equal to `share` for an observed one).

    Example: `charts.weekend_share(views.weekend_share(evidence))`
    """
    base = alt.Chart(frame).encode(
        y=alt.Y("scenario_id:N", title="scenario"),
        yOffset=alt.YOffset("basis:N"),
        tooltip=tooltip("scenario_id:N", "basis:N", share=".3%"),
    )
    title, scale = "share of arrivals on local weekends (%)", alt.Scale(zero=False, padding=30)
    x = alt.X("share:Q", title=title, axis=alt.Axis(format=".2%", tickCount=6), scale=scale)
    colour = alt.Color("basis:N", title="weekend share", scale=alt.Scale(range=[ORANGE, BLUE]))
    intervals = base.mark_rule(strokeWidth=3, opacity=0.6).encode(
        x=alt.X("low:Q", title=title), x2="high:Q", color=colour
    )
    points = base.mark_point(filled=True, size=90, opacity=1).encode(x=x, color=colour)
    labels = base.mark_text(dy=-11).encode(x=x, text=alt.Text("share:Q", format=".3%"))
    layers, subtitle = alt.layer(intervals, points, labels), "by local date; the bar is what chance allows (± 4 SE)"
    return headed(layers, "Weekend share", subtitle, height=alt.Step(34))
