"""Errors of local times: by size, by zone and date, and by time since a transition."""

from __future__ import annotations

from typing import Protocol

import altair as alt
import polars as pl

from segment5b_lib.charts.parts import coloured, headed, tooltip
from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREY, ORANGE, VERMILLION

_CELL_HEIGHT = 15


def offset_distribution(frame: pl.DataFrame) -> Chart:
    """Arrivals by the error of their local time in seconds; 0 is right.

    `frame`: `offset_seconds` (stored minus expected local time, whole seconds; null for an irregular error), `arrivals`
    (count > 0), `share` (fraction of all arrivals).

    Example: `charts.offset_distribution(views.offset_distribution(evidence))`
    """
    logarithmic, axis = alt.Scale(type="log", domainMin=1), alt.Axis(format="~s", grid=False)
    base = (
        alt.Chart(frame)
        .transform_calculate(
            label="format(datum.arrivals, ',') + '  (' + format(datum.share, '.3%') + ')'",
            signed="datum.offset_seconds === null ? 'irregular' : datum.offset_seconds == 0 ? '0'"
            " : (datum.offset_seconds > 0 ? '+' : '−') + abs(datum.offset_seconds)",
        )
        .encode(
            y=alt.Y("signed:N", title="error (s)", sort=alt.SortField("offset_seconds")),
            x=alt.X("arrivals:Q", title="arrivals (count, log scale)", scale=logarithmic, axis=axis),
            tooltip=tooltip("offset_seconds:Q", arrivals=",", share=".4%"),
        )
    )
    colour = alt.condition("datum.offset_seconds == 0", alt.value(BLUE), alt.value(VERMILLION))
    stems = base.mark_rule(strokeWidth=2).encode(x2=alt.datum(1), color=colour)
    heads = base.mark_point(filled=True, size=110, opacity=1).encode(color=colour)
    labels = base.mark_text(align="left", dx=10).encode(text="label:N")
    subtitle = "arrivals by the error of their local time, stored − expected"
    return headed(alt.layer(stems, heads, labels), "Offset distribution", subtitle, height=alt.Step(36))


def mismatch_heatmap(frame: pl.DataFrame, *, selection: str = "") -> Chart:
    """Share of arrivals with a wrong local time, by UTC date and zone; zones in the frame's order.

    `frame`: `date` (UTC date as text), `tzid`, `arrivals`, `mismatches` (counts), `rate` (0..1); at most 5,000 rows, so
    the caller adds up the smaller zones.
    `selection`: name of a selection that a click on a cell sets to its `tzid` and `date`; empty: none.

    Example: `charts.mismatch_heatmap(views.mismatch_by_date_and_zone(evidence))`
    """
    zones = frame["tzid"].unique(maintain_order=True).to_list()
    axis = alt.Axis(labelAngle=-45, labelOverlap="greedy", ticks=False)
    cells = (
        alt.Chart(frame)
        .mark_rect()
        .encode(
            x=alt.X("date:O", title="date (UTC)", axis=axis),
            y=alt.Y("tzid:N", title="time zone", sort=zones),
            color=alt.Color(
                "rate:Q",
                title="mismatch rate (%)",
                scale=alt.Scale(domain=[0, 1], interpolate="rgb"),
                legend=alt.Legend(format=".0%", gradientLength=140),
            ),
            tooltip=tooltip("tzid:N", "date:O", arrivals=",", mismatches=",", rate=".2%"),
        )
    )
    if selection:
        cell = alt.selection_point(name=selection, fields=["tzid", "date"], on="click", empty=False)
        edge = alt.condition(cell, alt.value(BLUE), alt.value(None))
        cells = cells.add_params(cell).encode(stroke=edge, strokeWidth=alt.value(2))
    subtitle, height = (
        "share of arrivals whose local time is wrong; blank where there are none",
        _CELL_HEIGHT * len(zones),
    )
    return headed(cells, "Mismatch rate by date and zone", subtitle, width=720, height=height)


def dst_windows(frame: pl.DataFrame) -> Chart:
    """Distance between stored and expected hour profile in each window around a change, by the window's support.

    `frame`: `tzid`, `transition` (UTC text), `support` (arrivals), `mae_pp` (percentage points), `kind` (`can fail`,
    `cannot fail`, `thin`), `b`, `bplus` (bounds, pp).

    Example: `charts.dst_windows(views.dst_windows(scorecard))`
    """
    kinds = {"can fail": BLUE, "cannot fail": ORANGE, "thin": GREY}
    axis, symlog = alt.Axis(format="~s", values=[0, *(10**power for power in range(1, 9))]), alt.Scale(type="symlog")
    points = (
        alt.Chart(frame)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            x=alt.X("support:Q", title="arrivals in the window (count, log scale)", scale=symlog, axis=axis),
            y=alt.Y("mae_pp:Q", title="mean error of an hour's share (pp)"),
            color=coloured("kind:N", kinds),
            shape=alt.Shape("kind:N", title=None, scale=alt.Scale(domain=list(kinds))),
            tooltip=tooltip("tzid:N", "transition:N", support=",", mae_pp=".3f"),
        )
    )
    bounds = alt.Chart(frame).transform_aggregate(b="max(b)", bplus="max(bplus)").transform_fold(["b", "bplus"])
    lines = bounds.mark_rule(strokeDash=[4, 3]).encode(y="value:Q")
    names = (
        bounds.transform_calculate(name="datum.key == 'b' ? 'B' : 'B+'")
        .mark_text(align="left", dx=4, dy=-6)
        .encode(y="value:Q", x=alt.value(0), text="name:N")
    )
    subtitle = "stored against expected hour profile; a window that cannot fail proves nothing"
    return headed(alt.layer(points, lines, names), "Windows around the changes of offset", subtitle)


def days_since_transition(frame: pl.DataFrame) -> Chart:
    """Mismatch rate against days since the zone's own change of offset, with the arrivals of each day.

    A reader that only mishandles the ambiguous hour is wrong for a day; a cache that ends too early is wrong
    from the transition to the end of the horizon.

    `frame`: `day` (whole days since the transition, negative before it), `change` (direction of the change; returned:
    to the offset of the horizon's start), `arrivals` (count > 0), `rate` (0..1).

    Example: `charts.days_since_transition(views.days_since_transition(evidence))`
    """
    x = alt.X("day:Q", title="time since the zone's transition (days)", axis=alt.Axis(tickMinStep=1))
    base = alt.Chart(frame).encode(
        color=alt.Color("change:N", title="clock went"), tooltip=tooltip("day:Q", "change:N", arrivals=",", rate=".2%")
    )
    rate = base.mark_line(interpolate="step-after", strokeWidth=2.5).encode(
        x=x,
        strokeDash=alt.StrokeDash("change:N", legend=None),
        y=alt.Y("rate:Q", title="mismatch rate (%)", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[0, 1])),
    )
    moment = alt.Chart(frame).mark_rule(strokeDash=[4, 3]).encode(x=alt.datum(0))
    support = base.mark_area(interpolate="step-after", opacity=0.7).encode(
        x=x, y=alt.Y("arrivals:Q", title="arrivals (count)", stack="zero", axis=alt.Axis(format="~s", tickCount=3))
    )
    both = alt.vconcat((rate + moment).properties(height=190), support.properties(height=70))
    subtitle = "zones that change offset within the horizon, each aligned at its own transition"
    return headed(both, "Mismatch by days since the transition", subtitle)


class HasDaylightSaving(Protocol):
    """A run object with `dst` (see `segment5b_lib.open_run`)."""

    @property
    def dst(self) -> KnowsWrongClocks:
        """Effects of offset changes on the run."""


class KnowsWrongClocks(Protocol):
    """Provider of the frame of `mismatch_heatmap`."""

    def by_date_and_zone(self) -> pl.DataFrame:
        """Wrong clocks by UTC date and zone."""


def offset_heatmap(run: HasDaylightSaving) -> Chart:
    """The mismatch heatmap of a run that `segment5b_lib.open_run` has opened.

    Example: `charts.offset_heatmap(run)`
    """
    return mismatch_heatmap(run.dst.by_date_and_zone())
