"""One session: its settings, its working folder, and the finished run of each scale that it measures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.process import Finished, work


@dataclass(frozen=True)
class Subject:
    """A finished run to measure. `rows` are bucket rows; `bytes` published outputs by dataset."""

    outputs: Path
    run: str
    root: str
    rows: int
    arrivals: int
    world_bytes: int
    bytes: dict[str, int]

    def work(self, task: str, **arguments: Any) -> Finished:
        """Run a task on the run in a separate process."""
        return work(task, self.outputs, run=self.run, **arguments)


@dataclass
class Session:
    """What to measure, how often, with how many threads; everything is below `folder`."""

    scale: str
    repetitions: int
    threads: int
    posture: str
    seed: int
    folder: Path
    _subjects: dict[str, Subject] = field(default_factory=dict)

    def subject(self, scale: str) -> Subject:
        """The finished run of a scale, made on first use."""
        if scale not in self._subjects:
            self.say(f"preparing {scale}")
            outputs = self.folder / scale
            built = work("world", outputs, scale=scale, threads=self.threads).answer
            made = {"world": built["world"], "posture": self.posture, "seed": self.seed, "threads": self.threads}
            run = work("finish", outputs, **made).answer
            self._subjects[scale] = Subject(outputs, world_bytes=built["bytes"], **run)
        return self._subjects[scale]

    def states(self, scale: str, names: Sequence[str], threads: int, **settings: Any) -> Finished:
        """Execute states of a scale's run again, in a process that has already executed them for the tiny one."""
        return self.subject(scale).work(
            "states", names=names, threads=threads, warm=self.subject("tiny").root, **settings
        )

    def sizes(self) -> dict[str, dict[str, Any]]:
        """Rows, arrivals and bytes of every scale that was made."""
        return {
            scale: {
                "rows": subject.rows,
                "arrivals": subject.arrivals,
                "world_bytes": subject.world_bytes,
                "run_bytes": subject.bytes,
            }
            for scale, subject in self._subjects.items()
        }

    def say(self, text: str) -> None:
        """Print progress."""
        print(text, file=sys.stderr, flush=True)
