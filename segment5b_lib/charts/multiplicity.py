"""Component multiplicity: how many rows share one logical key."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.renderer import Chart
from segment5b_lib.charts.theme import BLUE


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
