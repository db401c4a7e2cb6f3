"""The vocabulary of a verdict: a measured value, the bounds it is compared with, and the result that documents carry.

S5's checks, the gates, the artefacts of phases and kept scorecards all use it; whoever measures brings the value, the
policies bring the bounds, and `judge` alone decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Final, Literal

from pydantic import ConfigDict

from segment5b_lib.contract.policies import POLICIES
from segment5b_lib.contract.validation_policy import GateThresholds, Limit, ValidationPolicy
from segment5b_lib.contract.words import Verdict
from segment5b_lib.errors import PolicyError

Level = Literal["b", "bplus"]
Side = Literal["min", "max"]
LEVELS: Final[tuple[Level, ...]] = ("b", "bplus")

THRESHOLD_FILE: Final = POLICIES["validation"]
PASSES: Final = (Verdict.PASS_BPLUS, Verdict.PASS_B)
STANDS: Final = (*PASSES, Verdict.NOT_APPLICABLE)
"""Verdicts that stand in nobody's way."""
_STRICT: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Threshold:
    """One side of a bound as documents list it: the number, and the file and full key that it stands under."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    level: Level
    bound: Side
    value: float
    policy_file: str
    policy_key: str


@dataclass(frozen=True)
class Bound:
    """A limit, and the policy file and key that it comes from; `level` is empty where there is one level only.

    The key is that of a mapping of `min` and `max`, or of the number itself (`one_number`).
    """

    limit: Limit
    policy_file: str
    policy_key: str
    level: Level | Literal[""] = ""
    one_number: bool = False

    def __str__(self) -> str:
        words = {"min": "at least", "max": "at most"}
        text = " and ".join(f"{words[side]} {value:g}" for side, value in self.sides())
        return f"{text} ({self.policy_file}, {self.policy_key})"

    def sides(self) -> Iterator[tuple[Side, float]]:
        if self.limit.min is not None:
            yield "min", self.limit.min
        if self.limit.max is not None:
            yield "max", self.limit.max

    def document(self) -> dict[str, object]:
        return {"policy_file": self.policy_file, "policy_key": self.policy_key, **dict(self.sides())}

    def thresholds(self) -> Iterator[Threshold]:
        """The sides of a gate's bound as documents list them."""
        assert self.level
        for side, value in self.sides():
            key = self.policy_key if self.one_number else f"{self.policy_key}.{side}"
            yield Threshold(self.level, side, float(value), self.policy_file, key)


@dataclass(frozen=True)
class Measurement:
    """What was measured; no bound has been looked at yet. `value` and `population` are None where nothing was measured.

    `population` is how many things the value is about, e.g. `arrivals`; `detail` has JSON-ready figures that explain
    it. A `ruling` is a verdict that holds whatever the value is (not measured, not applicable, insufficient power, or a
    failure that the value alone does not show), and `reason` says why.
    """

    value: float | None
    population: int | None
    population_unit: str
    detail: dict[str, Any] = field(default_factory=dict)
    ruling: Verdict | None = None
    reason: str = ""


@dataclass(frozen=True)
class GateResult:
    """One gate of one run, as scorecards and artefacts carry it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    gate_id: str
    title: str
    severity: str
    verdict: Verdict
    value: float | None
    unit: str
    population: int | None
    population_unit: str
    thresholds: tuple[Threshold, ...]
    detail: dict[str, Any]
    reason: str
    produced_by: str

    @property
    def passed(self) -> bool:
        """Whether the verdict is a pass; not measured and insufficient power are not."""
        return self.verdict in PASSES

    def document(self) -> dict[str, object]:
        return {**asdict(self), "verdict": self.verdict.value}


def judge(measurement: Measurement, bounds: Sequence[Bound]) -> Verdict:
    """Hold a value against all its bounds. B+ is passed only together with B (T7 needs both bands)."""
    if measurement.ruling is not None:
        return measurement.ruling
    value = measurement.value
    if value is None:
        return Verdict.NOT_MEASURED
    violated = {bound.level for bound in bounds if not bound.limit.holds(value)}
    if not violated:
        return Verdict.PASS_BPLUS
    return Verdict.PASS_B if violated == {"bplus"} else Verdict.FAIL


def not_measured(reason: str, population_unit: str = "") -> Measurement:
    """A measurement that did not take place. Never a pass."""
    return Measurement(None, None, population_unit, ruling=Verdict.NOT_MEASURED, reason=reason)


def without_power(
    value: float | None, population: int, population_unit: str, detail: dict[str, Any], needed: str
) -> Measurement:
    """A measurement on too little data to decide; `needed` says how much it takes."""
    return Measurement(value, population, population_unit, detail, Verdict.INSUFFICIENT_POWER, f"needs {needed}")


def number_bound(policy: str, key: str, *, min: float | None = None, max: float | None = None) -> Bound:
    """A bound that is one number of a policy; `policy` is its short name, `key` the path within it."""
    return Bound(Limit(min=min, max=max), POLICIES[policy], key, one_number=True)


def thresholds_of(policy: ValidationPolicy, gate: str) -> GateThresholds:
    """A gate's entry of the policy; PolicyError where there is none."""
    try:
        return policy.gates[gate]
    except KeyError:
        raise PolicyError(
            "5B.POLICY.GATE_MISSING",
            f"the policy has no thresholds for gate {gate}",
            where=f"{THRESHOLD_FILE}, key gates.{gate}",
            expected="severity, b, bplus",
            found=", ".join(policy.gates),
            next_step=f"add gates.{gate} to {THRESHOLD_FILE}",
        ) from None


def gate_bound(policy: ValidationPolicy, gate: str, level: Level) -> Bound:
    return Bound(getattr(thresholds_of(policy, gate), level), THRESHOLD_FILE, f"gates.{gate}.{level}", level)
