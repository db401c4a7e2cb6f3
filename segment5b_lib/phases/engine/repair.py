"""What to do about failed gates: the owners' commands, for this very run and world."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

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
    steps: dict[tuple[str, str], list[Attribution]] = {}
    for found in scorecard.attributions:
        steps.setdefault((found.owner, found.command), []).append(found)
    return NextSteps(
        tuple(
            NextStep(owner, tuple(entry.gate_id for entry in same), runnable(same[0], scorecard))
            for (owner, _), same in steps.items()
        )
    )


def runnable(attribution: Attribution, scorecard: Scorecard) -> str:
    """An attribution's command with the run or the world that it is to be given for; its rule names neither."""
    run, world = scorecard.identity["run_id"][:8], scorecard.identity["manifest_fingerprint"][:8]
    command = attribution.command
    if attribution.upstream:
        command = command.replace("world reopen", f"world reopen {world}", 1)
        return f'{command} --reason "{attribution.cause}"'
    command = command.replace("segment5b calibrate", f"segment5b calibrate {run}", 1)
    if scorecard.evidence.run.own:
        # An attached run is only read: what is changed is made anew, on the same world.
        seed = scorecard.identity["seed"]
        return re.sub(
            r"segment5b rerun --changed S\d", f"segment5b run --world {world} --seed {seed}", command, count=1
        )
    return command.replace("segment5b rerun", f"segment5b rerun --run {run}", 1)
