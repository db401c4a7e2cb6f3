"""What charts have in common: title and size, tooltips, a colour for each name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt

from segment5b_lib.charts.renderer import Chart


def headed(chart: Any, title: str, subtitle: str, **properties: Any) -> Chart:
    """The chart with title and subtitle, and with other properties such as its size."""
    drawn: Chart = chart.properties(title=alt.TitleParams(title, subtitle=subtitle), **properties)
    return drawn


def tooltip(*fields: str, **formats: str) -> list[str | alt.Tooltip]:
    """Fields with their types, as `tzid:N`, then figures by name, each with its format."""
    return [*fields, *(alt.Tooltip(f"{name}:Q", format=form) for name, form in formats.items())]


def coloured(field: str, colours: Mapping[str, str], title: str | None = None) -> alt.Color:
    """A field whose values have these colours, with a legend in this order."""
    return alt.Color(field, title=title, scale=alt.Scale(domain=list(colours), range=list(colours.values())))
