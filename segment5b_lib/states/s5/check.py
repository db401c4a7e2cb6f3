"""One check of S5: the value measured, its bounds, and the status that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.validation_policy import Limit
from segment5b_lib.contract.verdicts import Bound, Measurement, judge
from segment5b_lib.contract.words import Verdict

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
    """Status of a violated clock check under `civil_time_enforcement`."""
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
        """The check as the report shows it."""
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
    verdict = judge(Measurement(value, *population, ruling=ruling), bounds)
    return Check(
        check_id,
        _STATUS.get(verdict, when_violated),
        value,
        unit,
        tuple(bounds),
        *population,
        message,
        detail or {},
        tuple(issues[:MAX_ISSUES]),
    )


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
