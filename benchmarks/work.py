"""Work of a measured process: `python -m benchmarks.work TASK ARGUMENTS`. Prints one JSON line at its end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.floor import floor_of
from segment5b_lib.contract.words import STATES
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.engine.preflight import require_world
from segment5b_lib.gates.scoring import score as measure_gates
from segment5b_lib.store.catalogue import find_run
from segment5b_lib.store.postures import load_posture
from segment5b_lib.store.records import StateRecord
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import open_world
from segment5b_lib.world.build import build_world
from segment5b_lib.world.world_file import load_spec

Answer = dict[str, Any]


def world(scale: str, threads: int) -> Answer:
    """Build the world of a scale."""
    spec = load_spec(scale)
    require_world(spec, outputs_folder())
    started = _clocks()
    built = build_world(spec, outputs_folder(), threads=threads)
    times = _since(started)
    rows = built.world.document["forecast"]["series"] * spec.horizon.buckets * len(spec.scenarios)
    size = sum(path.stat().st_size for path in built.world.root.rglob("*") if path.is_file())
    return {**times, "rows": rows, "bytes": size, "world": built.world.mf}


def finish(world: str, posture: str, seed: int, threads: int) -> Answer:
    """Make a run and all its states, so that each can be measured over the others' outputs."""
    run = create_run(open_world(world), load_posture(posture), seed=seed, posture=posture)
    run_states(run, threads=threads)
    records = run.last_records()
    rows, arrivals = (records[state].rows_out for state in ("S3", "S4"))
    return {"run": run.run_id, "root": str(run.root), "rows": rows, "arrivals": arrivals, "bytes": _sizes(run)}


def states(run: str, names: Sequence[str], threads: int, warm: str) -> Answer:
    """Execute states of a finished run again: together, and each by its own run record.

    Before that, the states of a small run with root `warm` load the libraries and compiled kernels that a process
    loads once; this is not part of the states' time, and reported as `load_s`.
    """
    small = Run(Path(warm))
    first, second = (_again(small, names, threads)["wall_s"] for _ in range(2))
    chosen = find_run(run)
    return {
        **_again(chosen, names, threads),
        "load_s": first - second,
        "rows": sum(_rows(chosen.last_records()[name]) for name in names),
    }


def _again(run: Run, names: Sequence[str], threads: int) -> Answer:
    """Execute states of a run without outputs; removing the previous outputs is not counted."""
    for output in run.outputs(*names):
        (run.root / output.path).unlink()
    for name in names:
        run.marker_path(name).unlink()
    started = _clocks()
    executed = run_states(run, names, threads=threads)
    assert executed == list(names), executed
    return _since(started)


def score(run: str) -> Answer:
    """Measure every gate of a run by full scan."""
    chosen = find_run(run)
    started = _clocks()
    measure_gates(chosen)
    return {**_since(started), "rows": chosen.last_records()["S4"].rows_out}


def floor(run: str, state: str, threads: int) -> Answer:
    """Minimum cost of a state's input and output (see `floor`)."""
    return floor_of(find_run(run), state, threads)


def _sizes(run: Run) -> dict[str, int]:
    """Bytes of a run's published outputs by dataset."""
    size: dict[str, int] = {}
    for output in run.outputs(*STATES):
        size[output.dataset_id] = size.get(output.dataset_id, 0) + output.bytes
    return size


def _rows(record: StateRecord) -> int:
    """Rows that a state handles: the maximum of those it reads and those it writes."""
    return max(record.rows_in or 0, record.rows_out or 0)


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: tuple[float, float]) -> Answer:
    wall, cpu = started
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


TASKS: dict[str, Callable[..., Answer]] = {task.__name__: task for task in (world, finish, states, score, floor)}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](**json.loads(sys.argv[2]))))
