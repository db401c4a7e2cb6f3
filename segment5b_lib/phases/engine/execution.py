"""A phase performed on a run, step by step: measured, items, decision, publication. Each step is computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, Generic, NamedTuple

from segment5b_lib.errors import Segment5BError
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.identity import utc_now
from segment5b_lib.phases.engine import page
from segment5b_lib.phases.engine.attempts import Outcome, next_attempt
from segment5b_lib.phases.engine.envelope import (
    Artefact,
    Body,
    FailedArtefact,
    InputDigest,
    Opening,
    content,
    identity_of,
    measured_values,
    verified_inputs,
)
from segment5b_lib.phases.engine.order import openings, order_of_work
from segment5b_lib.phases.engine.parameters import checked
from segment5b_lib.phases.engine.phase import Conclusion, Files, M, Measured, P, Phase, Subject, decide, item
from segment5b_lib.phases.engine.repair import NOTHING, NextSteps
from segment5b_lib.store.catalogue import find_run
from segment5b_lib.version import __version__


class StepResults(NamedTuple, Generic[M]):
    """Everything that one execution has taken and derived; nothing in it is read or computed a second time."""

    inputs: Sequence[InputDigest]
    measured: M
    items: page.Items
    conclusion: Conclusion
    bodies: Sequence[Body | None]
    sections: Sequence[page.Section]
    files: Files


@dataclass(frozen=True, eq=False, repr=False)
class PhaseExecution(Generic[P, M]):
    """One phase on one run. Made by `execution`; its steps are taken when they are first asked for, and frozen.

    `measured`, `items` and `decision` change nothing on disk. If the evidence cannot be taken, the attempt's
    artefacts record the error and hold, and the error is raised. `publish` writes what was measured.
    """

    phase: Phase[P, M]
    subject: Subject[P]

    @property
    def question(self) -> str:
        """What the phase asks."""
        return self.phase.question

    @property
    def parameters(self) -> P:
        """Its parameters, with run ids for names."""
        return self.subject.parameters

    @cached_property
    def identity(self) -> page.IdentityCard:
        """Who the run is."""
        return page.identity_card(self.subject.run)

    @property
    def measured(self) -> M:
        """What was measured, every value once.

        Raises
        ------
        Segment5BError : the evidence could not be taken; the attempt's artefacts record the error and hold.
        """
        return self._results.measured

    @property
    def items(self) -> page.Items:
        """The definition of done."""
        return self._results.items

    @cached_property
    def decision(self) -> page.PhaseDecision:
        """The word, why, and the definition of done that it is based on."""
        return self._decision(self.items, self._results.conclusion)

    @property
    def next_steps(self) -> NextSteps:
        """What to do next."""
        return self._results.conclusion.next_steps

    @property
    def scorecard(self) -> Scorecard:
        """The gates of the run, where the phase measures them."""
        return self.measured.scorecard

    def publish(self) -> page.Published:
        """Write what was measured as a new attempt, then perform the phase's effects. A second call writes nothing.

        Raises
        ------
        GateRefusal : a predecessor no longer opens this phase; nothing is written.
        Segment5BError : the evidence could not be taken; the attempt's artefacts record the error and hold.

        Example: `s5.phase("P0", run, as_what_if=True).publish()`
        """
        return self._published

    def with_parameters(self, **changes: Any) -> PhaseExecution[P, M]:
        """The same phase with other parameters, measured again.

        Example: `s5.phase("P0", run, as_what_if=True).with_parameters(run_id=run.run_id).parameters`
        """
        return execution(self.phase, {**self.parameters.model_dump(), **changes})

    @cached_property
    def _published(self) -> page.Published:
        results = self._results
        published = self._write(results, self.decision, None)
        if self.decision.opens and not self.parameters.as_what_if:
            self.phase.effects(self.measured)
        return published

    @property
    def _results(self) -> StepResults[M]:
        if isinstance(self._taken, Segment5BError):
            raise self._taken
        return self._taken

    @cached_property
    def _taken(self) -> StepResults[M] | Segment5BError:
        inputs: list[InputDigest] = []
        try:
            inputs += self._inputs()
            return self._take(inputs)
        except Segment5BError as error:
            self._record(inputs, error)
            return error

    def _take(self, inputs: Sequence[InputDigest]) -> StepResults[M]:
        phase = self.phase
        measured = phase.measure(self.subject)
        items = page.Items(phase.items(measured))
        bodies = phase.bodies(measured)
        if [type(body) for body in bodies] != list(phase.artefacts):
            raise TypeError(f"{phase.name}: bodies are not those of its artefacts")
        conclusion = phase.conclude(measured, items)
        return StepResults(inputs, measured, items, conclusion, bodies, phase.sections(measured), phase.files(measured))

    def _record(self, inputs: Sequence[InputDigest], error: Segment5BError) -> None:
        """An attempt whose evidence could not be taken."""
        items = page.Items([item(f"{self.phase.name}.0", "the evidence can be taken", [error.what], "")])
        nothing = Conclusion(opens=self.phase.hold, next_steps=NOTHING)
        failed = StepResults(inputs, Measured(), items, nothing, [None] * len(self.phase.artefacts), (), {})
        self._write(failed, self._decision(items, nothing), error)

    def _decision(self, items: page.Items, conclusion: Conclusion) -> page.PhaseDecision:
        word, reasons = decide(self.phase.hold, items, conclusion)
        return page.PhaseDecision(self.phase.name, word, reasons, items, self.parameters.as_what_if)

    def _inputs(self) -> list[InputDigest]:
        lines = verified_inputs(self.subject.run, self.phase.evidence)
        for role, runs in self.subject.others.items():
            for other in runs:
                lines += [
                    InputDigest(path=f"{role}/{other.run_id}/{line.path}", sha256=line.sha256)
                    for line in verified_inputs(other, self.phase.evidence)
                ]
        return lines

    def _write(
        self, results: StepResults[Any], decision: page.PhaseDecision, error: Segment5BError | None
    ) -> page.Published:
        phase, run, what_if = self.phase, self.subject.run, self.parameters.as_what_if
        opened = opened_by(phase, self.subject)
        with next_attempt(phase.slug, run.run_id, what_if=what_if) as attempt:
            fields: dict[str, Any] = {
                "artefact": phase.slug,
                "phase": phase.name,
                "attempt": attempt.number,
                "what_if": what_if,
                "library_version": __version__,
                "run": identity_of(run),
                "others": {role: [identity_of(other) for other in runs] for role, runs in self.subject.others.items()},
                "scale": run.world.scale,
                "opened_by": opened,
                "inputs": list(results.inputs),
                "measured": [*measured_values(results.measured.gates), *results.measured.values],
                "gates": list(results.measured.gates),
                "definition_of_done": list(results.items),
                "decision": decision.word,
                "reasons": list(decision.reasons),
                "created_utc": utc_now(),
            }
            envelope = FailedArtefact(**fields, error=error.context()) if error else Artefact(**fields, error=None)
            outcome = Outcome(
                decision=envelope.decision.value,
                created_utc=envelope.created_utc,
                items={line.id: line.status.value for line in results.items},
                reasons=decision.reasons,
                next=tuple(step.text for step in results.conclusion.next_steps.steps),
            )
            paths = attempt.publish(_files(phase, envelope, results), outcome)
        return page.Published(phase.name, attempt.number, decision, tuple(paths))

    def __dir__(self) -> list[str]:
        return ["subject", *(name for name in vars(type(self)) if not name.startswith("_"))]

    def _repr_html_(self) -> str:
        return f"<p><b>{escape(self.phase.name)}</b> {escape(self.question)}</p>{self.identity._repr_html_()}"

    def __repr__(self) -> str:
        return f"{self.phase.name} on run {self.subject.run.run_id[:8]}: {self.question}"


def execution(phase: Phase[P, M], values: Mapping[str, object]) -> PhaseExecution[P, M]:
    """A phase on a run: parameters checked, runs opened, order checked. Nothing is measured or written yet.

    Raises
    ------
    UsageError : an unknown, missing or wrongly typed parameter, or an unknown run.
    GateRefusal : a predecessor's decision is missing, and it is no what-if.
    """
    parameters = checked(
        phase.parameters,
        values,
        code="5B.PHASE.PARAMETER",
        where=f"phase {phase.name}",
        next_step="correct the parameter; nothing has been measured",
    ).resolved()
    run = find_run(parameters.run_id)
    others = {role: tuple(runs) for role, runs in phase.roles(run, parameters).items()}
    subject = Subject(run, parameters, others)
    opened_by(phase, subject)
    return PhaseExecution(phase, subject)


def opened_by(phase: Phase[P, Any], subject: Subject[P]) -> list[Opening]:
    """The decisions that open a phase; none are needed for a what-if.

    Raises
    ------
    GateRefusal : a predecessor's decision is missing.
    """
    if subject.parameters.as_what_if:
        return []
    run, others, after = subject.run, subject.other_runs, phase.after
    if phase.ranked:
        work = order_of_work(run, others)
        after = tuple(dict.fromkeys((*after, *(work[: work.index(phase.name)] if phase.name in work else ()))))
    return openings(phase.name, after, run, others)


def _files(phase: Phase[Any, Any], envelope: Artefact | FailedArtefact, results: StepResults[Any]) -> Files:
    """Every artefact's bytes by (name, extension)."""
    files = {
        (kind.ARTEFACT, "json"): content(envelope.model_copy(update={"artefact": kind.ARTEFACT}), body)
        for kind, body in zip(phase.artefacts, results.bodies, strict=True)
    }
    text = page.markdown(envelope, phase.question, results.sections).encode()
    return {**files, **{(name, "md"): text for name in phase.pages}, **results.files}
