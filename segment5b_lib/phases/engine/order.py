"""Order: a phase starts only where its predecessors' recorded decisions open it.

A decision about one run opens the next phase for related runs. They are looked for from near to far: the run itself,
its parents by rerun, the runs that it is compared with, other runs of its world, then runs of the worlds that its
world was reopened from. The nearest group about which the predecessor has decided counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from segment5b_lib.contract.words import Decision
from segment5b_lib.errors import GateRefusal
from segment5b_lib.phases.engine.attempts import current, pointer_path, read_artefact, slug
from segment5b_lib.phases.engine.envelope import Opening
from segment5b_lib.store.catalogue import list_runs
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.runs import Run

SUBJECTS: Final = {"POPT.1": ("S1",), "POPT.2": ("S4",), "POPT.3": ("S2", "S3")}
"""Which states each optimisation phase is about."""


@dataclass(frozen=True)
class RecordedDecision:
    """What a phase has decided about a run; `created_utc` orders decisions."""

    opening: Opening
    created_utc: str


def openings(phase: str, after: Sequence[str], run: Run, others: Sequence[Run]) -> list[Opening]:
    """The decisions that open a phase for a run, one per predecessor.

    Raises
    ------
    GateRefusal : a predecessor has not decided, or its decision does not open this phase.
    """
    return [_opening(phase, predecessor, run, latest_decision(predecessor, run, others)) for predecessor in after]


def latest_decision(phase: str, run: Run, others: Sequence[Run]) -> Opening | None:
    """A phase's decision about the nearest related runs that it has decided about: one that opens, then the newest."""
    for group in related_runs(run, others):
        decisions = [decision for related in group if (decision := recorded_decision(phase, related))]
        if decisions:
            return max(decisions, key=lambda decision: (decision.opening.decision.opens, decision.created_utc)).opening
    return None


def related_runs(run: Run, others: Sequence[Run]) -> Iterator[list[Run]]:
    """Groups of related runs, nearest first; a run may be in several."""
    yield [run]
    known = {known_run.run_id: known_run for known_run in list_runs()}
    yield list(_ancestors(run, known))
    yield list(others)
    for mf in [
        run.receipt.manifest_fingerprint,
        *(parent["manifest_fingerprint"] for parent in run.world.document["parents"]),
    ]:
        yield [related for related in known.values() if related.receipt.manifest_fingerprint == mf]


def recorded_decision(phase: str, run: Run) -> RecordedDecision | None:
    """The decision that a phase's current attempt on a run has recorded; a what-if is none."""
    pointer = current(slug(phase), run.run_id)
    if pointer is None:
        return None
    opening = Opening(
        phase=phase,
        run_id=run.run_id,
        attempt=pointer.attempt,
        decision=Decision(pointer.decision),
        pointer_sha256=sha256_file(pointer_path(slug(phase), run.run_id)),
    )
    return RecordedDecision(opening, pointer.created_utc)


def order_of_work(run: Run, others: Sequence[Run]) -> list[str]:
    """Phases in the order that POPT.0 has ranked for related runs; empty where it has not opened."""
    opening = latest_decision("POPT.0", run, others)
    if opening is None or not opening.decision.opens:
        return []
    return list(read_artefact(slug("POPT.0"), opening.run_id, "popt0_hotspot_map")["order_of_work"])


def is_closed(phase: str, run: Run, others: Sequence[Run]) -> bool:
    """Whether a phase's latest decision about related runs opens the next."""
    opening = latest_decision(phase, run, others)
    return opening is not None and opening.decision.opens


def _opening(phase: str, predecessor: str, run: Run, opening: Opening | None) -> Opening:
    if opening is not None and opening.decision.opens:
        return opening
    run_id, word = (opening.run_id, opening.decision.value) if opening else (run.run_id, "no decision")
    raise GateRefusal(
        "5B.PHASE.NOT_OPENED",
        f"{phase} may not start: the decision of {predecessor} is missing",
        where=f"{predecessor}, run {run_id[:8]}",
        expected=f"a decision of {predecessor} that opens {phase}",
        found=word,
        next_step=f"segment5b phase {predecessor} {run_id[:8]}, or --as-what-if for a look that is not evidence",
    )


def _ancestors(run: Run, known: dict[str, Run]) -> Iterator[Run]:
    parent = known.get(run.receipt.parent_run or "")
    while parent is not None:
        yield parent
        parent = known.get(parent.receipt.parent_run or "")
