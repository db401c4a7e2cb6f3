"""Rerun matrix: a changed state and everything after it, in a new run root that links the rest.

Which policies a state depends on is declared by its module (`SPEC.policies`, e.g. in `states/s3_counts.py`);
`chain.check_reusable` refuses to link a state whose policies have changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segment5b_lib.contract.words import STATES
from segment5b_lib.engine.chain import check_reusable, create_run
from segment5b_lib.errors import UsageError
from segment5b_lib.store.digest import require_unchanged
from segment5b_lib.store.postures import with_changes
from segment5b_lib.store.runs import Run


def states_from(changed: str) -> tuple[str, ...]:
    """A changed state and all states after it."""
    if changed not in STATES:
        raise UsageError(
            "5B.RUN.UNKNOWN_STATE", f"there is no state {changed!r}", expected=", ".join(STATES), found=changed
        )
    return STATES[STATES.index(changed) :]


def prepare_rerun(parent: Run, changed: str, changes: Mapping[str, Any], *, threads: int) -> Run:
    """Make the child run of `parent` with some policy keys changed; earlier states are linked.

    Without any change the parent itself is returned: same inputs, same run.

    Raises
    ------
    StaleError : a change touches a policy that an earlier state was made with, or the parent's outputs
        differ from their marker.
    """
    parent.require_ours("rerun a state of it")
    states = states_from(changed)
    policies = with_changes(parent.policies, changes)
    reused = STATES[: STATES.index(changed)]
    for state in reused:
        check_reusable(parent, state, policies)
    child = create_run(
        parent.world,
        policies,
        seed=parent.receipt.seed,
        posture=parent.receipt.posture,
        nonce=parent.receipt.nonce if policies.parameter_hash == parent.receipt.parameter_hash else 0,
        parent=parent,
        changed_states=states,
        changes=changes,
    )
    if child.run_id != parent.run_id:
        for state in reused:
            _link_state(parent, child, state, threads)
    return child


def _link_state(parent: Run, child: Run, state: str, threads: int) -> None:
    """Hard-link a state's outputs and its marker, unless the child has them."""
    if child.marker(state) is not None:
        return
    published = parent.digests(state)
    require_unchanged(
        published,
        "5B.RUN.STALE_OUTPUT",
        f"an output of {state} differs from its marker",
        next_step=f"segment5b rerun --changed {state}",
        threads=threads,
    )
    for path in published:
        _link(path, child.root / path.relative_to(parent.root))
    _link(parent.marker_path(state), child.marker_path(state))


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.hardlink_to(source)
