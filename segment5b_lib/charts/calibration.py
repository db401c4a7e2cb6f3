"""The plane of concentration and online share: bands, predicted and measured candidates."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import polars as pl

from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREY, ORANGE, SKY, VERMILLION

_ROLES = {"baseline": VERMILLION, "candidate": BLUE, "witness": ORANGE}


def t6_t7_plane(frame: pl.DataFrame, bands: Mapping[str, Mapping[str, tuple[float, float]]]) -> Chart:
    """Runs in the plane of concentration (T6) and online share (T7), predicted and measured.

    Parameters
    ----------
    frame : `run`, `role`, `kind` (`predicted` or `measured`), `t6`, `t7` (shares, 0..1).
    bands : level (`b`, `bplus`) to gate (`T6`, `T7`) to its bounds, shares.

    Example: `charts.t6_t7_plane(comparison.plane(), comparison.bands())`
    """
    boxes = pl.DataFrame(
        [
            {
                "level": {"b": "B", "bplus": "B+"}[level],
                "t6_low": t6[0],
                "t6_high": t6[1],
                "t7_low": t7[0],
                "t7_high": t7[1],
            }
            for level, gates in bands.items()
            for t6, t7 in [(gates["T6"], gates["T7"])]
        ]
    )
    low = min([*frame["t6"].to_list(), *(gates["T6"][1] for gates in bands.values())]) - 0.06
    share = alt.Axis(format=".0%")
    x = alt.X("t6:Q", title="T6: ten largest zones (share of arrivals)", axis=share, scale=alt.Scale(domainMin=low))
    y = alt.Y("t7:Q", title="T7: virtual (share of arrivals)", axis=share, scale=alt.Scale(domainMin=0))
    area = (
        alt.Chart(boxes.with_columns(pl.max_horizontal("t6_low", pl.lit(low))))
        .mark_rect(opacity=0.18, stroke=GREY)
        .encode(
            x=alt.X("t6_low:Q"),
            x2="t6_high:Q",
            y=alt.Y("t7_low:Q"),
            y2="t7_high:Q",
            color=alt.Color("level:N", title="band", scale=alt.Scale(domain=["B", "B+"], range=[SKY, BLUE])),
        )
    )
    names = alt.Chart(boxes).mark_text(align="right", dx=-5, dy=12).encode(x="t6_high:Q", y="t7_high:Q", text="level:N")
    links = alt.Chart(frame).mark_line(strokeWidth=1, color=GREY).encode(x=x, y=y, detail="run:N")
    points = (
        alt.Chart(frame)
        .mark_point(size=110, strokeWidth=2)
        .encode(
            x=x,
            y=y,
            shape=alt.Shape(
                "kind:N", title=None, scale=alt.Scale(domain=["predicted", "measured"], range=["circle", "cross"])
            ),
            color=alt.Color("role:N", title=None, scale=alt.Scale(domain=list(_ROLES), range=list(_ROLES.values()))),
            tooltip=["run:N", "kind:N", alt.Tooltip("t6:Q", format=".3%"), alt.Tooltip("t7:Q", format=".3%")],
        )
    )
    drawn: alt.LayerChart = (
        alt.layer(area, names, links, points)
        .resolve_scale(color="independent")
        .properties(
            title=alt.TitleParams(
                "Concentration and online share", subtitle="predicted and measured; inside both boxes B and B+ hold"
            ),
            height=320,
        )
    )
    return drawn
