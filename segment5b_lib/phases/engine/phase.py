"""The one shape of a phase: measure, definition of done, decision, artefacts.

A phase's module defines what it measures (a `Measured`: every value once, frozen), its artefacts' bodies, and five
functions that have the same signature in every phase; `PHASE` declares them. `execution.PhaseExecution` performs them
on a run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Generic, TypeVar

import polars as pl
from pydantic import BaseModel

from segment5b_lib.contract.commands import Command
from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.errors import MissingInputError
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.html_table import html_table
from segment5b_lib.phases.engine.attempts import slug
from segment5b_lib.phases.engine.envelope import Body, DodItem, MeasuredValue
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.parameters import PhaseParameters
from segment5b_lib.phases.engine.repair import NOTHING, NextSteps, one_step
from segment5b_lib.store.runs import Run

_DERIVED = (property, cached_property)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What all phases may have measured; a phase's own class adds its values.

    Attributes
    ----------
    scorecards : those that were taken, this run's first
    other_gates : gates in addition to those of this run's scorecard
    values : measured values that are no gate's
    """

    scorecards: tuple[Scorecard, ...] = ()
    other_gates: tuple[GateResult, ...] = ()
    values: tuple[MeasuredValue, ...] = ()

    @property
    def scorecard(self) -> Scorecard:
        """The gates of the run, where the phase measures them."""
        if not self.scorecards:
            raise MissingInputError("5B.PHASE.NO_SCORECARD", "this phase measures no gates", where=type(self).__name__)
        return self.scorecards[0]

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """Every gate that the phase's artefacts carry."""
        return (*(self.scorecards[0].results if self.scorecards else ()), *self.other_gates)

    def table(self, name: str) -> pl.DataFrame:
        """One list as a frame, a row per entry: `measured.table("figures")`. Texts are one column."""
        rows = [_row(entry, name) for entry in getattr(self, name)]
        return pl.DataFrame(rows, infer_schema_length=None)

    def __dir__(self) -> list[str]:
        return [*self._names(), "table"]

    def _names(self) -> list[str]:
        derived = [
            name for kind in type(self).__mro__ for name, what in vars(kind).items() if isinstance(what, _DERIVED)
        ]
        own = [field.name for field in fields(self)]
        return [name for name in dict.fromkeys((*own, *derived)) if not name.startswith("_")]

    def _repr_html_(self) -> str:
        absent = () if self.scorecards else ("scorecard",)
        rows = [(name, _summary(getattr(self, name))) for name in self._names() if name not in absent]
        return html_table(("measured", "what"), [row for row in rows if row[1]])


def _row(entry: object, name: str) -> Mapping[str, object]:
    if isinstance(entry, BaseModel):
        return entry.model_dump(mode="json")
    if isinstance(entry, GateResult):
        return entry.document()
    return entry if isinstance(entry, Mapping) else {name: entry}


def _summary(value: object) -> str:
    """A value in a few words; nothing for one that is empty."""
    if isinstance(value, pl.DataFrame):
        return f"frame, {value.height:,} rows: {', '.join(value.columns)}"
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, Sequence):
        kinds = dict.fromkeys(type(entry).__name__ for entry in value)
        return f"{len(value):,} × {', '.join(kinds)}" if value else ""
    if isinstance(value, Mapping):
        return ", ".join(map(str, value))
    return "" if value is None else type(value).__name__


P = TypeVar("P", bound=PhaseParameters)
M = TypeVar("M", bound=Measured)

Files = Mapping[tuple[str, str], bytes]
"""Artefacts that are neither JSON nor a page: (artefact, extension) to content."""


@dataclass(frozen=True)
class Subject(Generic[P]):
    """What a phase is executed on: the run, its parameters, and the other runs of the evidence by role."""

    run: Run
    parameters: P
    others: Mapping[str, tuple[Run, ...]]

    @property
    def other_runs(self) -> list[Run]:
        """Every other run, whatever its role."""
        return [run for runs in self.others.values() for run in runs]


@dataclass(frozen=True)
class Conclusion:
    """What follows from what was measured and from the items.

    `opens` is the word when every item is closed; `reopens` the word when one is not because of an upstream segment.
    """

    opens: Decision
    reasons: Sequence[str] = ()
    reopens: Decision | None = None
    next_steps: NextSteps = NOTHING


@dataclass(frozen=True)
class Phase(Generic[P, M]):
    """What stays the same from one execution to the next.

    Attributes
    ----------
    name, question, notebook : `P0`, what it asks, and the installed notebook that performs it
    after : phases whose decisions must open this one; `ranked` adds those that POPT.0 has put before it
    hold : the word when an item is red
    parameters : the model of its parameters, which notebook, command line and papermill's check are derived from
    measure : takes the evidence; reads runs, changes nothing
    items : the definition of done, each item computed
    conclude : the word, its reasons and the next steps
    bodies : the own fields of each artefact, in the order of `artefacts`
    sections : the tables of its page; `pages` are the artefacts that (also) exist as Markdown
    files : artefacts that are neither JSON nor a page
    roles : the other runs that the evidence is about, by role
    evidence : datasets whose files, of every run named, are re-hashed and listed as inputs
    effects : performed after the artefacts are written, where the decision opens and is no what-if
    """

    name: str
    question: str
    notebook: str
    after: tuple[str, ...]
    hold: Decision
    parameters: type[P]
    artefacts: tuple[type[Body], ...]
    measure: Callable[[Subject[P]], M]
    items: Callable[[M], Sequence[DodItem]]
    conclude: Callable[[M, Sequence[DodItem]], Conclusion]
    bodies: Callable[[M], Sequence[Body]]
    pages: tuple[str, ...] = ()
    sections: Callable[[M], Sequence[Section]] = lambda measured: ()
    files: Callable[[M], Files] = lambda measured: {}
    roles: Callable[[Run, P], Mapping[str, Sequence[Run]]] = lambda run, parameters: {}
    evidence: Collection[str] = ()
    effects: Callable[[M], None] = lambda measured: None
    ranked: bool = False

    @property
    def slug(self) -> str:
        """The name as files spell it: `popt1`."""
        return slug(self.name)


def item(name: str, text: str, problems: Sequence[str], evidence: str) -> DodItem:
    """An item of a definition of done: green without problems, else red with them."""
    status = ItemStatus.RED if problems else ItemStatus.GREEN
    return DodItem(id=name, text=text, status=status, evidence="; ".join(problems) or evidence)


def not_applicable(name: str, text: str, reason: str) -> DodItem:
    """An item that does not apply here, with the reason."""
    return DodItem(id=name, text=text, status=ItemStatus.NOT_APPLICABLE, evidence=reason)


def go_on(items: Sequence[DodItem], opened: NextSteps, owner: str, *commands: Command, note: str = "") -> NextSteps:
    """What a decision has opened; or, where items are red, the commands that their owner gives next."""
    red = [line.id for line in items if line.status is ItemStatus.RED]
    return one_step(owner, red, *commands, note=note) if red else opened


def decide(hold: Decision, items: Sequence[DodItem], conclusion: Conclusion) -> tuple[Decision, tuple[str, ...]]:
    """The opening word when no item is red, else the hold (or the reopening); and why."""
    red = [f"{line.id} {line.text}: {line.evidence}" for line in items if line.status is ItemStatus.RED]
    if not red:
        return conclusion.opens, tuple(conclusion.reasons)
    return conclusion.reopens or hold, (*red, *(conclusion.reasons if conclusion.reopens else ()))
