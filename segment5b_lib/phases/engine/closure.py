"""What a phase hands back to its notebook: identity card, answer, next steps; each shows itself, escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Decision
from segment5b_lib.errors import MissingInputError
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.engine.decision import Items, PhaseDecision
from segment5b_lib.phases.engine.envelope import DodItem, Node
from segment5b_lib.phases.engine.identity_card import IdentityCard
from segment5b_lib.phases.engine.repair import NextSteps


@dataclass(frozen=True)
class Closure:
    """A phase's answer: decision, reasons, definition of done, the artefacts that say so, what to do next."""

    phase: str
    question: str
    what_if: bool
    identity: IdentityCard
    decision: Decision
    reasons: tuple[str, ...]
    definition_of_done: tuple[DodItem, ...]
    artefacts: tuple[Path, ...]
    next_steps: NextSteps
    own: Mapping[str, Mapping[str, Any]]
    scorecards: tuple[Scorecard, ...]

    @property
    def scorecard(self) -> Scorecard:
        """The gates of the run, where the phase measured them."""
        if not self.scorecards:
            raise MissingInputError("5B.PHASE.NO_SCORECARD", f"{self.phase} measures no gates", where=self.phase)
        return self.scorecards[0]

    def table(self, artefact: str, field: str) -> pl.DataFrame:
        """One list of an artefact as a frame: `closure.table("p3_sentinels", "mutations")`. Texts are one column."""
        rows = [_row(entry, field) for entry in self.own[artefact][field]]
        return pl.DataFrame(rows, infer_schema_length=None)

    def _repr_html_(self) -> str:
        items = Items(self.definition_of_done)
        decision = PhaseDecision(self.phase, self.decision, self.reasons, items, self.what_if)
        return decision._repr_html_() + items._repr_html_()


def _row(entry: object, field: str) -> Mapping[str, Any]:
    if isinstance(entry, Node):
        return entry.model_dump(mode="json")
    if isinstance(entry, GateResult):
        return entry.document()
    return entry if isinstance(entry, Mapping) else {field: entry}
