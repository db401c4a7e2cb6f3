"""Theme of all charts: one light and one dark configuration, safe for colour-blind readers.

Categorical colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/). Charts take colours from here or
from the configuration's ranges, so that a page can swap `config("light")` for `config("dark")`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from segment5b_lib.contract.colours import BLUE, GREEN, GREY, ORANGE, PINK, SKY, VERMILLION

Mode = Literal["light", "dark", "page"]
"""`page`: JupyterLab's own colours, also after a change of its theme; for SVG only."""

LANE_COLOURS: Final[dict[str, str]] = {"input_load": SKY, "compute": BLUE, "validation": ORANGE, "write": PINK}
"""One colour per lane of `contract.words.Lane`."""

_PAPER: Final[dict[Mode, dict[str, str]]] = {
    "light": {"paper": "#ffffff", "ink": "#1f2328", "muted": "#59636e", "grid": "#e6e8eb", "rule": "#59636e"},
    "dark": {"paper": "#16191d", "ink": "#e6e8eb", "muted": "#a3abb5", "grid": "#2c3138", "rule": "#a3abb5"},
    "page": {
        "paper": "transparent",
        "ink": "var(--jp-ui-font-color1)",
        "muted": "var(--jp-ui-font-color2)",
        "grid": "var(--jp-border-color2)",
        "rule": "var(--jp-ui-font-color2)",
    },
}
_HEAT: Final[dict[Mode, list[str]]] = {
    "light": ["#f1f3f5", "#fdc98a", "#e8762c", "#b33c06"],
    "dark": ["#22262c", "#7a3410", "#dd6b20", "#ffb870"],
    # With increasing opacity, so that the same colours fit light and dark pages.
    "page": ["rgba(140, 140, 140, 0.12)", "rgba(232, 118, 44, 0.55)", "rgba(213, 94, 0, 1)"],
}


def config(mode: Mode) -> dict[str, Any]:
    """Vega-Lite `config` of a chart on light or dark paper, or in the colours of its page."""
    paper = _PAPER[mode]
    return {
        "background": paper["paper"],
        "font": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif",
        "padding": 8,
        "view": {"stroke": None, "continuousWidth": 620, "continuousHeight": 240},
        "title": {
            "anchor": "start",
            "frame": "group",
            "fontSize": 14,
            "fontWeight": 600,
            "subtitleFontSize": 11.5,
            "subtitlePadding": 4,
            "offset": 12,
            "color": paper["ink"],
            "subtitleColor": paper["muted"],
        },
        "axis": {
            "labelColor": paper["muted"],
            "titleColor": paper["muted"],
            "titleFontWeight": "normal",
            "titleFontSize": 11.5,
            "labelFontSize": 11,
            "gridColor": paper["grid"],
            "domainColor": paper["rule"],
            "tickColor": paper["rule"],
            "labelLimit": 260,
        },
        "legend": {
            "labelColor": paper["ink"],
            "titleColor": paper["muted"],
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "titleFontSize": 11.5,
        },
        "header": {"labelColor": paper["ink"], "titleColor": paper["muted"], "labelFontSize": 12},
        "text": {"color": paper["ink"], "fontSize": 11},
        "rule": {"color": paper["rule"]},
        "range": {"category": [BLUE, ORANGE, GREEN, PINK, SKY, VERMILLION, GREY], "heatmap": _HEAT[mode]},
    }
