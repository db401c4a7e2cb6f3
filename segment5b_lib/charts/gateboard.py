"""Several runs judged: their gates, the plane of T6 and T7, the metrics of every seed, the phase decisions."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import polars as pl

from segment5b_lib.charts.parts import coloured, headed, tooltip
from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREEN, GREY, ORANGE, PINK, SKY, VERDICT_COLOURS, VERMILLION

_ROW_HEIGHT = 36
_COLUMN_WIDTH = 310
_LEAST_COLUMN_WIDTH = 200
_WIDTH = 800
"""Columns become narrower if several runs would be wider than a page, but not too narrow for their text."""


def gate_matrix(frame: pl.DataFrame) -> Chart:
    """Gates × runs, coloured by verdict; each cell has the value and its distance to the B threshold.

    `frame`: one row per gate and run, in the order of the board: `gate` and `run` (labels), `verdict` (a word of
    `Verdict`), `value`, `threshold` and `distance` (texts with their units).

    Example: `charts.gate_matrix(views.gate_matrix([scorecard]))`
    """
    gates = frame["gate"].unique(maintain_order=True).to_list()
    runs = frame["run"].unique(maintain_order=True).to_list()
    gap = alt.Scale(paddingInner=0.12)
    base = (
        alt.Chart(frame)
        .transform_calculate(headline="datum.value + '  ·  ' + replace(datum.verdict, /_/g, ' ')")
        .encode(
            y=alt.Y("gate:N", sort=gates, title=None, axis=alt.Axis(labelLimit=360), scale=gap),
            x=alt.X("run:N", sort=runs, title="run", axis=alt.Axis(orient="top", labelAngle=0)),
            tooltip=["gate:N", "run:N", "verdict:N", "value:N", "threshold:N", "distance:N"],
        )
    )
    colours = alt.Scale(domain=[verdict.value for verdict in VERDICT_COLOURS], range=list(VERDICT_COLOURS.values()))
    cells = base.mark_rect(cornerRadius=4, fillOpacity=0.3, strokeWidth=1.5).encode(
        fill=alt.Fill("verdict:N", title="verdict", scale=colours),
        stroke=alt.Stroke("verdict:N", scale=colours, legend=None),
    )
    column = min(_COLUMN_WIDTH, max(_LEAST_COLUMN_WIDTH, _WIDTH // len(runs))) if runs else _COLUMN_WIDTH
    left = 8 - column / 2
    headlines = base.mark_text(align="left", fontWeight="bold", dx=left, dy=-7).encode(text="headline:N")
    distances = base.mark_text(align="left", fontSize=10, dx=left, dy=8).encode(text="distance:N")
    size = {"width": column * len(runs), "height": _ROW_HEIGHT * len(gates)}
    layers = alt.layer(cells, headlines, distances)
    return headed(layers, "Gate matrix", "value · verdict, and the distance to the B threshold", **size)


_ROLES = {"baseline": VERMILLION, "candidate": BLUE, "witness": ORANGE}


def t6_t7_plane(frame: pl.DataFrame, bands: Mapping[str, Mapping[str, tuple[float, float]]]) -> Chart:
    """Runs in the plane of concentration (T6) and online share (T7), predicted and measured.

    `frame`: `run`, `role`, `kind` (`predicted` or `measured`), `t6`, `t7` (shares, 0..1).
    `bands`: level (`b`, `bplus`) to gate (`T6`, `T7`) to its bounds, shares.

    Example: `charts.t6_t7_plane(comparison.plane(), comparison.bands())`
    """
    boxes = pl.DataFrame(
        [({"b": "B", "bplus": "B+"}[level], *gates["T6"], *gates["T7"]) for level, gates in bands.items()],
        schema=["level", "t6_low", "t6_high", "t7_low", "t7_high"],
        orient="row",
    )
    low = min([*frame["t6"].to_list(), *(gates["T6"][1] for gates in bands.values())]) - 0.06
    share = alt.Axis(format=".0%")
    x = alt.X("t6:Q", title="T6: ten largest zones (share of arrivals)", axis=share, scale=alt.Scale(domainMin=low))
    y = alt.Y("t7:Q", title="T7: virtual (share of arrivals)", axis=share, scale=alt.Scale(domainMin=0))
    shown = alt.Chart(boxes.with_columns(pl.max_horizontal("t6_low", pl.lit(low))))
    colour = coloured("level:N", {"B": SKY, "B+": BLUE}, "band")
    corners = {"x": "t6_low:Q", "x2": "t6_high:Q", "y": "t7_low:Q", "y2": "t7_high:Q"}
    area = shown.mark_rect(opacity=0.18, stroke=GREY).encode(**corners, color=colour)
    names = alt.Chart(boxes).mark_text(align="right", dx=-5, dy=12).encode(x="t6_high:Q", y="t7_high:Q", text="level:N")
    links = alt.Chart(frame).mark_line(strokeWidth=1, color=GREY).encode(x=x, y=y, detail="run:N")
    shapes = alt.Scale(domain=["predicted", "measured"], range=["circle", "cross"])
    points = (
        alt.Chart(frame)
        .mark_point(size=110, strokeWidth=2)
        .encode(
            x=x,
            y=y,
            shape=alt.Shape("kind:N", title=None, scale=shapes),
            color=coloured("role:N", _ROLES),
            tooltip=tooltip("run:N", "kind:N", t6=".3%", t7=".3%"),
        )
    )
    layers = alt.layer(area, names, links, points).resolve_scale(color="independent")
    subtitle = "predicted and measured; inside both boxes B and B+ hold"
    return headed(layers, "Concentration and online share", subtitle, height=320)


_SEEDS = [BLUE, ORANGE, GREEN, PINK, VERMILLION, GREY]
_KINDS = {"open": BLUE, "reopen": ORANGE, "hold": VERMILLION, "what-if": GREY}


def seed_dots(frame: pl.DataFrame, *, b_max: float, bplus_max: float) -> Chart:
    """Every key metric on every seed, as its distance from the mean of the seeds, labelled with its CV.

    `frame`: `metric`, `seed` (text), `value` (in the metric's own unit), `cv` (sd / mean, 0 for a metric that is noise
    around zero, null if not measured).
    `b_max`, `bplus_max`: bounds of the CV.

    Example: `charts.seed_dots(by_seed, b_max=0.1, bplus_max=0.05)`
    """
    mean = pl.col("value").mean().over("metric")
    spread = frame.with_columns(
        apart=pl.when(mean != 0).then(pl.col("value") / mean - 1).otherwise(0.0),
        name=pl.format("{}  CV {}", "metric", pl.col("cv").round(4)),
    )
    dots = (
        alt.Chart(spread)
        .mark_point(filled=True, size=90, opacity=0.8)
        .encode(
            x=alt.X("apart:Q", title="distance from the mean of the seeds (%)", axis=alt.Axis(format="+.1%")),
            y=alt.Y("name:N", title=None, sort=spread["name"].unique(maintain_order=True).to_list()),
            color=alt.Color("seed:N", title="seed", scale=alt.Scale(range=_SEEDS)),
            shape=alt.Shape("seed:N", title="seed"),
            tooltip=tooltip("metric:N", "seed:N", value=".6g", cv=".4f"),
        )
    )
    subtitle = f"coefficient of variation at most {bplus_max:g} for B+, {b_max:g} for B"
    return headed(dots, "Key metrics by seed", subtitle, height=alt.Step(34))


def phase_board(frame: pl.DataFrame) -> Chart:
    """Phase decisions: one row per run, one column per phase, the decision's kind as colour and text.

    `frame`: `run_id`, `posture`, `seed`, `phase`, `decision`, `stands` (`open`, `reopen`, `hold`, `what-if`),
    `held_by`; at most one row per run and phase, runs and phases in the order of the chart.

    Example: `charts.phase_board(board)`
    """
    named = frame.with_columns(run=pl.format("{} {} seed {}", pl.col("run_id").str.head(8), "posture", "seed"))
    phases, runs = (named[name].unique(maintain_order=True).to_list() for name in ("phase", "run"))
    x = alt.X("phase:N", title="phase", axis=alt.Axis(labelAngle=0), sort=phases)
    y = alt.Y("run:N", title=None, sort=runs)
    base = alt.Chart(named).encode(x=x, y=y, tooltip=["run:N", "phase:N", "decision:N", "held_by:N"])
    cells = base.mark_rect(stroke="white", strokeWidth=2).encode(color=coloured("stands:N", _KINDS))
    labels = base.mark_text(color="white", fontSize=10).encode(text="stands:N")
    subtitle, size = (
        "the latest decision of every phase about every run",
        {"height": alt.Step(28), "width": alt.Step(62)},
    )
    return headed(alt.layer(cells, labels), "Phase board", subtitle, **size)
