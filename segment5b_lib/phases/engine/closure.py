"""What a phase hands back to its notebook: identity card, answer, next steps; each shows itself, escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import polars as pl

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.errors import MissingInputError
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.engine.envelope import DodItem, Node, RunIdentity, identity_of
from segment5b_lib.phases.engine.repair import NextSteps
from segment5b_lib.store.runs import Run

_MARK: Final = {ItemStatus.GREEN: "✔", ItemStatus.RED: "✘", ItemStatus.WAIVED: "○", ItemStatus.NOT_APPLICABLE: "–"}
STATUS_COLOURS: Final = {
    ItemStatus.GREEN: "#009e73",
    ItemStatus.RED: "#d55e00",
    ItemStatus.WAIVED: "#cc79a7",
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
        colour = STATUS_COLOURS[ItemStatus.GREEN if self.decision.opens else ItemStatus.RED]
        items = "".join(_item(item) for item in self.definition_of_done)
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        stamp = " · what-if: out of order, no evidence" if self.what_if else ""
        return (
            f"<p style='font-size:1.25em;border-left:6px solid {colour};padding-left:.6em'>"
            f"<b>{escape(self.decision.value)}</b>{stamp}</p><ul>{reasons}</ul>"
            "<table><thead><tr><th></th><th style='text-align:left'>definition of done</th>"
            f"<th style='text-align:left'>evidence</th></tr></thead><tbody>{items}</tbody></table>"
        )


def _row(entry: object, field: str) -> Mapping[str, Any]:
    if isinstance(entry, Node):
        return entry.model_dump(mode="json")
    return entry if isinstance(entry, Mapping) else {field: entry}


def _item(item: DodItem) -> str:
    status = f"{_MARK[item.status]} {item.status.value}"
    return (
        f"<tr><td style='white-space:nowrap;color:{STATUS_COLOURS[item.status]}'>{status}</td>"
        f"<td style='text-align:left'><b>{escape(item.id)}</b> {escape(item.text)}</td>"
        f"<td style='text-align:left'>{escape(item.evidence)}</td></tr>"
    )
