"""The one shape of a phase: measure, definition of done, decision, artefacts.

A phase's module defines what it measures (a frozen `Measured`), its artefacts' bodies, and five functions that have
the same signature in every phase; `PHASE` declares them. `execution.PhaseExecution` performs them on a run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.phases.engine.attempts import slug
from segment5b_lib.phases.engine.envelope import Body, DodItem
from segment5b_lib.phases.engine.measured import Measured
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.parameters import PhaseParameters
from segment5b_lib.phases.engine.repair import NOTHING, NextSteps
from segment5b_lib.store.runs import Run

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


def decide(hold: Decision, items: Sequence[DodItem], conclusion: Conclusion) -> tuple[Decision, tuple[str, ...]]:
    """The opening word when no item is red, else the hold (or the reopening); and why."""
    red = [f"{line.id} {line.text}: {line.evidence}" for line in items if line.status is ItemStatus.RED]
    if not red:
        return conclusion.opens, tuple(conclusion.reasons)
    return conclusion.reopens or hold, (*red, *(conclusion.reasons if conclusion.reopens else ()))
