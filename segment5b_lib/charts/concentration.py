"""Concentration of arrivals in the largest time zones."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.parts import headed, tooltip
from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREY, ORANGE, VERMILLION

_TOP = 10
_SHOWN = 20


def largest_zones(frame: pl.DataFrame) -> Chart:
    """The twenty largest zones by share of arrivals; the ten that gate T6 adds up are in colour.

    `frame`: one row per zone: `tzid`, `rank` (1 is the largest), `arrivals`, `share` (fraction of all).

    Example: `charts.largest_zones(views.zone_shares(evidence))`
    """
    largest = frame.filter(pl.col("rank") <= _SHOWN)
    top = frame.filter(pl.col("rank") <= _TOP)["share"].sum()
    base = alt.Chart(largest).encode(
        y=alt.Y("tzid:N", title="time zone", sort=alt.SortField("rank")),
        x=alt.X("share:Q", title="share of arrivals (%)", axis=alt.Axis(format=".0%")),
        tooltip=tooltip("rank:O", "tzid:N", arrivals=",", share=".2%"),
    )
    bars = base.mark_bar().encode(color=alt.condition(f"datum.rank <= {_TOP}", alt.value(BLUE), alt.value(GREY)))
    labels = base.mark_text(align="left", dx=4).encode(text=alt.Text("share:Q", format=".1%"))
    subtitle = f"the ten largest together hold {top:.1%} of arrivals"
    return headed(alt.layer(bars, labels), "Largest zones", subtitle, height=alt.Step(17))


def top_k_curve(frame: pl.DataFrame, *, b_max: float, bplus_max: float) -> Chart:
    """Share of arrivals in the k largest zones, with T6's thresholds at k = 10.

    The share of the top 10 % of zones is another figure; it has its own mark and label.

    `frame`: one row per zone: `tzid`, `rank` (1..zones), `cumulative` (share of the zones up to that rank).
    `b_max`, `bplus_max`: T6's upper bounds, fractions, from the run's policy.

    Example: `charts.top_k_curve(views.zone_shares(evidence), b_max=0.35, bplus_max=0.3)`
    """
    tenth = max(1, -(-frame.height // 10))
    marks = frame.filter(pl.col("rank").is_in([_TOP, tenth])).with_columns(
        label=pl.when(pl.col("rank") == tenth).then(pl.lit("top 10 % of zones")).otherwise(pl.lit("ten largest zones"))
        + pl.format(" (k = {}): ", "rank")
        + (pl.col("cumulative") * 100).round(1).cast(pl.String)
        + " %"
    )
    limits = pl.DataFrame({"limit": [b_max, bplus_max], "name": [f"B ≤ {b_max:.0%}", f"B+ ≤ {bplus_max:.0%}"]})
    x = alt.X("rank:Q", title="largest zones (count)", scale=alt.Scale(domainMin=1, nice=False))
    whole = alt.Scale(domain=[0, 1])
    y = alt.Y("cumulative:Q", title="share of arrivals (%)", axis=alt.Axis(format=".0%"), scale=whole)
    about = tooltip("rank:Q", "tzid:N", cumulative=".2%")
    curve = alt.Chart(frame).mark_line(color=BLUE).encode(x=x, y=y, tooltip=about)
    points = alt.Chart(marks).mark_point(filled=True, size=90, color=VERMILLION, opacity=1).encode(x=x, y=y)
    names = alt.Chart(marks).mark_text(align="left", dx=9, dy=9).encode(x=x, y=y, text="label:N")
    limit = alt.Chart(limits).encode(y="limit:Q")
    rules = limit.mark_rule(strokeDash=[5, 4], color=ORANGE)
    rule_names = limit.mark_text(align="right", dx=-4, dy=-6).encode(x=alt.value("width"), text="name:N")
    layers = alt.layer(rules, rule_names, curve, points, names)
    return headed(layers, "Zone concentration profile", f"{frame.height} zones with arrivals, largest first")
