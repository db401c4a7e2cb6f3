"""Conservation: what S3 promised is what S4 delivered, row by row and key by key."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.renderer import Chart
from segment5b_lib.charts.theme import BLUE, ORANGE


def conservation(frame: pl.DataFrame) -> Chart:
    """Arrivals promised by S3 and delivered by S4, before and after aggregation to the logical key.

    Parameters
    ----------
    frame : `level` (what was compared), `source` (S3 or S4), `arrivals` (count), `keys_compared`,
        `keys_that_differ` (counts, the same for both sources of a level).
    """
    levels = frame["level"].unique(maintain_order=True).to_list()
    base = alt.Chart(frame).encode(
        y=alt.Y("level:N", title=None, sort=levels),
        tooltip=["level:N", "source:N", alt.Tooltip("arrivals:Q", format=",")],
    )
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
    return alt.layer(bars, verdicts).properties(
        title=alt.TitleParams(
            "Conservation S3 ↔ S4", subtitle="promised and delivered arrivals, by level of aggregation"
        ),
        height=alt.Step(18),
    )
