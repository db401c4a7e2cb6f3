"""Checks of S5: the value measured, its bounds, and the status that follows; rows that violate an invariant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pyarrow as pa

from segment5b_lib.arrays import Flags
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.validation_policy import Limit
from segment5b_lib.contract.verdicts import Bound, Measurement, judge
from segment5b_lib.contract.words import Verdict
from segment5b_lib.errors import InputError

MAX_ISSUES: Final = 20
"""Offenders that a check lists one by one; its `found` counts them all."""
SPECIFICATION: Final = "3-states.md, S5"
"""Source of a bound that no policy may change."""


class CheckStatus(StrEnum):
    """Status of a check. Only `fail`, and more `warn` than the policy allows, refuse the bundle."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    ADVISORY = "advisory"


def when_clock_violated(policies: Policies) -> CheckStatus:
    strict = policies.validation.civil_time_enforcement == "fail_closed"
    return CheckStatus.FAIL if strict else CheckStatus.ADVISORY


NONE_ALLOWED: Final = Bound(Limit(max=0), SPECIFICATION, "no exception")
"""The bound of an invariant: not one offender."""


@dataclass(frozen=True)
class Issue:
    """One offender: its place, the expected and the actual value."""

    where: str
    expected: str
    found: str


@dataclass(frozen=True)
class Check:
    """One check of one bundle.

    Attributes
    ----------
    check_id : stable name; a refusal carries the code `5B.S5.<check_id>`
    value : the value measured, in `unit`; None if nothing could be measured
    bounds : every bound that the value was compared with
    population : number of items that the value is about, in `population_unit`
    message : one sentence for the reader
    detail : JSON-ready figures that explain the value
    issues : the first offenders
    """

    check_id: str
    status: CheckStatus
    value: float | None
    unit: str
    bounds: tuple[Bound, ...]
    population: int
    population_unit: str
    message: str
    detail: dict[str, Any] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()

    @property
    def code(self) -> str:
        return f"5B.S5.{self.check_id}"

    def document(self) -> dict[str, Any]:
        return {
            "check_id": self.check_id,
            "status": self.status.value,
            "value": self.value,
            "unit": self.unit,
            "thresholds": [bound.document() for bound in self.bounds],
            "population": self.population,
            "population_unit": self.population_unit,
            "message": self.message,
            "detail": self.detail,
        }


def check_bounds(
    check_id: str,
    value: float | None,
    unit: str,
    bounds: Sequence[Bound],
    population: tuple[int, str],
    message: str,
    *,
    when_violated: CheckStatus = CheckStatus.FAIL,
    detail: dict[str, Any] | None = None,
    issues: Sequence[Issue] = (),
    ruling: Verdict | None = None,
) -> Check:
    """Compare a value with all its bounds; a value that could not be measured violates them.

    `ruling` is a verdict that holds regardless of the value: without power it is an advisory.
    """
    status = _STATUS.get(judge(Measurement(value, *population, ruling=ruling), bounds), when_violated)
    listed = tuple(issues[:MAX_ISSUES])
    return Check(check_id, status, value, unit, tuple(bounds), *population, message, detail or {}, listed)


_STATUS: Final = {
    Verdict.PASS_BPLUS: CheckStatus.PASS,
    Verdict.NOT_APPLICABLE: CheckStatus.PASS,
    Verdict.INSUFFICIENT_POWER: CheckStatus.ADVISORY,
}
"""Status of a check whose bounds were not violated; `PASS_B` satisfies only one of its bounds."""


def check_invariant(
    check_id: str,
    offenders: int,
    population: tuple[int, str],
    invariant: str,
    issues: Sequence[Issue] = (),
    *,
    detail: dict[str, Any] | None = None,
) -> Check:
    """An invariant without exception: `offenders` of the population violate it, none may."""
    message = invariant if offenders == 0 else f"{offenders} violate this: {invariant}"
    return check_bounds(
        check_id, offenders, population[1], [NONE_ALLOWED], population, message, detail=detail, issues=issues
    )


class Violations:
    """Number of rows that violate each of some invariants, and the first of each."""

    def __init__(self, invariants: Sequence[str]) -> None:
        self.rows = dict.fromkeys(invariants, 0)
        self.issues: dict[str, list[Issue]] = {invariant: [] for invariant in invariants}

    def record(
        self, invariant: str, wrong: Flags, where: Callable[[int], str], expected: str, found: Callable[[int], object]
    ) -> None:
        """Count the rows that violate an invariant; `where` and `found` give place and value of a row."""
        offenders = np.flatnonzero(wrong)
        self.rows[invariant] += offenders.size
        for row in offenders[:MAX_ISSUES].tolist():
            self.issues[invariant].append(Issue(str(where(row)), expected, str(found(row))))

    def add(self, other: Violations) -> None:
        for invariant, rows in other.rows.items():
            self.rows[invariant] += rows
            self.issues[invariant] = (self.issues[invariant] + other.issues[invariant])[:MAX_ISSUES]


def row_checks(
    violations: Violations, invariants: Mapping[str, str], population: tuple[int, str], **detail: Any
) -> list[Check]:
    return [
        check_invariant(name, violations.rows[name], population, text, violations.issues[name], detail=detail)
        for name, text in invariants.items()
    ]


def require_values(table: pa.Table, where: str) -> None:
    """No column of a table may hold a null."""
    for name in table.column_names:
        if table[name].null_count:
            raise InputError(
                "5B.S5.NULL_IN_REQUIRED_COLUMN",
                "a column that has a value in every row has a null",
                where=f"{where}, column {name}",
                expected="no null",
                found=f"{table[name].null_count} nulls",
                next_step="rerun the state that writes it",
            )
