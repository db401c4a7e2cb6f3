"""The audit of sampled part files: every row against the invariants, and the part's statistics derived again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from segment5b_lib.arrays import I64
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.contract.validation_policy import SamplingPlan
from segment5b_lib.contract.words import Lane
from segment5b_lib.kernel.sampling import seeded_order
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5.arrival_rules import ARRIVAL_INVARIANTS, AUDITED_COLUMNS, ArrivalInvariants, ArrivalRows
from segment5b_lib.states.s5.check import Violations
from segment5b_lib.states.s5.expected_clock import stored_clock_errors
from segment5b_lib.states.s5.parts import PartFile, RowGroup, read_batches, row_groups

VIRTUAL_ROLES: Final = ("settlement", "operational")
"""The further clocks of a virtual arrival."""
_BATCH_ROWS: Final = 131_072
"""Rows audited at a time: the memory of their columns is used again."""


@dataclass(frozen=True)
class Audit:
    """Result of the audit of one scenario's sampled parts.

    `statistics` are those of S4's marker, derived again, by file name; `role_errors` are stored minus expected
    wall clocks of virtual rows, microseconds, ndarray(int64, ndim=1) by role.
    """

    parts: tuple[PartFile, ...]
    rows: int
    violations: Violations
    statistics: dict[str, dict[str, Any]]
    role_errors: dict[str, I64]


def sampled_parts(parts: Sequence[PartFile], plan: SamplingPlan) -> tuple[PartFile, ...]:
    """`plan.parts` parts that have rows, the first in a seeded order of the rank of their first row; in key order."""
    ranks = np.cumsum([0, *(part.rows for part in parts)])[:-1]
    order = seeded_order(ranks, plan.seed)
    filled = [position for position, part in enumerate(parts) if part.rows]
    chosen = sorted(filled, key=lambda position: int(order[position]))[: plan.parts]
    return tuple(parts[position] for position in sorted(chosen))


def audit_parts(context: Context, parts: tuple[PartFile, ...], invariants: ArrivalInvariants) -> Audit:

    def audit_group(group: RowGroup) -> list[Audit]:
        audits: list[Audit] = []
        batches, before = read_batches(group, AUDITED_COLUMNS, _BATCH_ROWS), None
        while True:
            with context.step("read sampled parts", Lane.INPUT_LOAD) as step:
                if (table := next(batches, None)) is None:
                    return audits
                step.rows = table.num_rows
            with context.step("audit sampled parts", Lane.VALIDATION):
                rows = ArrivalRows(table, invariants.words, invariants.sequences.merchants, before)
                statistics = {group.path.name: _statistics(rows, invariants.places.tzids)}
                violations, errors = invariants.violations(rows), _role_errors(rows, invariants)
                audits.append(Audit(parts, table.num_rows, violations, statistics, errors))
                before = rows.last

    groups = row_groups(parts)
    audited = context.map_shards("audit arrivals", audit_group, groups, [group.rows for group in groups])
    return _merge(parts, [audit for audits in audited for audit in audits])


def _merge(parts: tuple[PartFile, ...], audits: Sequence[Audit]) -> Audit:
    violations = Violations(tuple(ARRIVAL_INVARIANTS))
    statistics: dict[str, dict[str, Any]] = {}
    for audit in audits:
        violations.add(audit.violations)
        for name, added in audit.statistics.items():
            statistics[name] = _joined(statistics[name], added) if name in statistics else added
    errors = {
        role: np.concatenate([np.empty(0, np.int64), *(audit.role_errors[role] for audit in audits)])
        for role in VIRTUAL_ROLES
    }
    return Audit(parts, sum(audit.rows for audit in audits), violations, statistics, errors)


def _statistics(rows: ArrivalRows, tzids: Sequence[str]) -> dict[str, Any]:
    """Statistics as in S4's marker, from a batch of a part's rows."""
    place = np.where(rows.virtual, rows.ids("edge_id"), rows.ids("site_id"))
    zone = np.bincount(rows.code["tzid_primary"] + 1, minlength=len(tzids) + 1)[1:]
    return {
        "rows": rows.seq.size,
        "virtual": int(rows.virtual.sum()),
        "first_ts_us": int(rows.ts.min()),
        "last_ts_us": int(rows.ts.max()),
        "seq_sum": int(rows.seq.sum()),
        "offset_minutes_sum": int((rows.local - rows.ts).sum()) // (60 * SECOND_US),
        "place_id_sum": int(place.sum(dtype=np.uint64)),
        "rows_of_zone": {tzid: int(count) for tzid, count in zip(tzids, zone, strict=True) if count},
    }


def _joined(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    added = {name: left[name] + right[name] for name in ("rows", "virtual", "seq_sum", "offset_minutes_sum")}
    return added | {
        "first_ts_us": min(left["first_ts_us"], right["first_ts_us"]),
        "last_ts_us": max(left["last_ts_us"], right["last_ts_us"]),
        "place_id_sum": (left["place_id_sum"] + right["place_id_sum"]) % (1 << 64),
        "rows_of_zone": dict(Counter(left["rows_of_zone"]) + Counter(right["rows_of_zone"])),
    }


def _role_errors(rows: ArrivalRows, invariants: ArrivalInvariants) -> dict[str, I64]:
    virtual = np.flatnonzero(rows.virtual)
    return {
        role: stored_clock_errors(
            invariants.horizon,
            invariants.places.tzids,
            rows.code[f"tzid_{role}"][virtual],
            rows.ts[virtual],
            rows.instants(f"ts_local_{role}")[virtual],
        )
        for role in VIRTUAL_ROLES
    }
