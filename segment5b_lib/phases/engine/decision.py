"""A phase's decision and definition of done, as objects that show themselves in Jupyter, escaped."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from segment5b_lib.contract.colours import STATUS_COLOURS
from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.html_table import Cell, bold, html_table, words
from segment5b_lib.phases.engine.envelope import DodItem

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
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        stamp = " · what-if: out of order, no evidence" if self.what_if else ""
        return (
            f"<p style='font-size:1.25em;border-left:6px solid {colour};padding-left:.6em'>"
            f"<b>{escape(self.word.value)}</b>{stamp}</p><ul>{reasons}</ul>"
        )


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
    return status, words(bold(item.id), item.text), item.evidence
