"""Where the time goes: seconds per state, stacked by lane."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.renderer import Chart
from segment5b_lib.charts.theme import LANE_COLOURS


def state_elapsed(frame: pl.DataFrame) -> Chart:
    """Elapsed seconds of each state, its lanes stacked.

    Parameters
    ----------
    frame : `state`, `lane` (a word of `Lane`), `seconds` (wall time).
    """
    lanes = list(LANE_COLOURS)
    base = alt.Chart(frame).encode(y=alt.Y("state:N", title="state"))
    bars = (
        base.transform_calculate(order=f"indexof({lanes!r}, datum.lane)")
        .mark_bar()
        .encode(
            x=alt.X("sum(seconds):Q", title="elapsed wall time (s)"),
            color=alt.Color("lane:N", title="lane", scale=alt.Scale(domain=lanes, range=list(LANE_COLOURS.values()))),
            order=alt.Order("order:Q"),
            tooltip=["state:N", "lane:N", alt.Tooltip("sum(seconds):Q", format=".3f")],
        )
    )
    totals = base.mark_text(align="left", dx=4).encode(
        x="sum(seconds):Q", text=alt.Text("sum(seconds):Q", format=".2f")
    )
    return alt.layer(bars, totals).properties(
        title=alt.TitleParams("State elapsed", subtitle="one run on one machine: a description, not a benchmark"),
        height=alt.Step(26),
    )
