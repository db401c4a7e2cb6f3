"""Widgets of an investigation in a live front end: lists, clicks, page buttons, a slider (ipywidgets)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, Final

import ipywidgets

from segment5b_lib.charts.zone_clock import YEAR_PARAM
from segment5b_lib.errors import Segment5BError
from segment5b_lib.store.catalogue import list_runs
from segment5b_lib.workbench.case import Case, change_text, day_second
from segment5b_lib.workbench.panels import Live, Panel

_LISTS: Final = {"run": "run", "tzid": "zone", "transition": "change", "day": "day (UTC)"}
_TURNS: Final = {
    "fast-backward": lambda page, last: 0,
    "backward": lambda page, last: max(0, page - 1),
    "forward": lambda page, last: min(last, page + 1),
    "fast-forward": lambda page, last: last,
}
"""Icon of a page button, and the page that it turns to."""


class Controls:
    """The widgets of one investigation. A view may be shown in several places, which show the same.

    `case` returns the current selection, `chosen` receives the user's choice (see `Investigation.chosen`), `what_if`
    is the panel whose charts follow the slider.
    """

    def __init__(self, case: Callable[[], Case], chosen: Callable[[str, Any], None], what_if: Panel) -> None:
        self._current_case = case
        self._chosen = chosen
        self._what_if = what_if
        self._lists: list[dict[str, Live]] = []
        self._sliders: list[Live] = []
        self._predictions: list[Live] = []
        self._refusal = ipywidgets.HTML()
        self._following = False

    def choice(self, shown: Live) -> Live:
        """Lists of runs, zones, changes and days, with the current selection."""
        lists = {name: ipywidgets.Dropdown(description=label) for name, label in _LISTS.items()}
        self._lists.append(lists)
        self.follow()
        for name, widget in lists.items():
            widget.observe(self._on_choice(name), "value")
        row = ipywidgets.HBox(list(lists.values()), layout={"flex_flow": "row wrap"})
        return ipywidgets.VBox([row, shown, self._refusal])

    def listen(self, heatmap: Live) -> None:
        """A click on a cell of the heatmap chooses its zone and day."""
        heatmap.selections.observe(self._on_click)

    def paging(self, shown: Live) -> Live:
        """Buttons that turn the pages of the rows."""
        buttons = [ipywidgets.Button(icon=icon, tooltip=f"page {icon}", layout={"width": "3em"}) for icon in _TURNS]
        for button in buttons:
            button.on_click(lambda pressed: self._turn(_TURNS[pressed.icon]))
        return ipywidgets.VBox([shown, ipywidgets.HBox(buttons)])

    def year(self, shown: Live) -> Live:
        """A slider over the last year of the cache, and the T1 that it predicts."""
        slider = ipywidgets.SelectionSlider(
            options=self._case.what_if["year"].to_list(),
            value=self._case.year,
            description="cache ends",
            layout={"width": "34em"},
        )
        text = ipywidgets.HTML(self._case.predicted_text)
        slider.observe(self._on_slider, "value")
        self._sliders.append(slider)
        self._predictions.append(text)
        return ipywidgets.VBox([slider, text, shown])

    def follow(self) -> None:
        """Set every control to the current selection."""
        if self._following:
            return
        with self._without_events():
            for lists in self._lists:
                for name, (options, value) in self._options().items():
                    if list(lists[name].options) != options:
                        lists[name].options = options
                    lists[name].value = value
            for slider in self._sliders:
                slider.options = self._case.what_if["year"].to_list()
                slider.value = self._case.year
            self._predict()

    @property
    def _case(self) -> Case:
        return self._current_case()

    def _options(self) -> dict[str, tuple[list[Any], Any]]:
        case = self._case
        runs = [(f"{run.run_id[:8]} {run.receipt.posture} seed {run.receipt.seed}", run.run_id) for run in list_runs()]
        zones = [(f"{tzid} ({wrong:,} wrong)", tzid) for tzid, wrong in case.zones.select("tzid", "mismatches").rows()]
        changes: list[tuple[str, int | None]] = [(change_text(*change), change[0]) for change in case.changes()]
        return {
            "run": (runs, case.run.run_id),
            "tzid": (zones, case.tzid),
            "transition": (changes or [("none", None)], case.transition),
            "day": (case.days, case.day),
        }

    @contextmanager
    def _without_events(self) -> Iterator[None]:
        """Ignore the events that setting the controls causes."""
        self._following = True
        try:
            yield
        finally:
            self._following = False

    def _on_choice(self, name: str) -> Callable[[Any], None]:
        def react(change: Any) -> None:
            if not self._following and change["new"] is not None:
                self._choose(name, change["new"])

        return react

    def _on_click(self, change: Any) -> None:
        for cell in change["new"].value:
            tzid, day = cell["tzid"], cell["date"]
            if tzid in set(self._case.zones["tzid"]):
                self._choose("cell", (tzid, day_second(day)))
            else:
                self._refusal.value = f"<p>{escape(tzid)} are a sum: choose one of them in the list.</p>"

    def _turn(self, to: Callable[[int, int], int]) -> None:
        self._choose("page", to(self._case.page, self._case.pages - 1))

    def _on_slider(self, change: Any) -> None:
        if not self._following:
            self._case.year = change["new"]
            self.follow()

    def _predict(self) -> None:
        for text in self._predictions:
            text.value = self._case.predicted_text
        for chart in self._what_if.shown:
            setattr(chart.params, YEAR_PARAM, self._case.year)

    def _choose(self, what: str, value: Any) -> None:
        """Pass a choice on. A refusal is shown at the controls, not only in the front end's log."""
        self._refusal.value = ""
        try:
            self._chosen(what, value)
        except Segment5BError as error:
            self._refusal.value = f"<p><b>{error.code}</b>: {escape(error.what)}</p>"
