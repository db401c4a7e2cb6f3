"""How many rows share one logical key, and how many series one group."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREY


def component_multiplicity(frame: pl.DataFrame) -> Chart:
    """Logical keys by the number of components that share them; counts on a logarithmic scale, labelled.

    Parameters
    ----------
    frame : `components` (1, 2, …), `series_keys` (count of logical keys, in series), `share` (fraction of the keys).

    Example: `charts.component_multiplicity(views.component_multiplicity(evidence))`
    """
    base = alt.Chart(frame).encode(
        x=alt.X("components:O", title="components of the key (series)", axis=alt.Axis(labelAngle=0)),
        tooltip=[
            "components:O",
            alt.Tooltip("series_keys:Q", format=","),
            alt.Tooltip("row_keys:Q", format=","),
            alt.Tooltip("share:Q", format=".2%"),
        ],
    )
    y = alt.Y("series_keys:Q", title="logical keys (count, logarithmic)", scale=alt.Scale(type="log", domainMin=0.5))
    bars = base.mark_bar(color=BLUE).encode(y=y, y2=alt.Y2Datum(0.5))
    labels = base.mark_text(dy=-7).encode(y=y, text=alt.Text("series_keys:Q", format=","))
    return alt.layer(bars, labels).properties(
        title=alt.TitleParams(
            "Component multiplicity", subtitle="series of one merchant, zone and channel in several countries"
        ),
        width=alt.Step(70),
    )


def group_sizes(frame: pl.DataFrame) -> Chart:
    """The shape of the groups: a line for each side, wide and grey for the baseline, thin and blue for the candidate.

    Parameters
    ----------
    frame : `role` (`baseline`, `candidate`), `members` (series of a group: 1, 2, …), `groups` of that size, `share` of
        the side's groups with at most so many members.

    Example: `charts.group_sizes(views.group_sizes(run.store))`
    """
    roles, widths = ["baseline", "candidate"], [7, 2]
    lines: Chart = (
        alt.Chart(frame)
        .mark_line(interpolate="step-after", point=True)
        .encode(
            x=alt.X("members:Q", title="members of a group (series, logarithmic)", scale=alt.Scale(type="log")),
            y=alt.Y("share:Q", title="groups with at most so many (share)", axis=alt.Axis(format="%")),
            color=alt.Color("role:N", title="run", scale=alt.Scale(domain=roles, range=[GREY, BLUE])),
            strokeWidth=alt.StrokeWidth("role:N", legend=None, scale=alt.Scale(domain=roles, range=widths)),
            tooltip=["role:N", "members:Q", alt.Tooltip("groups:Q", format=","), alt.Tooltip("share:Q", format=".2%")],
        )
    )
    title = alt.TitleParams("Shape of the groups", subtitle="equal shapes lie on one another")
    return lines.properties(title=title, width=560)
