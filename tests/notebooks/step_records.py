"""Step records with fixed times, so that what a notebook says about time is a number that can be compared.

`step_records.json` says how long each state and step of a run took: three repetitions, by an older version of the
library and by this one. Made by `python -m tests.notebooks.step_records`: steps and lanes are those of a real run of
the tiny world, times come from the table below. `plant` puts them into a run's records; counts and statuses stay.
"""

from __future__ import annotations

import json
import os
import tempfile
from itertools import count
from pathlib import Path
from typing import Any, Final

from segment5b_lib.contract.words import STATES
from segment5b_lib.engine.chain import finished
from segment5b_lib.store.postures import load_posture
from segment5b_lib.store.records import StepRecord
from segment5b_lib.store.runs import Run
from segment5b_lib.world.build import build_world
from segment5b_lib.world.world_file import load_spec

FIXTURE: Final = Path(__file__).with_name("step_records.json")
OLDER, CURRENT = "older", "current"
REPETITIONS: Final = 3
MACHINE: Final = {"system": "Linux", "architecture": "x86_64", "cpus": 2}
STARTED: Final = "2026-01-01T00:00:00.000000Z"

_SECONDS: Final = {
    OLDER: {"S0": 1.4, "S1": 21.0, "S2": 14.0, "S3": 12.5, "S4": 80.0, "S5": 9.0},
    CURRENT: {"S0": 1.3, "S1": 11.0, "S2": 7.5, "S3": 6.0, "S4": 40.0, "S5": 8.5},
}
_APART: Final = 0.015
"""Each repetition takes this share longer than the one before."""
_TIMED: Final = 0.97
"""Share of a state's time that its steps account for."""
_LANE_SHARES: Final = {"input_load": 0.12, "compute": 0.66, "validation": 0.14, "write": 0.08}
_CPU_PER_WALL: Final = 1.6
_FIRST_PEAK: Final = 200_000_000
_PEAK_PER_STATE: Final = 12_000_000


def plant(run: Run, version: str) -> None:
    """Give a run's records the fixture's times. A step that the fixture does not know is an error: make it again."""
    timed = json.loads(FIXTURE.read_text(encoding="utf-8"))[version][run.receipt.nonce % REPETITIONS]
    for path in run.records_root.glob("utc_day=*/segment_state_runs.jsonl"):
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        lines = [json.dumps(_timed(record, timed[record["state"]])) for record in records]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _timed(record: dict[str, Any], timed: dict[str, Any]) -> dict[str, Any]:
    steps = {step["name"]: step for step in timed["steps"]}
    return {
        **record,
        **{name: timed[name] for name in ("durations", "peak_rss_bytes")},
        "steps": [{**step, **steps[step["name"]]} for step in record["steps"]],
        "machine": MACHINE,
        "started_at_utc": STARTED,
        "finished_at_utc": STARTED,
    }


def generated(run: Run) -> dict[str, list[dict[str, Any]]]:
    """The fixture's content from the steps of a run: by version and repetition, then by state.

    Steps are sorted by name: those that run side by side end in any order.
    """
    steps = {state: sorted(record.steps, key=lambda step: step.name) for state, record in run.last_records().items()}
    return {
        version: [
            {
                state: _state(steps[state], seconds[state] * (1 + _APART * repetition), position)
                for position, state in enumerate(STATES)
            }
            for repetition in range(REPETITIONS)
        ]
        for version, seconds in _SECONDS.items()
    }


def _state(steps: list[StepRecord], seconds: float, position: int) -> dict[str, Any]:
    shares = _shares(steps)
    return {
        "durations": _times(seconds * 1e3),
        "peak_rss_bytes": _FIRST_PEAK + position * _PEAK_PER_STATE,
        "steps": [
            {"name": step.name, "lane": step.lane, **_times(seconds * 1e3 * _TIMED * share)}
            for step, share in zip(steps, shares, strict=True)
        ],
    }


def _times(wall_ms: float) -> dict[str, float]:
    return {"wall_ms": round(wall_ms, 3), "cpu_ms": round(wall_ms * _CPU_PER_WALL, 3)}


def _shares(steps: list[StepRecord]) -> list[float]:
    """Lanes by the table; within a lane each step takes less than the one before, so that one is the hottest."""
    before = {lane: count(1) for lane in _LANE_SHARES}
    weights = [_LANE_SHARES[step.lane] / next(before[step.lane]) for step in steps]
    return [weight / sum(weights) for weight in weights]


def main() -> None:
    """Run the tiny world once and write the fixture."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SEGMENT5B_OUTPUTS"] = folder
        world = build_world(load_spec("tiny"), Path(folder)).world
        made = generated(finished(world, load_posture("published"), "published", 42, threads=2))
    FIXTURE.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
