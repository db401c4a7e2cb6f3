"""The table of gates: the rows that their modules carry, in the order of scoring.

The clock and conservation come first, calibration after them, then the audit. Thresholds and severity stand in the
validation policy; every result says which file, key and value it was judged by. `CONTRIBUTING.md` says how to add a
gate.
"""

from __future__ import annotations

from typing import Final

from segment5b_lib.errors import UsageError
from segment5b_lib.gates import (
    a01_streams,
    a02_phase,
    a03_count_law,
    a04_routing_law,
    a05_placement,
    a06_replay,
    runtime,
    t01_civil_time,
    t02_one_hour,
    t03_dst_windows,
    t04_conservation,
    t05_nullability,
    t06_concentration,
    t07_virtual_share,
    t08_weekend,
    t09_dispersion,
    t10_stability,
    t11_horizon,
    t12_local_contract,
)
from segment5b_lib.gates.gate import Gate, Group

GATES: Final[tuple[Gate, ...]] = tuple(
    entry
    for module in (
        t11_horizon,
        t12_local_contract,
        t01_civil_time,
        t02_one_hour,
        t03_dst_windows,
        t04_conservation,
        t05_nullability,
        t06_concentration,
        t07_virtual_share,
        t08_weekend,
        t09_dispersion,
        a01_streams,
        a02_phase,
        a03_count_law,
        a04_routing_law,
        a05_placement,
    )
    for entry in module.GATES
)
"""What one scorecard holds: measured on one run, in one pass."""

CROSS_RUN_GATES: Final[tuple[Gate, ...]] = (*t10_stability.GATES, *a06_replay.GATES, *runtime.GATES)
"""What takes several runs or another execution: measured when a phase asks for it."""

SCORED_DATASETS: Final = tuple(sorted({name for entry in GATES for name in entry.evidence}))
"""Every dataset that one scorecard is measured on."""

WATCHED_BY_S5: Final = tuple(
    sorted((entry.gate_id for entry in GATES if entry.watched_by_s5), key=lambda gate_id: int(gate_id[1:]))
)
"""Gates against whose thresholds S5 holds checks of its own, by number."""


def gates_of(*groups: Group) -> tuple[str, ...]:
    """Ids of the gates of some groups, group by group in the order of the table."""
    return tuple(entry.gate_id for group in groups for entry in GATES if entry.group is group)


def gate(gate_id: str) -> Gate:
    """Look a gate up by id; the error lists what exists."""
    for entry in (*GATES, *CROSS_RUN_GATES):
        if entry.gate_id == gate_id:
            return entry
    raise UsageError(
        "5B.GATES.UNKNOWN_GATE",
        f"there is no gate {gate_id!r}",
        expected=", ".join(entry.gate_id for entry in (*GATES, *CROSS_RUN_GATES)),
        found=gate_id,
        next_step="segment5b score RUN",
    )
