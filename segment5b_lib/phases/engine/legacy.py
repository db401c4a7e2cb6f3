"""The former shape of a phase, for those that are not yet declared as `phase.Phase`.

A phase's module has a `PHASE` and an `execute`, which hands `conduct` a function that takes the evidence. `conduct`
does what is the same for all: order, attempt number, input digests, envelope, and artefacts that also say when the
evidence could not be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.errors import Segment5BError
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.identity import canonical_json, utc_now
from segment5b_lib.phases.engine.attempts import Attempt, Outcome, next_attempt, slug
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import (
    Artefact,
    DodItem,
    Envelope,
    FailedArtefact,
    InputDigest,
    MeasuredValue,
    identity_of,
    measured_values,
)
from segment5b_lib.phases.engine.identity_card import identity_card
from segment5b_lib.phases.engine.inputs import verified_inputs
from segment5b_lib.phases.engine.order import openings
from segment5b_lib.phases.engine.page import Section, markdown
from segment5b_lib.phases.engine.phase import item
from segment5b_lib.phases.engine.repair import NOTHING, NextSteps
from segment5b_lib.store.runs import Run
from segment5b_lib.version import __version__


class LegacyEnvelope(Envelope):
    """An artefact whose own fields are empty after an error."""

    ARTEFACT: ClassVar[str]

    error: dict[str, str] | None

    def content(self) -> bytes:
        """The artefact's bytes: canonical JSON and a newline."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"


@dataclass(frozen=True)
class Phase:
    """What stays the same from one execution to the next.

    `after` are the phases whose decision must stand first; `hold` is the word when an item is red; `pages` are the
    artefacts that (also) exist as Markdown.
    """

    name: str
    question: str
    after: tuple[str, ...]
    hold: Decision
    artefacts: tuple[type[LegacyEnvelope], ...]
    pages: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name as files spell it: `popt1`."""
        return slug(self.name)


@dataclass(frozen=True)
class Finding:
    """What a phase has found, before it is put into artefacts.

    `opens` is the word when every item is closed; `reopens` the word when one is not because of an upstream segment;
    `own` are each artefact's own fields; `files` are artefacts that are neither JSON nor a page, by (name, extension);
    `scorecards` those that were taken, this run's first.
    """

    items: Sequence[DodItem]
    opens: Decision
    reasons: Sequence[str] = ()
    reopens: Decision | None = None
    gates: Sequence[GateResult] = ()
    measured: Sequence[MeasuredValue] = ()
    own: Mapping[type[LegacyEnvelope], Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    sections: Sequence[Section] = ()
    next_steps: NextSteps = NOTHING
    scorecards: Sequence[Scorecard] = ()


def decide(phase: Phase, finding: Finding) -> tuple[Decision, list[str]]:
    """The opening word when no item is red, else the hold (or the reopening); and why."""
    red = [f"{found.id} {found.text}: {found.evidence}" for found in finding.items if found.status is ItemStatus.RED]
    if not red:
        return finding.opens, list(finding.reasons)
    return finding.reopens or phase.hold, [*red, *(finding.reasons if finding.reopens else ())]


def conduct(
    phase: Phase,
    run: Run,
    examine: Callable[[], Finding],
    *,
    others: Mapping[str, Sequence[Run]] | None = None,
    evidence: Collection[str] = (),
    what_if: bool = False,
) -> Closure:
    """Execute a phase on a run: check the order, take the evidence, decide, write a new attempt. Changes no run.

    Parameters
    ----------
    examine : takes the evidence
    others : the other runs that the evidence is about, by role
    evidence : datasets whose files, of every run named, are re-hashed and listed as inputs
    what_if : go ahead out of order; the artefacts are stamped, and nothing ever counts them as evidence

    Raises
    ------
    GateRefusal : a predecessor's decision is missing; nothing is written.
    Segment5BError : the evidence could not be taken; the attempt's artefacts record the error and hold.
    """
    roles = dict(others or {})
    opened = [] if what_if else openings(phase.name, phase.after, run, [r for runs in roles.values() for r in runs])
    with next_attempt(phase.slug, run.run_id, what_if=what_if) as attempt:
        common: dict[str, Any] = {
            "phase": phase.name,
            "attempt": attempt.number,
            "what_if": what_if,
            "library_version": __version__,
            "run": identity_of(run),
            "others": {role: [identity_of(other) for other in runs] for role, runs in roles.items()},
            "scale": run.world.scale,
            "opened_by": opened,
            "inputs": [],
        }
        try:
            common["inputs"] = _inputs(run, roles, evidence)
            finding = examine()
        except Segment5BError as error:
            _write(phase, attempt, common, _failed(phase, error), error)
            raise
        paths = _write(phase, attempt, common, finding, None)
    decision, reasons = decide(phase, finding)
    return Closure(
        phase=phase.name,
        question=phase.question,
        what_if=what_if,
        identity=identity_card(run),
        decision=decision,
        reasons=tuple(reasons),
        definition_of_done=tuple(finding.items),
        artefacts=tuple(paths),
        next_steps=finding.next_steps,
        own={kind.ARTEFACT: fields for kind, fields in finding.own.items()},
        scorecards=tuple(finding.scorecards),
    )


def _inputs(run: Run, roles: Mapping[str, Sequence[Run]], evidence: Collection[str]) -> list[InputDigest]:
    lines = verified_inputs(run, evidence)
    for role, runs in roles.items():
        for other in runs:
            lines += [
                InputDigest(path=f"{role}/{other.run_id}/{line.path}", sha256=line.sha256)
                for line in verified_inputs(other, evidence)
            ]
    return lines


def _failed(phase: Phase, error: Segment5BError) -> Finding:
    return Finding(items=[item(f"{phase.name}.0", "the evidence can be taken", [error.what], "")], opens=phase.hold)


def _write(
    phase: Phase, attempt: Attempt, common: Mapping[str, Any], finding: Finding, error: Segment5BError | None
) -> list[Path]:
    decision, reasons = decide(phase, finding)
    shared = {
        **common,
        "measured": [*measured_values(finding.gates), *finding.measured],
        "gates": list(finding.gates),
        "definition_of_done": list(finding.items),
        "decision": decision,
        "reasons": reasons,
        "created_utc": utc_now(),
        "error": error.context() if error else None,
    }
    made = [kind(artefact=kind.ARTEFACT, **shared, **finding.own.get(kind, {})) for kind in phase.artefacts]
    shared["artefact"] = phase.slug
    plain = FailedArtefact(**shared) if error else Artefact(**shared)
    files = {(artefact.artefact, "json"): artefact.content() for artefact in made}
    files |= {(name, "md"): markdown(plain, phase.question, finding.sections).encode() for name in phase.pages}
    outcome = Outcome(
        decision=decision.value,
        created_utc=plain.created_utc,
        items={found.id: found.status.value for found in finding.items},
        reasons=tuple(reasons),
        next=tuple(step.text for step in finding.next_steps.steps),
    )
    return attempt.publish({**files, **finding.files}, outcome)
