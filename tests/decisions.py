"""Predecessors' decisions, written where a phase looks for them: tests of one phase need not walk all before it."""

from __future__ import annotations

from segment5b_lib.contract.words import Decision
from segment5b_lib.phases.engine.attempts import Outcome, next_attempt, slug
from segment5b_lib.store.runs import Run


def speak(phase: str, run: Run, decision: Decision, created: str = "2026-01-01", *, what_if: bool = False) -> None:
    """Leave a decision of a phase about a run, with one artefact that rests on nothing."""
    with next_attempt(slug(phase), run.run_id, what_if=what_if) as attempt:
        attempt.publish(
            {(f"{slug(phase)}_note", "json"): b'{"opened_by":[],"definition_of_done":[]}'},
            Outcome(decision=decision.value, created_utc=created, items={}),
        )
