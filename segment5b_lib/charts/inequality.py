"""Inequality of arrivals: Lorenz curves, and the shares of the k largest of each kind."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.parts import coloured, headed, tooltip
from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREEN, GREY, ORANGE, PINK

_KINDS = {"sites": BLUE, "edges": ORANGE, "merchants": GREEN, "zones": PINK}


def lorenz(frame: pl.DataFrame) -> Chart:
    """Lorenz curves of sites and edges, with their Gini indices; the grey diagonal is equality.

    `frame`: `kind` (sites or edges), `places_share`, `arrivals_share` (fractions, both rising from 0 to 1), `gini` (the
    same on all rows of a kind).

    Example: `charts.lorenz(views.lorenz(evidence))`
    """
    named = frame.with_columns(curve=pl.format("{}, Gini {}", "kind", pl.col("gini").round(3)))
    shown = named.select("kind", "curve").unique(maintain_order=True)
    colours = {curve: _KINDS[kind] for kind, curve in shown.iter_rows()}
    x = alt.X("places_share:Q", title="share of places, smallest first (%)", axis=alt.Axis(format=".0%"))
    y = alt.Y("arrivals_share:Q", title="share of the kind's arrivals (%)", axis=alt.Axis(format=".0%"))
    about = tooltip("kind:N", places_share=".1%", arrivals_share=".2%")
    curves = (
        alt.Chart(named).mark_line().encode(x=x, y=y, color=coloured("curve:N", colours, "arrivals by"), tooltip=about)
    )
    even = alt.Chart(pl.DataFrame({"places_share": [0.0, 1.0], "arrivals_share": [0.0, 1.0]}))
    diagonal = even.mark_line(color=GREY, strokeDash=[4, 3]).encode(x=x, y=y)
    subtitle = "the further below the diagonal, the more uneven"
    return headed(alt.layer(diagonal, curves), "Lorenz curves", subtitle, width=360, height=360)


def top_k_curves(frame: pl.DataFrame) -> Chart:
    """Share of arrivals that the k largest sites, edges, merchants and zones hold; k on a logarithmic scale.

    `frame`: `kind` (sites, edges, merchants or zones), `k` (count), `k_share` (fraction of all of the kind), `share`
    (fraction of the arrivals; of the physical ones for sites, of the virtual ones for edges).

    Example: `charts.top_k_curves(views.top_k_curves(evidence))`
    """
    kinds = set(frame["kind"])
    whole = alt.Scale(domain=[0, 1])
    curves = (
        alt.Chart(frame)
        .mark_line()
        .encode(
            x=alt.X("k:Q", title="k largest (count, logarithmic)", scale=alt.Scale(type="log", nice=False)),
            y=alt.Y("share:Q", title="share of arrivals (%)", axis=alt.Axis(format=".0%"), scale=whole),
            color=coloured("kind:N", {kind: own for kind, own in _KINDS.items() if kind in kinds}, "largest"),
            tooltip=tooltip("kind:N", k=",", k_share=".2%", share=".2%"),
        )
    )
    return headed(curves, "Top-k concentration", "what the k largest hold; a curve that starts high is a heavy head")
