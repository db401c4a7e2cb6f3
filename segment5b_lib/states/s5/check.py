"""What one check of S5 found, what it was held against, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from segment5b_lib.contract.policies import POLICIES, Policies
from segment5b_lib.contract.validation_policy import Limit
from segment5b_lib.errors import PolicyError

MAX_ISSUES: Final = 20
"""Offenders that a check lists one by one; its `found` counts them all."""
LAW: Final = "3-states.md, S5"
"""Where a bound comes from that no policy may move."""


class CheckStatus(StrEnum):
    """How a check stands. Only `fail`, and more `warn` than the policy allows, refuse the bundle."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    ADVISORY = "advisory"


@dataclass(frozen=True)
class Bound:
    """A limit and where it comes from: policy file, key within it, and value."""

    limit: Limit
    source: str
    key: str

    def __str__(self) -> str:
        words = {"min": "at least", "max": "at most"}
        limits = self.limit.model_dump(exclude_none=True).items()
        text = " and ".join(f"{words[name]} {value:g}" for name, value in limits)
        return f"{text} ({self.source}, {self.key})"

    def document(self) -> dict[str, Any]:
        """The bound as the report shows it."""
        return {"policy_file": self.source, "policy_key": self.key, **self.limit.model_dump(exclude_none=True)}


def by_policy(policy: str, key: str, *, min: float | None = None, max: float | None = None) -> Bound:
    """A bound that a policy owns; `policy` is its short name, `key` the path within it."""
    return Bound(Limit(min=min, max=max), POLICIES[policy], key)


def by_gate(policies: Policies, gate: str, level: str) -> Bound:
    """The B (`b`) or B+ (`bplus`) bound of a gate of the validation policy."""
    gates = policies.validation.gates
    if gate not in gates:
        raise PolicyError(
            "5B.POLICY.GATE_MISSING",
            f"the policy has no thresholds for {gate}, which S5 checks",
            where=f"{POLICIES['validation']}, key gates.{gate}",
            expected="severity, b, bplus",
            found=", ".join(gates),
            next_step=f"add gates.{gate} to the validation policy",
        )
    return Bound(getattr(gates[gate], level), POLICIES["validation"], f"gates.{gate}.{level}")


def governed(policies: Policies) -> CheckStatus:
    """What a breach of a clock check means under `civil_time_enforcement`."""
    strict = policies.validation.civil_time_enforcement == "fail_closed"
    return CheckStatus.FAIL if strict else CheckStatus.ADVISORY


NONE_ALLOWED: Final = Bound(Limit(max=0), LAW, "no exception")
"""What a structural law says: not one offender."""


@dataclass(frozen=True)
class Issue:
    """One offender: where it is, what was expected there and what was found."""

    where: str
    expected: str
    found: str


@dataclass(frozen=True)
class Check:
    """One check of one bundle.

    Attributes
    ----------
    check_id : stable name; a refusal carries the code `5B.S5.<check_id>`
    value : what was measured, in `unit`; None where nothing could be measured
    bounds : every bound that the value was held against
    population : how many things the value is about, in `population_unit`
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
        """The error code of a refusal by this check."""
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


def held(
    check_id: str,
    value: float | None,
    unit: str,
    bounds: Sequence[Bound],
    population: tuple[int, str],
    message: str,
    *,
    when_broken: CheckStatus = CheckStatus.FAIL,
    detail: dict[str, Any] | None = None,
    issues: Sequence[Issue] = (),
) -> Check:
    """Hold a value against all its bounds; a value that could not be measured breaks them."""
    kept = value is not None and all(bound.limit.holds(value) for bound in bounds)
    return Check(
        check_id,
        CheckStatus.PASS if kept else when_broken,
        value,
        unit,
        tuple(bounds),
        *population,
        message,
        detail or {},
        tuple(issues[:MAX_ISSUES]),
    )


def structural(
    check_id: str,
    offenders: int,
    population: tuple[int, str],
    law: str,
    issues: Sequence[Issue] = (),
    *,
    detail: dict[str, Any] | None = None,
) -> Check:
    """A law without exception: `offenders` of the population break it, none may."""
    message = law if offenders == 0 else f"{offenders} break this: {law}"
    return held(check_id, offenders, population[1], [NONE_ALLOWED], population, message, detail=detail, issues=issues)
