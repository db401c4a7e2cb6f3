"""What a phase has measured: every value once, frozen, and shown in Jupyter as what there is to look into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import polars as pl
from pydantic import BaseModel

from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.errors import MissingInputError
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.html_table import html_table
from segment5b_lib.phases.engine.envelope import MeasuredValue

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


def _row(entry: object, name: str) -> Mapping[str, Any]:
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
