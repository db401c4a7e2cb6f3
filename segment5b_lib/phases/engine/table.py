"""The phases in the order of the plan, and the board: where every run stands, and what holds it.

`CONTRIBUTING.md` says how to add a phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.errors import UsageError
from segment5b_lib.phases import p0, p1, p2, p3, p4, p5, popt0, popt1, popt2, popt3, popt4, popt5
from segment5b_lib.phases.engine.attempts import current, slug
from segment5b_lib.phases.engine.phase import Phase
from segment5b_lib.store.runs import Run

_IN_ORDER: Final = (popt0, popt1, popt2, popt3, popt4, popt5, p0, p1, p2, p3, p4, p5)
PHASES: Final[dict[str, Phase[Any, Any]]] = {module.PHASE.name: module.PHASE for module in _IN_ORDER}
"""Every phase by its name, in the order of the plan."""


def declared(name: str) -> Phase[Any, Any]:
    """A phase by its name, e.g. `P0`; upper and lower case are alike.

    Raises
    ------
    UsageError : there is no such phase.
    """
    if name.upper() not in PHASES:
        raise UsageError("5B.PHASE.UNKNOWN", f"there is no phase {name!r}", expected=", ".join(PHASES), found=name)
    return PHASES[name.upper()]


COLUMNS: Final = {
    "run_id": pl.String,
    "posture": pl.String,
    "seed": pl.Int64,
    "scale": pl.String,
    "phase": pl.String,
    "decision": pl.String,
    "stands": pl.String,
    "attempt": pl.Int64,
    "held_by": pl.String,
    "created_utc": pl.String,
}


def phase_board(runs: Sequence[Run]) -> pl.DataFrame:
    """One row per run and phase that has decided about it, runs as given, phases in the plan's order.

    Returns `run_id`, `posture`, `seed`, `scale`, `phase`, `decision`, `stands` (`open`, `reopen` for an upstream
    segment, `hold`, `what-if`), `attempt`, `held_by` (first reason of a hold), `created_utc`.
    """
    rows = [row for run in runs for phase in PHASES for row in _rows(run, phase)]
    return pl.DataFrame(rows, schema=COLUMNS)


def _rows(run: Run, phase: str) -> list[dict[str, object]]:
    pointer = current(slug(phase), run.run_id) or current(slug(phase), run.run_id, what_if=True)
    if pointer is None:
        return []
    decision = Decision(pointer.decision)
    held = "reopen" if "UPSTREAM" in decision.value else "hold"
    red = ItemStatus.RED.value in pointer.items.values()
    return [
        {
            "run_id": run.run_id,
            "posture": run.receipt.posture,
            "seed": run.receipt.seed,
            "scale": run.world.scale,
            "phase": phase,
            "decision": decision.value,
            "stands": "what-if" if pointer.what_if else "open" if decision.opens else held,
            "attempt": pointer.attempt,
            "held_by": pointer.reasons[0] if red and pointer.reasons else "",
            "created_utc": pointer.created_utc,
        }
    ]
