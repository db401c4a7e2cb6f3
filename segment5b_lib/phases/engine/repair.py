"""What to do about failed gates: the owners' commands, for this very run and world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from segment5b_lib.contract.commands import Command, RunAddress, addressed
from segment5b_lib.gates.attribution import Attribution
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.views.listing import html_table


@dataclass(frozen=True)
class NextStep:
    """One command, who would give it, and which failed gates it is for."""

    owner: str
    gates: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class NextSteps:
    """The smallest set of commands that address every failed gate."""

    steps: tuple[NextStep, ...]

    def _repr_html_(self) -> str:
        if not self.steps:
            return "<p>No gate fails: there is nothing to repair.</p>"
        rows = [(step.owner, ", ".join(step.gates), step.command) for step in self.steps]
        return html_table(("owner", "for", "command"), rows)


NOTHING: Final = NextSteps(())


def next_steps(scorecard: Scorecard) -> NextSteps:
    """One step per owner and command, in the order of the gates."""
    steps: dict[tuple[str, Command], list[Attribution]] = {}
    for found in scorecard.attributions:
        steps.setdefault((found.owner, found.command), []).append(found)
    return NextSteps(
        tuple(
            NextStep(owner, tuple(entry.gate_id for entry in same), runnable(same[0], scorecard).text)
            for (owner, _), same in steps.items()
        )
    )


def runnable(attribution: Attribution, scorecard: Scorecard) -> Command:
    """An attribution's command for the run that the scorecard is about."""
    identity = scorecard.identity
    address = RunAddress(
        run=identity["run_id"][:8],
        world=identity["manifest_fingerprint"][:8],
        seed=identity["seed"],
        attached=bool(scorecard.evidence.run.own),
    )
    return addressed(attribution.command, address, attribution.cause)
