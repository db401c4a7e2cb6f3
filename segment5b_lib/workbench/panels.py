"""One output, two faces: alive in JupyterLab, and complete without it.

A panel draws itself anew whenever it is asked to. In a front end with widgets what it shows follows; in an executed
notebook, an offline page or a plain viewer there is the picture or the table as it was drawn first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import altair as alt

from segment5b_lib.charts.renderer import WIDGET_MIME, Chart, adaptive, render

Face: TypeAlias = Chart | str
"""What a panel shows: a chart, or HTML."""
Live: TypeAlias = Any
"""A widget. The library that makes them is an extra, and has no types."""

_NEEDED: Final = ("ipywidgets", "anywidget")


def _bare(widget: Live) -> Live:
    return widget


class Panel:
    """One view: `draw` gives what it shows now.

    Parameters
    ----------
    draw : what to show
    around : puts controls around the live widget of a view; called once for every place where it is shown
    listen : attaches to a live chart what is to happen when it is clicked; called for every new chart
    """

    def __init__(
        self,
        draw: Callable[[], Face],
        *,
        around: Callable[[Live], Live] = _bare,
        listen: Callable[[Live], None] | None = None,
    ) -> None:
        self._draw, self._around, self._listen = draw, around, listen
        self._boxes: list[Live] = []

    def refresh(self) -> None:
        """Draw anew wherever the panel is shown alive."""
        if self._boxes:
            face = self._draw()
            for box in self._boxes:
                self._show(box, face)

    @property
    def shown(self) -> tuple[Live, ...]:
        """The live charts and texts that show this panel now."""
        return tuple(box.children[0] for box in self._boxes)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        face = self._draw()
        data, metadata = ({"text/html": face}, {}) if isinstance(face, str) else render(face.to_dict())
        if widgets_installed():
            data[WIDGET_MIME] = self._boxed(face)._repr_mimebundle_()[WIDGET_MIME]
        return data, metadata

    def _boxed(self, face: Face) -> Live:
        """A new box that shows a face, with its controls around it; it follows from now on."""
        import ipywidgets

        box = ipywidgets.VBox([self._alive(face)])
        self._boxes.append(box)
        return ipywidgets.VBox([self._around(box)])

    def _alive(self, face: Face) -> Live:
        if isinstance(face, str):
            import ipywidgets

            return ipywidgets.HTML(face)
        _offline()
        # An SVG takes its colours from the page, so the chart follows JupyterLab's theme.
        widget = alt.JupyterChart(adaptive(face), embed_options={"renderer": "svg", "actions": False})
        self._attach(widget)
        return widget

    def _show(self, box: Live, face: Face) -> None:
        (widget,) = box.children
        if isinstance(face, str) or not isinstance(widget, alt.JupyterChart):
            box.children = [self._alive(face)]
        else:
            widget.chart = adaptive(face)
            self._attach(widget)

    def _attach(self, widget: Live) -> None:
        if self._listen is not None:
            self._listen(widget)


def widgets_installed() -> bool:
    """Whether live views can be made here; without them every view shows its other face."""
    return all(find_spec(name) is not None for name in _NEEDED)


@cache
def _offline() -> None:
    """Charts bring their own scripts: nothing is fetched."""
    alt.JupyterChart.enable_offline()
