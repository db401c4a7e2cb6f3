"""Inequality of arrivals: Lorenz curves, and the shares of the k largest of each kind."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREEN, GREY, ORANGE, PINK

_KINDS = {"sites": BLUE, "edges": ORANGE, "merchants": GREEN, "zones": PINK}


def lorenz(frame: pl.DataFrame) -> Chart:
    """Lorenz curves of sites and edges, with their Gini indices; the grey diagonal is equality.

    Parameters
    ----------
    frame : `kind` (sites or edges), `places_share`, `arrivals_share` (fractions, both rising from 0 to 1),
        `gini` (the same on all rows of a kind).

    Example: `charts.lorenz(views.lorenz(evidence))`
    """
    named = frame.with_columns(curve=pl.format("{}, Gini {}", "kind", pl.col("gini").round(3)))
    shown = named.select("kind", "curve").unique(maintain_order=True)
    colours = [_KINDS[kind] for kind in shown["kind"]]
    x = alt.X("places_share:Q", title="share of places, smallest first (%)", axis=alt.Axis(format=".0%"))
    y = alt.Y("arrivals_share:Q", title="share of the kind's arrivals (%)", axis=alt.Axis(format=".0%"))
    curves = (
        alt.Chart(named)
        .mark_line()
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "curve:N", title="arrivals by", scale=alt.Scale(domain=shown["curve"].to_list(), range=colours)
            ),
            tooltip=[
                "kind:N",
                alt.Tooltip("places_share:Q", format=".1%"),
                alt.Tooltip("arrivals_share:Q", format=".2%"),
            ],
        )
    )
    even = alt.Chart(pl.DataFrame({"places_share": [0.0, 1.0], "arrivals_share": [0.0, 1.0]}))
    diagonal = even.mark_line(color=GREY, strokeDash=[4, 3]).encode(x=x, y=y)
    return alt.layer(diagonal, curves).properties(
        title=alt.TitleParams("Lorenz curves", subtitle="the further below the diagonal, the more uneven"),
        width=360,
        height=360,
    )


def top_k_curves(frame: pl.DataFrame) -> Chart:
    """Share of arrivals that the k largest sites, edges, merchants and zones hold; k on a logarithmic scale.

    Parameters
    ----------
    frame : `kind` (sites, edges, merchants or zones), `k` (count), `k_share` (fraction of all of the kind), `share`
        (fraction of the arrivals; of the physical ones for sites, of the virtual ones for edges).

    Example: `charts.top_k_curves(views.top_k_curves(evidence))`
    """
    kinds = [kind for kind in _KINDS if kind in set(frame["kind"])]
    curves: Chart = (
        alt.Chart(frame)
        .mark_line()
        .encode(
            x=alt.X("k:Q", title="k largest (count, logarithmic)", scale=alt.Scale(type="log", nice=False)),
            y=alt.Y(
                "share:Q", title="share of arrivals (%)", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[0, 1])
            ),
            color=alt.Color("kind:N", title="largest", scale=alt.Scale(domain=kinds, range=[_KINDS[k] for k in kinds])),
            tooltip=[
                "kind:N",
                alt.Tooltip("k:Q", format=","),
                alt.Tooltip("k_share:Q", format=".2%"),
                alt.Tooltip("share:Q", format=".2%"),
            ],
        )
        .properties(
            title=alt.TitleParams(
                "Top-k concentration", subtitle="what the k largest hold; a curve that starts high is a heavy head"
            )
        )
    )
    return curves
