"""Certification: key metrics of every seed, and the phase decisions of every run."""

from __future__ import annotations

import altair as alt
import polars as pl

from segment5b_lib.charts.renderer import Chart
from segment5b_lib.contract.colours import BLUE, GREEN, GREY, ORANGE, PINK, VERMILLION

_SEEDS = [BLUE, ORANGE, GREEN, PINK, VERMILLION, GREY]
_KINDS = {"open": BLUE, "reopen": ORANGE, "hold": VERMILLION, "what-if": GREY}


def seed_dots(frame: pl.DataFrame, *, b_max: float, bplus_max: float) -> Chart:
    """Every key metric on every seed, as its distance from the mean of the seeds, labelled with its CV.

    Parameters
    ----------
    frame : `metric`, `seed` (text), `value` (in the metric's own unit), `cv` (sd / mean, 0 for a metric that is noise
        around zero, null if not measured).
    b_max, bplus_max : bounds of the CV.

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
            tooltip=["metric:N", "seed:N", alt.Tooltip("value:Q", format=".6g"), alt.Tooltip("cv:Q", format=".4f")],
        )
    )
    drawn: alt.Chart = dots.properties(
        title=alt.TitleParams(
            "Key metrics by seed", subtitle=f"coefficient of variation at most {bplus_max:g} for B+, {b_max:g} for B"
        ),
        height=alt.Step(34),
    )
    return drawn


def phase_board(frame: pl.DataFrame) -> Chart:
    """Phase decisions: one row per run, one column per phase, the decision's kind as colour and text.

    Parameters
    ----------
    frame : `run_id`, `posture`, `seed`, `phase`, `decision`, `stands` (`open`, `reopen`, `hold`, `what-if`),
        `held_by`; at most one row per run and phase, runs and phases in the order of the chart.

    Example: `charts.phase_board(board)`
    """
    named = frame.with_columns(run=pl.format("{} {} seed {}", pl.col("run_id").str.head(8), "posture", "seed"))
    x = alt.X(
        "phase:N", title="phase", axis=alt.Axis(labelAngle=0), sort=named["phase"].unique(maintain_order=True).to_list()
    )
    y = alt.Y("run:N", title=None, sort=named["run"].unique(maintain_order=True).to_list())
    base = alt.Chart(named).encode(x=x, y=y, tooltip=["run:N", "phase:N", "decision:N", "held_by:N"])
    cells = base.mark_rect(stroke="white", strokeWidth=2).encode(
        color=alt.Color("stands:N", title=None, scale=alt.Scale(domain=list(_KINDS), range=list(_KINDS.values())))
    )
    labels = base.mark_text(color="white", fontSize=10).encode(text="stands:N")
    return alt.layer(cells, labels).properties(
        title=alt.TitleParams("Phase board", subtitle="the latest decision of every phase about every run"),
        height=alt.Step(28),
        width=alt.Step(62),
    )
