"""The gate matrix: every gate of every run by verdict, with its distance to the threshold."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import VERDICT_COLOURS

_ROW_HEIGHT = 36
_COLUMN_WIDTH = 310
_LEAST_COLUMN_WIDTH = 200
_WIDTH = 800
"""Columns become narrower if several runs would be wider than a page, but not too narrow for their text."""


def gate_matrix(frame: pl.DataFrame) -> Chart:
    """Gates × runs, coloured by verdict; each cell has the value and its distance to the B threshold.

    Parameters
    ----------
    frame : one row per gate and run, in the order of the board: `gate` and `run` (labels), `verdict` (a word
        of `Verdict`), `value`, `threshold` and `distance` (texts with their units).

    Example: `charts.gate_matrix(views.gate_matrix([scorecard]))`
    """
    gates = frame["gate"].unique(maintain_order=True).to_list()
    runs = frame["run"].unique(maintain_order=True).to_list()
    base = (
        alt.Chart(frame)
        .transform_calculate(headline="datum.value + '  ·  ' + replace(datum.verdict, /_/g, ' ')")
        .encode(
            y=alt.Y(
                "gate:N", sort=gates, title=None, axis=alt.Axis(labelLimit=360), scale=alt.Scale(paddingInner=0.12)
            ),
            x=alt.X("run:N", sort=runs, title="run", axis=alt.Axis(orient="top", labelAngle=0)),
            tooltip=["gate:N", "run:N", "verdict:N", "value:N", "threshold:N", "distance:N"],
        )
    )
    cells = base.mark_rect(cornerRadius=4, fillOpacity=0.3, strokeWidth=1.5).encode(
        fill=alt.Fill("verdict:N", title="verdict", scale=_verdict_scale()),
        stroke=alt.Stroke("verdict:N", scale=_verdict_scale(), legend=None),
    )
    column = min(_COLUMN_WIDTH, max(_LEAST_COLUMN_WIDTH, _WIDTH // len(runs))) if runs else _COLUMN_WIDTH
    left = 8 - column / 2
    headlines = base.mark_text(align="left", fontWeight="bold", dx=left, dy=-7).encode(text="headline:N")
    distances = base.mark_text(align="left", fontSize=10, dx=left, dy=8).encode(text="distance:N")
    return alt.layer(cells, headlines, distances).properties(
        title=alt.TitleParams("Gate matrix", subtitle="value · verdict, and the distance to the B threshold"),
        width=column * len(runs),
        height=_ROW_HEIGHT * len(gates),
    )


def _verdict_scale() -> alt.Scale:
    return alt.Scale(domain=[verdict.value for verdict in VERDICT_COLOURS], range=list(VERDICT_COLOURS.values()))
