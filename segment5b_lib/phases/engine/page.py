"""A phase's answer as Markdown: for people who read the artefact and not the notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.engine.envelope import Artefact, Envelope, FailedArtefact

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


@dataclass(frozen=True)
class Section:
    """One table of the page."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def frame_section(title: str, frame: pl.DataFrame) -> Section:
    """A frame as a table of texts; null is empty."""
    return Section(title, frame.columns, [["" if cell is None else str(cell) for cell in row] for row in frame.rows()])


def gate_section(scorecard: Scorecard, title: str = "Gates") -> Section:
    """Every gate of a scorecard: value, thresholds, verdict, owner."""
    rows = [[str(row[name] or "") for name in _GATE_COLUMNS] for row in scorecard.frame().to_dicts()]
    return Section(title, _GATE_COLUMNS, rows)


def markdown(envelope: Artefact | FailedArtefact, question: str, sections: Sequence[Section]) -> str:
    """Title, decision, reasons, identity, definition of done, error if there was one, then the phase's own tables."""
    parts = [
        f"# {envelope.phase}: {question}",
        f"**{envelope.decision.value}** · attempt {envelope.attempt} · {envelope.created_utc}",
        *(["", "**What-if: out of order, no evidence.**"] if envelope.what_if else []),
        "",
        *(f"- {reason}" for reason in envelope.reasons),
        "",
        *_table(_identity(envelope)),
        *_table(_done(envelope)),
    ]
    if envelope.error is not None:
        parts += ["## Error", "```", *(f"{name}: {text}" for name, text in envelope.error.items()), "```"]
    for section in sections:
        parts += _table(section)
    return "\n".join(parts) + "\n"


def _identity(envelope: Envelope) -> Section:
    runs = [("this run", envelope.run), *((role, run) for role, runs in envelope.others.items() for run in runs)]
    columns = ("role", "run", "posture", "seed", "parameter_hash", "manifest_fingerprint")
    rows = [
        (role, run.run_id, run.posture, str(run.seed), run.parameter_hash, run.manifest_fingerprint)
        for role, run in runs
    ]
    return Section(f"Runs ({envelope.scale} world, library {envelope.library_version})", columns, rows)


def _done(envelope: Envelope) -> Section:
    rows = [(line.id, line.status.value, line.text, line.evidence) for line in envelope.definition_of_done]
    return Section("Definition of done", ("item", "status", "text", "evidence"), rows)


def _table(section: Section) -> list[str]:
    if not section.rows:
        return [f"## {section.title}", "none", ""]
    lines = [section.columns, ["---"] * len(section.columns), *section.rows]
    table = [f"| {' | '.join(_cell(text) for text in line)} |" for line in lines]
    return [f"## {section.title}", *table, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
