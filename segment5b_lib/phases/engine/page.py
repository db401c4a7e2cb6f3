"""A phase's answer for people: what it shows in Jupyter, escaped, and its page in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import polars as pl

from segment5b_lib.contract.colours import STATUS_COLOURS
from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.html_table import Cell, bold, code, headline, html_record, html_table, spaced
from segment5b_lib.phases.engine.envelope import Artefact, DodItem, Envelope, FailedArtefact, RunIdentity, identity_of
from segment5b_lib.store.runs import Run


@dataclass(frozen=True)
class IdentityCard:
    """Who a run is: ids, scale, posture, seed, horizon."""

    run: RunIdentity
    scale: str
    scenarios: tuple[str, ...]
    horizon: str

    def rows(self) -> list[tuple[str, str]]:
        """Label and text, in reading order."""
        return [
            ("run", self.run.run_id),
            ("posture", self.run.posture),
            ("seed", str(self.run.seed)),
            ("scale", self.scale),
            ("scenarios", ", ".join(self.scenarios)),
            ("horizon", self.horizon),
            ("world", self.run.manifest_fingerprint),
            ("policies", self.run.parameter_hash),
            ("parent run", self.run.parent_run or "none"),
        ]

    def _repr_html_(self) -> str:
        return html_record((label, code(text)) for label, text in self.rows())


def identity_card(run: Run) -> IdentityCard:
    """Who a run is, from its receipt and its world's manifest."""
    start = min(start for start, _ in run.horizons.values())
    end = max(end for _, end in run.horizons.values())
    return IdentityCard(
        run=identity_of(run),
        scale=run.world.scale,
        scenarios=tuple(run.horizons),
        horizon=f"{start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}",
    )


_MARK: Final = {ItemStatus.GREEN: "✔", ItemStatus.RED: "✘", ItemStatus.WAIVED: "○", ItemStatus.NOT_APPLICABLE: "–"}


class Items(tuple[DodItem, ...]):
    """A definition of done, in its order."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return html_table(("", "definition of done", "evidence"), [_row(item) for item in self], one_line=("",))


@dataclass(frozen=True)
class PhaseDecision:
    """What a phase decides: the word, why, and the definition of done that it is based on."""

    phase: str
    word: Decision
    reasons: tuple[str, ...]
    items: Items
    what_if: bool

    @property
    def opens(self) -> bool:
        """Whether the next phase may start."""
        return self.word.opens

    def _repr_html_(self) -> str:
        colour = STATUS_COLOURS[ItemStatus.GREEN if self.opens else ItemStatus.RED]
        stamp = " · what-if: out of order, no evidence" if self.what_if else ""
        return headline(self.word.value, stamp, self.reasons, bar=colour)


@dataclass(frozen=True)
class Published:
    """What one attempt of a phase has written: the decision that it records and its files."""

    phase: str
    attempt: int
    decision: PhaseDecision
    artefacts: tuple[Path, ...]

    def _repr_html_(self) -> str:
        files = "".join(f"<li><code>{escape(path.name)}</code></li>" for path in self.artefacts)
        return f"<p>{escape(self.phase)}, attempt {self.attempt}: {escape(self.decision.word)}</p><ul>{files}</ul>"


def _row(item: DodItem) -> tuple[str | Cell, ...]:
    status = Cell(f"{_MARK[item.status]} {item.status.value}", colour=STATUS_COLOURS[item.status])
    return status, spaced(bold(item.id), item.text), item.evidence


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
