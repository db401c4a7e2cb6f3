"""Step timers: time of a state by lane, measured in the code and never read from log text."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from segment5b_lib.contract.words import Lane
from segment5b_lib.store.records import StepRecord


@dataclass
class Step:
    """One named piece of work. `wall_ms` and `cpu_ms` add up over repetitions; so do rows and bytes."""

    name: str
    lane: Lane
    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    rows: int = 0
    bytes: int = 0

    def record(self) -> StepRecord:
        return StepRecord(
            name=self.name,
            lane=self.lane,
            wall_ms=round(self.wall_ms, 3),
            cpu_ms=round(self.cpu_ms, 3),
            rows=self.rows,
            bytes=self.bytes,
        )


class StepLog:
    """Collects the steps of one state attempt.

    Steps that run at the same time inside `parallel` share the section's wall time in proportion to the
    time each took on its thread, so that the lanes of a state add up to the state's own wall time.
    """

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._section: dict[str, Step] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def step(self, name: str, lane: Lane) -> Iterator[Step]:
        """Time a piece of work; the caller sets `rows` and `bytes` on what is yielded."""
        step = Step(name, lane)
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            yield step
        finally:
            step.wall_ms = (time.perf_counter() - wall) * 1e3
            step.cpu_ms = (time.thread_time() - cpu) * 1e3
            with self._lock:
                _add(self._steps if self._section is None else self._section, step)

    @contextmanager
    def parallel(self) -> Iterator[None]:
        section: dict[str, Step] = {}
        self._section = section
        wall = time.perf_counter()
        try:
            yield
        finally:
            elapsed_ms = (time.perf_counter() - wall) * 1e3
            self._section = None
            on_threads_ms = sum(step.wall_ms for step in section.values())
            for step in section.values():
                step.wall_ms *= elapsed_ms / on_threads_ms if on_threads_ms else 0.0
                _add(self._steps, step)

    def records(self) -> tuple[StepRecord, ...]:
        """All steps in the order in which they first ended."""
        return tuple(step.record() for step in self._steps.values())


def _add(steps: dict[str, Step], step: Step) -> None:
    total = steps.setdefault(step.name, Step(step.name, step.lane))
    total.wall_ms += step.wall_ms
    total.cpu_ms += step.cpu_ms
    total.rows += step.rows
    total.bytes += step.bytes
