"""List of all runs, and the summary of a run without reading its rows."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from segment5b_lib.contract.words import STATES
from segment5b_lib.store.catalogue import Pins, list_runs, read_pins
from segment5b_lib.store.roots import pages_of
from segment5b_lib.store.runs import Run
from segment5b_lib.views.timing import states

_SCHEMA: Final[dict[str, pl.DataType]] = {
    "run_id": pl.String(),
    "roles": pl.List(pl.String),
    "posture": pl.String(),
    "seed": pl.Int64(),
    "scale": pl.String(),
    "world": pl.String(),
    "states": pl.Int64(),
    "parent": pl.String(),
    "attached": pl.Boolean(),
    "created_utc": pl.String(),
}


def runs() -> pl.DataFrame:
    """Every run, oldest first.

    Returns `run_id`, `roles` (in the keep-set), `posture`, `seed`, `scale`, `world` (fingerprint), `states` (how
    many have published), `parent` (run id; null for none), `attached` (made by another tool, read-only), `created_utc`.

    Example: `s5.runs()`
    """
    pins = read_pins()
    return pl.DataFrame([_row(run, pins) for run in list_runs()], schema=_SCHEMA)


def about(run: Run) -> dict[str, Any]:
    """One run as a JSON-ready mapping: receipt, scale, scenarios, roles, states, bytes on disk, pages, attachment.

    `bytes` counts every file below the run root, linked ones too, or all outputs of an attached run's states;
    `scenarios` are those of the world; `attachment` has the folder of an attached run, what was verified, what readers
    normalise, and what is missing (null for a run of this library).
    """
    attachment = run.attachment.model_dump(exclude={"world_files"}) if run.attachment else None
    return {
        "receipt": run.receipt.model_dump(),
        "scale": run.world.scale,
        "scenarios": list(run.world.scenarios),
        "roles": read_pins().roles_of(run.run_id),
        "states": states(run).to_dicts(),
        "bytes": _bytes(run),
        "attachment": attachment,
        "pages": [str(page) for page in pages_of(run.run_id)],
    }


def _bytes(run: Run) -> int:
    if run.attached:
        return sum(output.bytes for output in run.outputs(*STATES))
    return sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file())


def _row(run: Run, pins: Pins) -> dict[str, Any]:
    receipt = run.receipt
    return {
        "run_id": run.run_id,
        "roles": pins.roles_of(run.run_id),
        "posture": receipt.posture,
        "seed": receipt.seed,
        "scale": run.world.scale,
        "world": receipt.manifest_fingerprint,
        "states": sum(run.marker(state) is not None for state in STATES),
        "parent": receipt.parent_run,
        "attached": run.attached,
        "created_utc": receipt.created_utc,
    }
