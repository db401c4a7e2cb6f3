"""What to do about failed gates: the owners' commands, for this very run and world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from segment5b_lib.contract.commands import Command, RunAddress, addressed, command
from segment5b_lib.gates.scorecard import Attribution, Scorecard
from segment5b_lib.html_table import html_table
from segment5b_lib.store.runs import Run


@dataclass(frozen=True)
class NextStep:
    """Commands to give one after the other, who would give them, and what they are about.

    `about` names failed gates, red items or the phase that is open; `note` follows the commands.
    """

    owner: str
    about: tuple[str, ...]
    commands: tuple[Command, ...]
    note: str = ""

    @property
    def text(self) -> str:
        """The commands as a shell takes them, and the note."""
        line = " && ".join(command.text for command in self.commands)
        return f"{line} ({self.note})" if self.note else line


@dataclass(frozen=True)
class NextSteps:
    """The smallest set of commands that address what a phase has found."""

    steps: tuple[NextStep, ...]

    def _repr_html_(self) -> str:
        if not self.steps:
            return "<p>No gate fails: there is nothing to repair.</p>"
        rows = [(step.owner, ", ".join(step.about), step.text) for step in self.steps]
        return html_table(("owner", "for", "command"), rows)


NOTHING: Final = NextSteps(())


def one_step(owner: str, about: Sequence[str], *commands: Command, note: str = "") -> NextSteps:
    """A single next step."""
    return NextSteps((NextStep(owner, tuple(about), commands, note),))


def next_phase(name: str, owner: str, run: Run) -> NextSteps:
    """The phase that a decision has opened, on a run."""
    return one_step(owner, [name], command("phase", name, run.run_id[:8]))


def next_steps(scorecard: Scorecard) -> NextSteps:
    """One step per owner and command, in the order of the gates."""
    steps: dict[tuple[str, Command], list[Attribution]] = {}
    for attribution in scorecard.attributions:
        steps.setdefault((attribution.owner, attribution.command), []).append(attribution)
    return NextSteps(
        tuple(
            NextStep(owner, tuple(entry.gate_id for entry in same), (runnable(same[0], scorecard),))
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
        attached=scorecard.evidence.run.attached,
    )
    return addressed(attribution.command, address, attribution.cause)
