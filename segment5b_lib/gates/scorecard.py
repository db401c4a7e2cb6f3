"""The scorecard: every gate of one run, measured and judged, and who owns those that failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from segment5b_lib.contract.colours import VERDICT_COLOURS
from segment5b_lib.contract.commands import CommandText
from segment5b_lib.contract.verdicts import STANDS, GateResult
from segment5b_lib.contract.words import Verdict
from segment5b_lib.errors import UsageError
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.wording import distance_text, provenance_text, threshold_text, value_text
from segment5b_lib.html_table import Cell, TableRow, html_table, lines, small

_SHOWN: Final = {
    "gate": "gate",
    "title": "title",
    "verdict": "verdict",
    "value": "value",
    "b": "B",
    "bplus": "B+",
    "distance": "distance",
    "population": "population",
    "owner": "owner",
    "cause": "cause",
    "provenance": "thresholds from, measured by",
}
"""Columns of the frame that the page shows, and their headings; the last one has two lines."""
_ON_ONE_LINE: Final = ("gate", "verdict", "value", "B", "B+", "distance")


@dataclass(frozen=True)
class Attribution:
    """One failed gate's primary owner and smallest rerun."""

    gate_id: str
    owner: str
    axis: str
    cause: str
    upstream: str
    rerun: tuple[str, ...]
    command: CommandText

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "command": self.command.text}


@dataclass(frozen=True)
class Origin:
    """When a scorecard was measured (RFC 3339), on which content, and whether it was read back from disk."""

    measured_utc: str
    content_digest: str
    cached: bool

    @property
    def text(self) -> str:
        """In words, e.g. ``cached, measured at 2026-04-02T10:11:12Z``."""
        return f"{'cached, ' if self.cached else ''}measured at {self.measured_utc[:19]}Z"


@dataclass(frozen=True)
class Scorecard:
    """All gates of one run, in the order of the table, and who owns those that failed.

    `origin` is there where the scorecard is kept on disk (see `gates.scoring`).
    """

    identity: dict[str, Any]
    results: tuple[GateResult, ...]
    attributions: tuple[Attribution, ...]
    evidence: Evidence
    origin: Origin | None = None

    def result(self, gate_id: str) -> GateResult:
        """One gate's result; the error lists the gates there are."""
        for entry in self.results:
            if entry.gate_id == gate_id:
                return entry
        raise UsageError(
            "5B.GATES.UNKNOWN_GATE",
            f"there is no gate {gate_id!r}",
            expected=", ".join(entry.gate_id for entry in self.results),
            found=gate_id,
        )

    def owner(self, gate_id: str) -> Attribution | None:
        """Who owns a gate's failure; None where the gate did not fail."""
        return next((entry for entry in self.attributions if entry.gate_id == gate_id), None)

    @property
    def hard_gates_pass(self) -> bool:
        """Whether every hard gate passes; one that does not apply does not stand in the way."""
        return all(entry.verdict in STANDS for entry in self.results if entry.severity == "hard")

    def stands(self, gate_id: str = "") -> bool:
        """Whether one gate, or without a name every hard gate, passes or does not apply."""
        return self.result(gate_id).verdict in STANDS if gate_id else self.hard_gates_pass

    def frame(self) -> pl.DataFrame:
        """One row per gate: gate, title, severity, verdict, the texts of value and thresholds, owner, rerun.

        `number` is the value in the gate's own unit, `distance` its margin to the B bound as text, `provenance` the
        policy file and key of the thresholds, `produced_by` the function in `gates` that measured.
        """
        return pl.DataFrame([self._row(entry) for entry in self.results], infer_schema_length=None)

    def document(self) -> dict[str, Any]:
        return {
            **self.identity,
            **(asdict(self.origin) if self.origin else {}),
            "gates": [entry.document() for entry in self.results],
            "attributions": [entry.document() for entry in self.attributions],
        }

    def _row(self, entry: GateResult) -> dict[str, Any]:
        owner = self.owner(entry.gate_id)
        return {
            "gate": entry.gate_id,
            "title": entry.title,
            "severity": entry.severity,
            "verdict": entry.verdict.value,
            "value": value_text(entry.value, entry.unit),
            "number": entry.value,
            "unit": entry.unit,
            "b": threshold_text(entry, "b"),
            "bplus": threshold_text(entry, "bplus"),
            "distance": distance_text(entry),
            "population": "" if entry.population is None else f"{entry.population:,} {entry.population_unit}",
            "reason": entry.reason,
            "owner": owner.owner if owner else "",
            "cause": owner.cause if owner else "",
            "rerun": " ".join(owner.rerun) if owner else "",
            "command": owner.command.text if owner else "",
            "provenance": provenance_text(entry),
            "produced_by": entry.produced_by.removeprefix(f"{__package__}."),
        }

    def _repr_html_(self) -> str:
        about = [f"run {self.identity['run_id']}", self.identity["posture"], f"seed {self.identity['seed']}"]
        caption = ", ".join([*about, self.origin.text] if self.origin else about)
        rows = [_html_row(row) for row in self.frame().to_dicts()]
        return html_table(tuple(_SHOWN.values()), rows, caption=caption, one_line=_ON_ONE_LINE)


def _html_row(row: dict[str, Any]) -> TableRow:
    colour = VERDICT_COLOURS[Verdict(row["verdict"])]
    cells: dict[str, str | Cell] = {name: str(row[name] or "") for name in _SHOWN}
    cells["verdict"] = Cell(row["verdict"], behind=colour)
    cells["provenance"] = small(lines(row["provenance"], row["produced_by"]))
    return TableRow(tuple(cells.values()), bar=colour)
