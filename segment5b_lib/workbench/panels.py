"""Panels of a notebook: live in JupyterLab, static and complete without it.

In a front end with widgets a panel is redrawn on `refresh`; an executed notebook, an offline page or a plain viewer
has the picture or the table as first drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import altair as alt

from segment5b_lib.charts.renderer import WIDGET_MIME, Chart, adaptive, render

View: TypeAlias = Chart | str
"""Content of a panel: a chart, or HTML."""
Live: TypeAlias = Any
"""A widget. The library that makes them is an extra, and has no types."""

_NEEDED: Final = ("ipywidgets", "anywidget")


class Panel:
    """One view: `draw` returns its current content.

    `around` puts controls around the live widget, once for every place where it is shown; `listen` attaches a click
    handler to every new live chart.
    """

    def __init__(
        self,
        draw: Callable[[], View],
        *,
        around: Callable[[Live], Live] = lambda widget: widget,
        listen: Callable[[Live], None] | None = None,
    ) -> None:
        self._draw, self._around, self._listen = draw, around, listen
        self._boxes: list[Live] = []

    def refresh(self) -> None:
        """Redraw the panel wherever it is live."""
        if self._boxes:
            view = self._draw()
            for box in self._boxes:
                self._show(box, view)

    @property
    def shown(self) -> tuple[Live, ...]:
        """The live charts and texts that show this panel now."""
        return tuple(box.children[0] for box in self._boxes)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        view = self._draw()
        data, metadata = ({"text/html": view}, {}) if isinstance(view, str) else render(view.to_dict())
        if widgets_installed():
            data[WIDGET_MIME] = self._box(view)._repr_mimebundle_()[WIDGET_MIME]
        return data, metadata

    def _box(self, view: View) -> Live:
        """A new box that shows a view, with its controls around it, and follows `refresh`."""
        import ipywidgets

        box = ipywidgets.VBox([self._live_widget(view)])
        self._boxes.append(box)
        return ipywidgets.VBox([self._around(box)])

    def _live_widget(self, view: View) -> Live:
        if isinstance(view, str):
            import ipywidgets

            return ipywidgets.HTML(view)
        _offline()
        # An SVG takes its colours from the page, so the chart follows JupyterLab's theme.
        widget = alt.JupyterChart(adaptive(view), embed_options={"renderer": "svg", "actions": False})
        self._attach(widget)
        return widget

    def _show(self, box: Live, view: View) -> None:
        (widget,) = box.children
        if isinstance(view, str) or not isinstance(widget, alt.JupyterChart):
            box.children = [self._live_widget(view)]
        else:
            widget.chart = adaptive(view)
            self._attach(widget)

    def _attach(self, widget: Live) -> None:
        if self._listen is not None:
            self._listen(widget)


def widgets_installed() -> bool:
    """Whether live views can be made here; otherwise every view is static."""
    return all(find_spec(name) is not None for name in _NEEDED)


@cache
def _offline() -> None:
    """Charts carry their own scripts: nothing is fetched."""
    alt.JupyterChart.enable_offline()
