"""Compare the outputs of two runs: datasets by digest, counters by value, as lines of a table."""

from __future__ import annotations

from segment5b_lib.contract.words import STATES
from segment5b_lib.phases.popt_structure import DatasetLine, counters_of, datasets_of
from segment5b_lib.store.runs import Run

Line = tuple[str, str, str, bool]
"""Name, method of comparison, what differs, and whether they are equal."""


def structure_lines(first: Run, other: Run) -> list[Line]:
    """Every dataset, then every counter that differs; the others of a state in one line."""
    datasets = [_dataset_row(line) for line in datasets_of(first, other, STATES)]
    return [*datasets, *(row for state in STATES for row in _counter_rows(first, other, state))]


def _dataset_row(line: DatasetLine) -> Line:
    names = sorted({path.rsplit("/", 1)[-1] for path in line.differs})
    return line.dataset_id, line.compared_by, ", ".join(names) or "nothing", line.equal


def _counter_rows(first: Run, other: Run, state: str) -> list[Line]:
    lines = counters_of(first, other, state, _counter_names(first, state))
    unequal = [line for line in lines if not line.equal]
    rows = [(f"{state} {line.counter}", "counter", f"{line.reference} → {line.candidate}", False) for line in unequal]
    equal = len(lines) - len(unequal)
    return [*rows, (f"{state}: {equal} other counters", "counter", "nothing", True)] if equal else rows


def _counter_names(run: Run, state: str) -> list[str]:
    """Names of a state's scalar counters, those of scenarios included."""
    counters = run.counters(state)
    groups = [counters, *counters.get("scenarios", {}).values()]
    return sorted({name for group in groups for name, value in group.items() if isinstance(value, (int, float, str))})
