"""What P0's page shows below its definition of done: gates, earlier figures, axes, owners."""

from __future__ import annotations

from typing import Final

from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.p0_artefacts import axis_lines, context_lines, context_rows, owner_lines
from segment5b_lib.phases.p0_clocks import tz_rows

_GATE_COLUMNS: Final = (
    "gate",
    "title",
    "severity",
    "verdict",
    "value",
    "b",
    "bplus",
    "distance",
    "population",
    "owner",
)


def gate_section(scorecard: Scorecard, title: str = "Gates") -> Section:
    """Every gate of a scorecard: value, thresholds, verdict, owner."""
    rows = [[str(row[name] or "") for name in _GATE_COLUMNS] for row in scorecard.frame().to_dicts()]
    return Section(title, _GATE_COLUMNS, rows)


def sections(scorecard: Scorecard) -> list[Section]:
    """P0's tables in reading order."""
    context = context_rows(context_lines(scorecard))
    axes = [(line.axis, line.stands, ", ".join(line.gates), ", ".join(line.owners)) for line in axis_lines(scorecard)]
    owners = [
        (line.gate_id, line.owner, line.cause, " ".join(line.rerun), f"`{line.command}`")
        for line in owner_lines(scorecard)
    ]
    clocks = tz_rows(scorecard)
    return [
        gate_section(scorecard),
        Section("Earlier figures, for context only", tuple(context[0]), [tuple(row.values()) for row in context]),
        Section("Axes", ("axis", "stands", "gates", "owners"), axes),
        Section("Owners of what fails", ("gate", "owner", "cause", "smallest rerun", "command"), owners),
        Section("Other tz databases on this machine", tuple(clocks[0]), [tuple(row.values()) for row in clocks]),
    ]
