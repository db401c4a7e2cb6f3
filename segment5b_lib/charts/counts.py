"""Counts: against their means, conserved from S3 to S4, and of the series of a logical key and of a group."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.parts import coloured, headed, tooltip
from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREEN, GREY, ORANGE, VERMILLION

_SHOWN = 6.0
"""Residuals further from 0 than this are left out of the chart, not of the figures."""
_KINDS = {"physical": BLUE, "virtual": ORANGE, "both": GREEN}


def merchant_intensity(frame: pl.DataFrame) -> Chart:
    """Arrivals of every merchant against its expected arrivals, both on logarithmic scales.

    `frame`: `merchant_id` (text), `kind` (physical, virtual or both), `expected` (Σ λ), `arrivals` (count). Merchants
    without either do not fit on a logarithmic scale and are left out.

    Example: `charts.merchant_intensity(views.merchant_intensity(evidence))`
    """
    shown = frame.filter((pl.col("expected") > 0) & (pl.col("arrivals") > 0)).sort("kind")
    ends = [shown["expected"].min(), shown["expected"].max()]
    line = pl.DataFrame({"expected": ends, "arrivals": ends})
    logarithmic = alt.Scale(type="log", nice=False, padding=12)
    x = alt.X("expected:Q", title="expected arrivals (Σ λ, logarithmic)", scale=logarithmic)
    y = alt.Y("arrivals:Q", title="arrivals (count, logarithmic)", scale=logarithmic)
    kinds = set(shown["kind"])
    colour = coloured("kind:N", {kind: own for kind, own in _KINDS.items() if kind in kinds}, "arrivals")
    about = tooltip("merchant_id:N", "kind:N", expected=",.0f", arrivals=",")
    points = (
        alt.Chart(shown).mark_point(filled=True, size=28, opacity=0.6).encode(x=x, y=y, color=colour, tooltip=about)
    )
    equal = alt.Chart(line).mark_line(color=GREY, strokeDash=[4, 3]).encode(x=x, y=y)
    subtitle = "one point per merchant; on the line it got what was promised"
    return headed(alt.layer(equal, points), "Merchant intensity and arrivals", subtitle, width=400, height=400)


def residuals(frame: pl.DataFrame) -> Chart:
    """Histogram of (N − μ)/√μ and, below it, its distribution function.

    `frame`: `low`, `high` (edges of a bin, in √μ), `rows` (count), `share`, `cumulative` (fraction below `high`).

    Example: `charts.residuals(views.residuals(evidence))`
    """
    shown = frame.filter((pl.col("low") >= -_SHOWN) & (pl.col("high") <= _SHOWN))
    scale = alt.Scale(domain=[-_SHOWN, _SHOWN])
    beyond = 1 - shown["share"].sum()
    title = "residual (N − μ)/√μ (standard deviations of a Poisson count)"
    about = tooltip(low=".2f", high=".2f", rows=",", cumulative=".3%")
    histogram = (
        alt.Chart(shown)
        .mark_bar(color=BLUE, binSpacing=0)
        .encode(
            x=alt.X("low:Q", title=title, bin="binned", scale=scale),
            x2="high:Q",
            y=alt.Y("share:Q", title="share of rows (%)", axis=alt.Axis(format=".1%")),
            tooltip=about,
        )
        .properties(height=200)
    )
    function = (
        alt.Chart(shown)
        .mark_line(color=VERMILLION, interpolate="step-before")
        .encode(
            x=alt.X("high:Q", title=title, scale=scale),
            y=alt.Y("cumulative:Q", title="share of rows below (%)", axis=alt.Axis(format=".0%")),
            tooltip=about,
        )
        .properties(height=160)
    )
    subtitle = f"rows that may have arrivals; {beyond:.2%} of them lie beyond ± {_SHOWN:g}"
    return headed(alt.vconcat(histogram, function), "Residuals of the counts", subtitle)


def conservation(frame: pl.DataFrame) -> Chart:
    """Arrivals drawn by S3 and written by S4, before and after aggregation to the logical key.

    `frame`: `level` (what was compared), `source` (S3 or S4), `arrivals` (count), `keys_compared`, `keys_that_differ`
    (counts, the same for both sources of a level).

    Example: `charts.conservation(views.conservation(evidence))`
    """
    levels = frame["level"].unique(maintain_order=True).to_list()
    about = tooltip("level:N", "source:N", arrivals=",")
    base = alt.Chart(frame).encode(y=alt.Y("level:N", title=None, sort=levels), tooltip=about)
    bars = base.mark_bar().encode(
        yOffset=alt.YOffset("source:N"),
        x=alt.X("arrivals:Q", title="arrivals (count)", axis=alt.Axis(format="~s")),
        color=alt.Color("source:N", title=None, legend=alt.Legend(orient="top"), scale=alt.Scale(range=[ORANGE, BLUE])),
    )
    verdicts = (
        base.transform_calculate(
            label="format(datum.keys_that_differ, ',') + ' of ' + format(datum.keys_compared, ',') + ' keys differ'"
        )
        .transform_filter("datum.source == 'S4 arrivals'")
        .mark_text(align="left", dx=6)
        .encode(x="arrivals:Q", text="label:N")
    )
    subtitle = "promised and delivered arrivals, by level of aggregation"
    return headed(alt.layer(bars, verdicts), "Conservation S3 ↔ S4", subtitle, height=alt.Step(18))


def component_multiplicity(frame: pl.DataFrame) -> Chart:
    """Logical keys by the number of components that share them; counts on a logarithmic scale, labelled.

    `frame`: `components` (1, 2, …), `series_keys` (count of logical keys, in series), `share` (fraction of the keys).

    Example: `charts.component_multiplicity(views.component_multiplicity(evidence))`
    """
    base = alt.Chart(frame).encode(
        x=alt.X("components:O", title="components of the key (series)", axis=alt.Axis(labelAngle=0)),
        tooltip=tooltip("components:O", series_keys=",", row_keys=",", share=".2%"),
    )
    y = alt.Y("series_keys:Q", title="logical keys (count, logarithmic)", scale=alt.Scale(type="log", domainMin=0.5))
    bars = base.mark_bar(color=BLUE).encode(y=y, y2=alt.Y2Datum(0.5))
    labels = base.mark_text(dy=-7).encode(y=y, text=alt.Text("series_keys:Q", format=","))
    subtitle = "series of one merchant, zone and channel in several countries"
    return headed(alt.layer(bars, labels), "Component multiplicity", subtitle, width=alt.Step(70))


def group_sizes(frame: pl.DataFrame) -> Chart:
    """The shape of the groups: a line for each side, wide and grey for the baseline, thin and blue for the candidate.

    `frame`: `role` (`baseline`, `candidate`), `members` (series of a group: 1, 2, …), `groups` of that size, `share` of
    the side's groups with at most so many members.

    Example: `charts.group_sizes(views.group_sizes(run.store))`
    """
    roles, widths = ["baseline", "candidate"], [7, 2]
    lines = (
        alt.Chart(frame)
        .mark_line(interpolate="step-after", point=True)
        .encode(
            x=alt.X("members:Q", title="members of a group (series, logarithmic)", scale=alt.Scale(type="log")),
            y=alt.Y("share:Q", title="groups with at most so many (share)", axis=alt.Axis(format="%")),
            color=alt.Color("role:N", title="run", scale=alt.Scale(domain=roles, range=[GREY, BLUE])),
            strokeWidth=alt.StrokeWidth("role:N", legend=None, scale=alt.Scale(domain=roles, range=widths)),
            tooltip=tooltip("role:N", "members:Q", groups=",", share=".2%"),
        )
    )
    return headed(lines, "Shape of the groups", "equal shapes lie on one another", width=560)
