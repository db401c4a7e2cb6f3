"""What a phase hands back to its notebook: identity card, answer, next steps; each shows itself, escaped."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.envelope import DodItem, RunIdentity
from segment5b_lib.phases.repair import NextSteps, next_steps

_MARK: Final = {ItemStatus.GREEN: "✔", ItemStatus.RED: "✘", ItemStatus.NOT_APPLICABLE: "–"}
_COLOUR: Final = {
    ItemStatus.GREEN: "#009e73",
    ItemStatus.RED: "#d55e00",
    ItemStatus.NOT_APPLICABLE: "#8c8c8c",
}


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
        body = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th>"
            f"<td style='text-align:left'><code>{escape(text)}</code></td></tr>"
            for label, text in self.rows()
        )
        return f"<table>{body}</table>"


@dataclass(frozen=True)
class Closure:
    """A phase's answer: decision, reasons, definition of done, the artefacts that say so."""

    phase: str
    question: str
    identity: IdentityCard
    decision: Decision
    reasons: tuple[str, ...]
    definition_of_done: tuple[DodItem, ...]
    artefacts: tuple[Path, ...]
    scorecard: Scorecard

    @property
    def next_steps(self) -> NextSteps:
        """What to do about the gates that fail."""
        return next_steps(self.scorecard)

    def _repr_html_(self) -> str:
        colour = _COLOUR[ItemStatus.GREEN if self.decision.opens else ItemStatus.RED]
        items = "".join(_item(item) for item in self.definition_of_done)
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        return (
            f"<p style='font-size:1.25em;border-left:6px solid {colour};padding-left:.6em'>"
            f"<b>{escape(self.decision.value)}</b></p><ul>{reasons}</ul>"
            "<table><thead><tr><th></th><th style='text-align:left'>definition of done</th>"
            f"<th style='text-align:left'>evidence</th></tr></thead><tbody>{items}</tbody></table>"
        )


def _item(item: DodItem) -> str:
    status = f"{_MARK[item.status]} {item.status.value}"
    return (
        f"<tr><td style='white-space:nowrap;color:{_COLOUR[item.status]}'>{status}</td>"
        f"<td style='text-align:left'><b>{escape(item.id)}</b> {escape(item.text)}</td>"
        f"<td style='text-align:left'>{escape(item.evidence)}</td></tr>"
    )
