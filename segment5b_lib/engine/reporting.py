"""Observers of a running chain: one line per state, or a live table with step, share done, rate and time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from segment5b_lib.store.records import StateRecord

if TYPE_CHECKING:
    from segment5b_lib.states.context import Progress, StateSpec

REFRESHES_PER_SECOND: Final = 4
"""Refresh rate of the live table, independent of how often a state reports. Drawing takes about 4 ms of one core."""


class Listener:
    """Observer of a running chain; this one ignores everything."""

    def state_started(self, spec: StateSpec) -> None:
        """A state starts."""

    def progress(self, progress: Progress) -> None:
        """A shard of a state is done."""

    def state_finished(self, record: StateRecord) -> None:
        """A state has passed or failed; `record` is its run record."""

    def state_skipped(self, spec: StateSpec) -> None:
        """A state's outputs are complete and unchanged: nothing to do."""


class LineListener(Listener):
    def __init__(self, console: Console) -> None:
        self._console = console

    def state_finished(self, record: StateRecord) -> None:
        code = f" {record.error_code}" if record.error_code else ""
        rows = f"{record.rows_out:,} rows"
        self._console.print(f"{record.state} {record.status}{code} {record.seconds:.2f} s, {rows}")

    def state_skipped(self, spec: StateSpec) -> None:
        self._console.print(f"{spec.name} unchanged")


class LiveListener(Listener):
    """A live table of states with step, share done, rate and time left."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._rows: dict[str, tuple[str, str, str, str, str]] = {}
        self._started = 0.0

    def state_started(self, spec: StateSpec) -> None:
        self._started = time.perf_counter()
        self._set(spec.name, spec.title, "[cyan]running[/]", "", "", "")

    def progress(self, progress: Progress) -> None:
        elapsed = time.perf_counter() - self._started
        left = elapsed / progress.done * (progress.total - progress.done)
        title = self._rows[progress.state][0]
        done = f"{progress.step} {progress.done}/{progress.total}"
        rate = f"{progress.rows / max(elapsed, 1e-9) / 1e6:.2f} M rows/s"
        self._set(progress.state, title, f"[cyan]{done}[/]", rate, f"{elapsed:.1f} s", f"{left:.0f} s left")

    def state_finished(self, record: StateRecord) -> None:
        title = self._rows[record.state][0]
        verdict = "[green]PASS[/]" if record.passed else f"[red]FAIL {record.error_code}[/]"
        rows, seconds = f"{record.rows_out:,} rows", f"{record.seconds:.2f} s"
        self._set(record.state, title, verdict, rows, seconds, _main_lane(record))

    def state_skipped(self, spec: StateSpec) -> None:
        self._set(spec.name, spec.title, "[dim]unchanged[/]", "", "", "")

    def _set(self, state: str, title: str, status: str, rows: str, seconds: str, note: str) -> None:
        self._rows[state] = (title, status, rows, seconds, note)
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("state", "", "status", "rows", "time", ""):
            table.add_column(heading, justify="right" if heading in ("rows", "time") else "left")
        for name, row in self._rows.items():
            table.add_row(name, *row)
        self._live.update(table)


def _main_lane(record: StateRecord) -> str:
    lanes: dict[str, float] = {}
    for step in record.steps:
        lanes[step.lane] = lanes.get(step.lane, 0.0) + step.wall_ms
    total = sum(lanes.values())
    if not total:
        return ""
    lane = max(lanes, key=lambda name: lanes[name])
    return f"[dim]{lane} {lanes[lane] / total:.0%}[/]"


@contextmanager
def progress_listener(console: Console, *, quiet: bool) -> Iterator[Listener]:
    """The listener for a console: a live table on a terminal; lines without a terminal or if `quiet`."""
    if quiet or not console.is_terminal:
        yield LineListener(console)
        return
    with Live(console=console, refresh_per_second=REFRESHES_PER_SECOND) as live:
        yield LiveListener(live)
