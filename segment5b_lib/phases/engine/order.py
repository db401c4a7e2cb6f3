"""Order: a phase starts only where its predecessors' recorded decisions open it.

A decision about one run opens the next phase for its kin. Kin is looked for from near to far: the run itself, its
parents by rerun, the runs it is compared with, other runs of its world, then runs of the worlds that its world was
reopened from. The nearest circle in which the predecessor has spoken decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segment5b_lib.contract.words import Decision
from segment5b_lib.errors import GateRefusal
from segment5b_lib.phases.engine.attempts import current, pointer_path, slug
from segment5b_lib.phases.engine.envelope import Opening
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.runs import Run, list_runs
from segment5b_lib.store.worlds import World


@dataclass(frozen=True)
class Standing:
    """What a phase has decided about a run; `created_utc` orders decisions."""

    opening: Opening
    created_utc: str


def openings(phase: str, after: Sequence[str], run: Run, others: Sequence[Run]) -> list[Opening]:
    """The decisions that open a phase for a run, one per predecessor.

    Raises
    ------
    GateRefusal : a predecessor has not spoken, or what it said does not open this phase.
    """
    return [_opening(phase, predecessor, run, nearest(predecessor, run, others)) for predecessor in after]


def nearest(phase: str, run: Run, others: Sequence[Run]) -> Opening | None:
    """What a phase has decided about the nearest kin that it has spoken about: of several, what opens, the newest."""
    for circle in kin(run, others):
        spoken = [found for relative in circle if (found := standing(phase, relative))]
        if spoken:
            return max(spoken, key=lambda found: (found.opening.decision.opens, found.created_utc)).opening
    return None


def kin(run: Run, others: Sequence[Run]) -> Iterator[list[Run]]:
    """Circles of related runs, nearest first; a run may stand in several."""
    yield [run]
    known = {found.run_id: found for found in list_runs()}
    yield list(_ancestors(run, known))
    yield list(others)
    for mf in [run.receipt.manifest_fingerprint, *_parents(run.world)]:
        yield [found for found in known.values() if found.receipt.manifest_fingerprint == mf]


def standing(phase: str, run: Run) -> Standing | None:
    """The decision that a phase's current attempt on a run has recorded; a what-if is none."""
    pointer = current(slug(phase), run.run_id)
    if pointer is None:
        return None
    opening = Opening(
        phase=phase,
        run_id=run.run_id,
        attempt=pointer["attempt"],
        decision=Decision(pointer["decision"]),
        pointer_sha256=sha256_file(pointer_path(slug(phase), run.run_id)),
    )
    return Standing(opening, pointer["created_utc"])


def _opening(phase: str, predecessor: str, run: Run, found: Opening | None) -> Opening:
    if found is None:
        raise _refusal(phase, predecessor, run.run_id, "no decision")
    if not found.decision.opens:
        raise _refusal(phase, predecessor, found.run_id, found.decision.value)
    return found


def _refusal(phase: str, predecessor: str, run_id: str, found: str) -> GateRefusal:
    return GateRefusal(
        "5B.PHASE.NOT_OPENED",
        f"{phase} may not start: the decision of {predecessor} is missing",
        where=f"{predecessor}, run {run_id[:8]}",
        expected=f"a decision of {predecessor} that opens {phase}",
        found=found,
        next_step=f"segment5b phase {predecessor} {run_id[:8]}, or --as-what-if for a look that counts for nothing",
    )


def _ancestors(run: Run, known: dict[str, Run]) -> Iterator[Run]:
    parent = known.get(run.receipt.parent_run or "")
    while parent is not None:
        yield parent
        parent = known.get(parent.receipt.parent_run or "")


def _parents(world: World) -> list[str]:
    return [parent["manifest_fingerprint"] for parent in world.document["parents"]]
