"""Elapsed times by state and lane, before and after, and the overhead of progress reporting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import altair as alt
import polars as pl

from segment5b_lib.charts.parts import coloured, headed, tooltip
from segment5b_lib.charts.renderer import Chart
from segment5b_lib.charts.theme import LANE_COLOURS
from segment5b_lib.contract.colours import BLUE, GREEN, GREY, ORANGE, PINK, VERMILLION

_BUDGETS = {"target": VERMILLION, "stretch": GREY}
_SIDES = [GREY, BLUE, ORANGE, GREEN, PINK, VERMILLION]


def state_elapsed(frame: pl.DataFrame, budgets: pl.DataFrame | None = None) -> Chart:
    """Elapsed seconds of each state, its lanes stacked, with a line at each budget.

    `frame`: `state`, `lane` (a word of `Lane`), `seconds` (wall time).
    `budgets`: `state`, `budget` (`target` or `stretch`), `seconds`; without them no lines are drawn.

    Example: `charts.state_elapsed(views.state_elapsed(run.store))`
    """
    base = alt.Chart(frame).encode(y=alt.Y("state:N", title="state"))
    bars = _stacked_lanes(base).encode(
        x=alt.X("sum(seconds):Q", title="elapsed wall time (s)"),
        color=coloured("lane:N", LANE_COLOURS, "lane"),
        order=alt.Order("order:Q"),
        tooltip=tooltip("state:N", "lane:N", **{"sum(seconds)": ".3f"}),
    )
    totals = base.mark_text(align="left", dx=4).encode(
        x="sum(seconds):Q", text=alt.Text("sum(seconds):Q", format=".2f")
    )
    lines = [] if budgets is None or budgets.is_empty() else [_budget_lines(budgets)]
    layers = alt.layer(bars, totals, *lines)
    separate = layers.resolve_scale(color="independent") if lines else layers
    subtitle = "one run on one machine: a description, not a benchmark"
    return headed(separate, "State elapsed", subtitle, height=alt.Step(26))


def _stacked_lanes(chart: alt.Chart) -> Any:
    """Bars with the field `order`, which stacks lanes in their own order."""
    return chart.transform_calculate(order=f"indexof({list(LANE_COLOURS)!r}, datum.lane)").mark_bar()


def _budget_lines(budgets: pl.DataFrame) -> Any:
    return (
        alt.Chart(budgets)
        .mark_tick(thickness=2, size=24, opacity=1)
        .encode(
            y="state:N",
            x=alt.X("seconds:Q", title="elapsed wall time (s)"),
            color=coloured("budget:N", _BUDGETS, "budget"),
            tooltip=["state:N", "budget:N", "seconds:Q"],
        )
    )


def before_after(frame: pl.DataFrame) -> Chart:
    """Two or more sides compared: every run a point, the median a line; each state has its own scale.

    `frame`: `state`, `role` (`baseline` and `candidate`, or the names of the sides, the reference first), `run`,
    `seconds` (wall time of the state in that run).

    Example: `charts.before_after(comparison.timing())`
    """
    roles = frame["role"].unique(maintain_order=True).to_list()
    rows = [_before_after(own, state, roles) for state, own in _by_state(frame)]
    subtitle = "every run is a point, a line is a median; scales differ"
    return headed(alt.vconcat(*rows, spacing=4), "Before and after", subtitle)


def _by_state(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each state; one empty part without any."""
    for state in frame["state"].unique(maintain_order=True).to_list() or ["no state was timed"]:
        yield state, frame.filter(pl.col("state") == state)


def _before_after(frame: pl.DataFrame, state: str, roles: list[str]) -> Any:
    base = alt.Chart(frame).encode(
        x=alt.X("seconds:Q", title=f"{state}, wall time (s)", scale=alt.Scale(zero=True)),
        y=alt.Y("role:N", title=None, scale=alt.Scale(domain=roles)),
        color=alt.Color("role:N", title="run", scale=alt.Scale(domain=roles, range=_SIDES)),
    )
    points = base.mark_circle(size=70, opacity=0.75).encode(
        tooltip=tooltip("state:N", "role:N", "run:N", seconds=".3f")
    )
    medians = base.mark_tick(thickness=3, size=20).encode(x=alt.X("median(seconds):Q", title=f"{state}, wall time (s)"))
    return alt.layer(points, medians).properties(height=alt.Step(22), width=560)


def lanes_before_after(frame: pl.DataFrame) -> Chart:
    """Lanes of states on both sides, stacked; each state has its own scale.

    `frame`: `state`, `role` (`baseline`, `candidate`), `lane` (a word of `Lane`), `seconds` (median wall time).

    Example: `charts.lanes_before_after(s5.phase("POPT.2", run, as_what_if=True).measured.lanes)`
    """
    rows = [
        _stacked_lanes(alt.Chart(own))
        .encode(
            x=alt.X("seconds:Q", title=f"{state}, wall time (s)"),
            y=alt.Y("role:N", title=None, scale=alt.Scale(domain=["baseline", "candidate"])),
            color=coloured("lane:N", LANE_COLOURS, "lane"),
            order=alt.Order("order:Q"),
            tooltip=tooltip("state:N", "role:N", "lane:N", seconds=".3f"),
        )
        .properties(height=alt.Step(22), width=560)
        for state, own in _by_state(frame)
    ]
    subtitle = "medians of the step timers; scales differ"
    return headed(alt.vconcat(*rows, spacing=4), "Lanes before and after", subtitle)


def overhead_pairs(pairs: pl.DataFrame, interval: pl.DataFrame) -> Chart:
    """The overhead of progress reporting, pair by pair, with the 95 % interval of its mean and the limit.

    `pairs`: `pair` (number), `quiet_s`, `reporting_s`, `overhead` (share of the quiet run's time).
    `interval`: one row, `mean`, `low`, `high`, `limit` (shares); no row if a replay failed.

    Example: `charts.overhead_pairs(pairs, interval)`
    """
    points = (
        alt.Chart(pairs)
        .mark_circle(size=80, color=BLUE, opacity=1)
        .encode(
            x=alt.X("pair:O", title="pair", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("overhead:Q", title="overhead (share of the quiet run's time)", axis=alt.Axis(format="+.1%")),
            tooltip=tooltip("pair:O", quiet_s=".3f", reporting_s=".3f", overhead="+.2%"),
        )
    )
    subtitle = "no interval: a replay failed"
    for row in interval.iter_rows(named=True):
        span = f"mean {row['mean']:+.2%}, 95 % interval {row['low']:+.2%} to {row['high']:+.2%} (band)"
        subtitle = f"{span}; {pairs.height} pairs"
    return headed(alt.layer(*_interval(interval), points), "Overhead of progress reporting", subtitle, width=560)


def _interval(interval: pl.DataFrame) -> list[Any]:
    base = alt.Chart(interval)
    return [
        base.mark_rect(color=BLUE, opacity=0.18).encode(y="low:Q", y2="high:Q"),
        base.mark_rule(color=BLUE, strokeWidth=2).encode(y="mean:Q"),
        base.mark_rule(color=VERMILLION, strokeWidth=2, strokeDash=[6, 4]).encode(y="limit:Q"),
        base.mark_text(align="left", baseline="bottom", dx=4, dy=-3, color=VERMILLION).encode(
            y="limit:Q", x=alt.value(0), text=alt.value("limit")
        ),
    ]
