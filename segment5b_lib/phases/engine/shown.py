"""What a phase shows in Jupyter, escaped: the run that it is about, definition of done, decision, publication."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from segment5b_lib.contract.colours import STATUS_COLOURS
from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.html_table import Cell, bold, code, headline, html_record, html_table, spaced
from segment5b_lib.phases.engine.envelope import DodItem, RunIdentity, identity_of
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
