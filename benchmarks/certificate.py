"""A certificate in one document: the decisions of all phases that led to it, and their inputs.

Nothing is measured here: it is read from the artefacts of the phases, whose digests must be those of their pointers.
"""

from __future__ import annotations

from typing import Any

from benchmarks.machine import machine, versions
from segment5b_lib.phases.engine.attempts import current, read_artefact, reports_folder, slug
from segment5b_lib.phases.engine.table import PHASES
from segment5b_lib.store.runs import Run

SCHEMA = "segment5b-certificate/1"


def certificate(run: Run) -> dict[str, Any]:
    """Decisions of P4 and P5 on a run, the gates of each seed, seconds by lane, and the decisions before."""
    closing, matrix, board, stability, receipts = (
        read_artefact("p4", run.run_id, name)
        for name in (
            "p4_closure",
            "p4_seed_authority_matrix",
            "p4_seed_gateboard",
            "p4_t10_stability",
            "p4_state_runtime_receipts",
        )
    )
    return {
        "schema": SCHEMA,
        "closure_class": closing["closure_class"],
        "earned_at": closing["earned_at"],
        "short_of_bplus": closing["short_of_bplus"],
        "decision": read_artefact("p5", run.run_id, "freeze_decision")["decision"],
        "run": closing["run"],
        "machine": machine(),
        "versions": versions(),
        "definition_of_done": {item["id"]: item["status"] for item in closing["definition_of_done"]},
        "seeds": {
            str(entry["seed"]): {
                "run_id": entry["run_id"],
                "bundle_digest": entry["bundle_digest"],
                "gates": {gate["gate_id"]: _gate(gate) for gate in board["by_seed"][str(entry["seed"])]},
            }
            for entry in matrix["seeds"]
        },
        "over_seeds": {gate["gate_id"]: _gate(gate) for gate in (*stability["t10"], *receipts["runtime"])},
        "way": _way(),
    }


def _gate(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in ("value", "unit", "verdict")}


def _way() -> list[dict[str, Any]]:
    """Every phase's current decision on every run, also of pruned runs, in order of time."""
    pointers = [
        (folder.name, phase, pointer)
        for folder in sorted(reports_folder("").iterdir())
        for phase in PHASES
        if (pointer := current(slug(phase), folder.name))
    ]
    return [
        {
            "phase": phase,
            "run_id": run_id,
            "decision": pointer["decision"],
            "items": pointer["items"],
            "created_utc": pointer["created_utc"],
        }
        for run_id, phase, pointer in sorted(pointers, key=lambda decision: str(decision[2]["created_utc"]))
    ]
