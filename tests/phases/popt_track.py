"""Runs for the optimisation phases: repetitions of one piece of work, in an outputs folder that a test may spoil.

What is planted is evidence (records, receipts, files), never a verdict.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.identity import sha256_hex
from segment5b_lib.phases.engine.envelope import Body, artefact_schema
from segment5b_lib.phases.engine.execution import PhaseExecution
from segment5b_lib.store.catalogue import list_runs
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.roots import parameters_folder
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World

PINNED_HERE = {"validation.runtime.pinned_scale": "tiny"}
"""Budgets that bind at the scale of the tests' world."""


def repetitions(
    world: World, count: int, *, seed: int = 42, changes: Mapping[str, Any] | None = None, threads: int = 2
) -> list[Run]:
    """Complete runs of the same work, as `segment5b run --repeat` makes them."""
    policies = with_changes(load_posture("published"), changes or {})
    made = []
    for nonce in range(1, count + 1):
        run = create_run(world, policies, seed=seed, posture="published", nonce=nonce, changes=changes)
        run_states(run, threads=threads)
        made.append(run)
    return made


def edit_records(run: Run, state: str, /, **changes: Any) -> None:
    """Change fields of every record of a state."""
    for path in run.records_root.glob("utc_day=*/segment_state_runs.jsonl"):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        edited = [{**record, **changes} if record["state"] == state else record for record in records]
        path.write_text("".join(json.dumps(record) + "\n" for record in edited))


def plant_seconds(runs: Sequence[Run], seconds: Mapping[str, float], apart: float = 0.0) -> None:
    """Make states of runs take so many seconds: lanes in proportion, runs `apart` (a share) from each other."""
    for position, run in enumerate(runs):
        for state, planted in seconds.items():
            record = run.last_records()[state]
            factor = planted * (1 + apart * position) * 1e3 / record.durations.wall_ms
            steps = [{**step.model_dump(), "wall_ms": step.wall_ms * factor} for step in record.steps]
            wall = {**record.durations.model_dump(), "wall_ms": record.durations.wall_ms * factor}
            edit_records(run, state, steps=steps, durations=wall)


def plant_version(runs: Sequence[Run], version: str) -> list[Run]:
    """Say that another version of the library has made some runs."""
    for run in runs:
        path = run.root / "run_receipt.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "library_version": version}))
    return [Run(run.root) for run in runs]


def figures_file(folder: Path, **changes: Any) -> str:
    """The published figures with some keys changed, as a file of their own."""
    document = yaml.safe_load((parameters_folder() / "figures" / "published_run.yaml").read_text())
    path = folder / "figures.yaml"
    path.write_text(yaml.safe_dump({**document, **changes}))
    return str(path)


@dataclass(frozen=True)
class Track:
    """Runs as they are found: the published run with its repetitions, and three whose budgets bind at this scale."""

    outputs: Path
    plain: list[Run]
    pinned: list[Run]


def found_track(outputs: Path) -> Track:
    """The runs of an outputs folder by what their budgets are pinned to."""
    runs = list_runs()
    pinned = [run for run in runs if run.policies.validation.runtime.pinned_scale == "tiny"]
    return Track(outputs, [run for run in runs if run not in pinned], pinned)


def remade(runs: Sequence[Run], version: str = "0.0.9") -> list[Run]:
    """The same runs as another version of the library would have made them: copies with other ids."""
    made = []
    for run in runs:
        receipt = json.loads((run.root / "run_receipt.json").read_text())
        name = sha256_hex(f"{run.run_id} {version}".encode())[:32]
        root = run.root.with_name(name)
        shutil.copytree(run.root, root)
        renamed = {**receipt, "run_id": name, "library_version": version}
        (root / "run_receipt.json").write_text(json.dumps(renamed))
        made.append(Run(root))
    return made


def statuses(phase: PhaseExecution[Any, Any]) -> dict[str, str]:
    """Item to status."""
    return {item.id: item.status.value for item in phase.items}


def check_artefacts(phase: PhaseExecution[Any, Any], artefacts: Sequence[type[Body]]) -> dict[str, Any]:
    """Every JSON artefact fits its schema and says the decision; returns them by name."""
    files, written = phase.publish().artefacts, {}
    for artefact in artefacts:
        (path,) = (p for p in files if f"_{artefact.ARTEFACT}_" in p.name and p.suffix == ".json")
        document, form = json.loads(path.read_text()), artefact_schema(artefact)
        jsonschema.Draft202012Validator.check_schema(form)
        jsonschema.validate(document, form)
        assert document["decision"] == phase.decision.word.value and document["artefact"] == artefact.ARTEFACT
        written[artefact.ARTEFACT] = document
    return written
