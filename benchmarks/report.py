"""A result in one screen: medians with the range of the repetitions, and the design's targets."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.targets import met, target

WORK = {
    "wall_s": "wall s",
    "cpu_s": "CPU s",
    "peak_bytes": "peak MB",
    "rows_per_s": "M rows/s",
    "floor_ratio": "÷ floor",
}
"""Columns of the first table; other measures are lines of the second."""
MILLIONS = ("peak_bytes", "rows_per_s", "bytes")


def show(document: dict[str, Any], console: Console) -> None:
    """Two tables: pieces of work, and other measures."""
    about, machine = document["about"], document["machine"]
    console.print(
        f"{about['scale']}, {about['posture']}, seed {about['seed']}: median (min–max) of "
        f"{about['repetitions']} with {about['threads']} threads"
    )
    console.print(f"{machine['cores']} cores, {machine['processor']}, load {machine['load_average']}", soft_wrap=True)
    measures = {tuple(name.rpartition(".")[::2]): measure for name, measure in document["measures"].items()}
    working = list(dict.fromkeys(subject for subject, what in measures if what == "cpu_s"))
    rest = [key for key in measures if key[0] not in working or key[1] not in WORK]
    table = _table("", *WORK.values())
    for subject in working:
        cells = [_cell(subject, what, measures.get((subject, what)), about["scale"]) for what in WORK]
        table.add_row(subject, *cells)
    console.print(table)
    table = _table("", "", "")
    for subject, what in rest:
        table.add_row(subject, what, _cell(subject, what, measures[subject, what], about["scale"]))
    console.print(table)


def wide_console() -> Console:
    """The terminal; without one, lines of a fixed length."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140)


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _cell(subject: str, what: str, measure: dict[str, Any] | None, scale: str) -> str:
    """Median and range; green or red, with the bound, if the design has one."""
    if measure is None:
        return ""
    divisor = 1e6 if what in MILLIONS else 1.0
    median, least, most = (f"{measure[key] / divisor:.3g}" for key in ("median", "min", "max"))
    text = f"{median} ({least}–{most})"
    bound = target(f"{subject}.{what}", scale)
    if bound is None:
        return text
    sign = "≤" if measure["better"] == "less" else "≥"
    return f"[{'green' if met(measure, bound) else 'red'}]{text} {sign} {bound / divisor:.3g}[/]"
