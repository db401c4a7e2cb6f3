"""Investigate wrong local times: choose run, zone, change and day; see the clock there and the owner of its errors.

Every view is drawn from one small table (`views.clock_counts`) and follows the choice. Without a live front end
the views show the zone with most wrong clocks, around the change after which they are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from segment5b_lib import charts
from segment5b_lib.charts.renderer import titled
from segment5b_lib.contract.colours import VERDICT_COLOURS
from segment5b_lib.gates.attribution import CLOCK_GATES
from segment5b_lib.gates.wording import threshold_text, value_text
from segment5b_lib.html_table import headline, small, spaced
from segment5b_lib.phases.engine.repair import NextSteps, next_steps
from segment5b_lib.views.civil_time import mismatch_by_date_and_zone, offset_distribution
from segment5b_lib.views.listing import listing
from segment5b_lib.views.zone_clock import offset_timeline, utc_texts, wrong_clock_owners
from segment5b_lib.workbench.case import Case, change_text, day_second, day_text, stamps
from segment5b_lib.workbench.open_run import open_run
from segment5b_lib.workbench.panels import Live, Panel, View

if TYPE_CHECKING:
    from segment5b_lib.workbench.controls import Controls

CELL: Final = "cell"
"""Name of the heatmap's selection."""
_OF_RUN: Final = ("identity", "answer", "offsets", "heatmap", "next_steps")
_OF_CHOICE: Final = ("choice", "timeline", "duration", "day_offsets", "hours", "rows", "owners")
_REPAIRED: Final = (*CLOCK_GATES, "T11", "T12")


class Investigation:
    """Views of one run's clock, each complete by itself; `choose` (or a click) moves all of them.

    identity, answer, offsets, heatmap, next_steps : of the run
    choice, timeline, duration, owners : of the chosen zone and change
    day_offsets, hours, rows : of the chosen zone and UTC day
    what_if : T1 under another last year of the transition cache
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.identity = Panel(self._identity)
        self.answer = Panel(self._answer)
        self.choice = Panel(self._choice, around=self._control("choice"))
        self.offsets = Panel(lambda: charts.offset_distribution(offset_distribution(self.case.run.evidence)))
        self.heatmap = Panel(self._heatmap, listen=self._control("listen"))
        self.timeline = Panel(self._timeline)
        self.duration = Panel(self._duration)
        self.day_offsets = Panel(self._day_offsets)
        self.hours = Panel(self._hours)
        self.rows = Panel(self._rows, around=self._control("paging"))
        self.owners = Panel(self._owners)
        self.what_if = Panel(
            lambda: charts.t1_by_cache_year(self.case.what_if, self.case.year), around=self._control("year")
        )
        self.next_steps = Panel(self._next_steps)

    def choose(self, *, tzid: str = "", transition: str = "", day: str = "") -> None:
        """Choose a zone, its change on a UTC date, a UTC date (YYYY-MM-DD); an empty choice follows from the others.

        Raises
        ------
        UsageError : a zone without arrivals, no date, or no change of the zone on that date.

        Example: `investigation.choose(day="2026-01-02")`
        """
        if tzid:
            self.case.choose_zone(tzid)
        if transition:
            self.case.choose_transition(self.case.transition_on(day_second(transition)))
        if day:
            self.case.choose_day(day_second(day))
        self.refresh(*_OF_CHOICE)

    def chosen(self, what: str, value: Any) -> None:
        """Apply a control's choice: `run` (id), `tzid`, `transition` and `day` (epoch seconds), `cell`, `page`.

        Example: `investigation.chosen("page", 0)`
        """
        choose: dict[str, Callable[[Any], None]] = {
            "run": self._open,
            "tzid": self.case.choose_zone,
            "transition": self.case.choose_transition,
            "day": self.case.choose_day,
            "cell": self.case.choose_cell,
            "page": self.case.turn_to,
        }
        choose[what](value)
        self.refresh(*{"run": (*_OF_RUN, *_OF_CHOICE, "what_if"), "page": ("rows",)}.get(what, _OF_CHOICE))

    def _open(self, run: str) -> None:
        self.case = Case(open_run(run))

    def refresh(self, *names: str) -> None:
        """Redraw some views wherever they are live; the controls follow.

        Example: `investigation.refresh("timeline")`
        """
        for name in names:
            getattr(self, name).refresh()
        if "_controls" in vars(self):
            self._controls.follow()

    @cached_property
    def _controls(self) -> Controls:
        # Imported here: widgets come with the extra `notebook`, and only live views need them.
        from segment5b_lib.workbench.controls import Controls

        return Controls(lambda: self.case, self.chosen, self.what_if)

    def _control(self, name: str) -> Callable[[Live], Any]:
        """A method of the controls, which are made when a view is first live."""

        def use(live: Live) -> Any:
            return getattr(self._controls, name)(live)

        return use

    def _identity(self) -> View:
        return self.case.run.identity._repr_html_()

    def _answer(self) -> View:
        scorecard, zones = self.case.scorecard, self.case.zones.filter(pl.col("mismatches") > 0)
        result, owner = scorecard.result("T1"), scorecard.owner("T1")
        limits = f"B {threshold_text(result, 'b')}, B+ {threshold_text(result, 'bplus')}"
        lines = ["Every local time shows what a clock on that wall would have shown."]
        if zones.height:
            first = zones.sort("first_wrong", "tzid").row(0, named=True)
            wrong, total = zones["mismatches"].sum(), self.case.zones["arrivals"].sum()
            lines = [
                f"{wrong:,} of {total:,} arrivals, in {zones.height} of {self.case.zones.height} zones.",
                f"It begins in {first['tzid']} on {day_text(first['first_wrong'])}; most are in {zones['tzid'][0]}.",
            ]
        if owner is not None:
            lines.append(f"Owner: {owner.owner}. {owner.cause[:1].upper()}{owner.cause[1:]}.")
        answer = f"{value_text(result.value, result.unit)} of the local times are wrong"
        verdict = spaced("", small(f"T1 {result.verdict.value.replace('_', ' ')}; {limits}"))
        return headline(answer, verdict, lines, bar=VERDICT_COLOURS[result.verdict])

    def _choice(self) -> View:
        case = self.case
        change = next((change_text(*change) for change in case.changes() if change[0] == case.transition), "none")
        row = case.zones.filter(tzid=case.tzid).row(0, named=True)
        wrong = f"{row['mismatches']:,} of {row['arrivals']:,} arrivals wrong"
        return f"<p><b>{escape(case.tzid)}</b> · {wrong} · change {escape(change)} · day {day_text(case.day)} UTC</p>"

    def _heatmap(self) -> View:
        return charts.mismatch_heatmap(mismatch_by_date_and_zone(self.case.run.evidence), selection=CELL)

    def _timeline(self) -> View:
        case = self.case
        selected = [("change", case.transition, case.transition), ("day", *case.span_of_day)]
        spans = pl.DataFrame(selected, schema=["what", "start", "end"], orient="row").drop_nulls()
        moments = spans.with_columns(utc_texts(pl.col("start")), utc_texts(pl.col("end")))
        return titled(charts.offset_timeline(offset_timeline(case.run.evidence, case.tzid), moments), case.tzid)

    def _duration(self) -> View:
        case = self.case
        if case.transition is None:
            return f"<p>{escape(case.tzid)} does not change its offset within the horizon.</p>"
        change = dict(case.changes())[case.transition]
        frame = case.counts.days_since(case.tzid, case.transition)
        named = frame.with_columns(change=pl.lit("forward" if change > 0 else "back"))
        return titled(charts.days_since_transition(named), case.tzid)

    def _day_offsets(self) -> View:
        frame = self.case.counts.offset_distribution(self.case.tzid, *self.case.span_of_day)
        return self._of_day(charts.offset_distribution, frame)

    def _hours(self) -> View:
        frame = self.case.counts.hour_profile(self.case.tzid, *self.case.span_of_day)
        return self._of_day(charts.hour_profile, frame)

    def _of_day(self, draw: Callable[[pl.DataFrame], charts.Chart], frame: pl.DataFrame) -> View:
        label = self.case.day_label
        return titled(draw(frame), label) if frame.height else f"<p>{escape(label)}: no arrivals.</p>"

    def _rows(self) -> View:
        case = self.case
        page = case.day_rows.page(case.tzid, case.day, case.page)
        shown = stamps(page, ("ts_utc", "stored_local", "expected_local"))
        where = f"page {case.page + 1:,} of {case.pages:,}, {case.rows_of_day:,} rows in order of time"
        table = listing(shown, rows=page.height, wrap=False)._repr_html_()
        return f"<p><b>{escape(case.day_label)}</b> · {where}</p>{table}"

    def _owners(self) -> View:
        case = self.case
        frame = wrong_clock_owners(case.counts, case.scorecard, case.tzid)
        share = pl.col("share").map_elements(lambda value: value_text(value, "share"), return_dtype=pl.String)
        shown = frame.with_columns(share=share.fill_null("–")).select(
            "owner", "question", "finding", pl.col("arrivals").alias("arrivals concerned"), "share"
        )
        return f"<p><b>{escape(case.tzid)}</b></p>{listing(shown)._repr_html_()}"

    def _next_steps(self) -> View:
        steps = next_steps(self.case.scorecard).steps
        return NextSteps(tuple(step for step in steps if set(step.about) & set(_REPAIRED)))._repr_html_()

    def __repr__(self) -> str:
        return f"investigation of {self.case.run!r}: {self.case.day_label}"


def investigate(run: str = "@last", *, zone: str = "", transition: str = "") -> Investigation:
    """The views that lead from a wrong local time to its owner, for a run, a zone, and the change on a UTC date.

    Scans the arrivals once; each view then takes under a second. Defaults: the zone with most wrong clocks, and the
    change after which they are wrong.

    Raises
    ------
    UsageError : no such run, a zone without arrivals, no date, or no change of the zone on that date.

    Example: `s5.investigate("@baseline")`
    """
    investigation = Investigation(Case(open_run(run)))
    investigation.choose(tzid=zone, transition=transition)
    return investigation
