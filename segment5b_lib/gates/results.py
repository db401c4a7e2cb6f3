"""What a gate measured and what it says: measurement, thresholds with their provenance, verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from segment5b_lib.contract.validation_policy import GateThresholds, ValidationPolicy
from segment5b_lib.contract.words import Verdict
from segment5b_lib.errors import PolicyError
from segment5b_lib.gates.table import THRESHOLD_FILE, Gate

PASSES = (Verdict.PASS_BPLUS, Verdict.PASS_B)


@dataclass(frozen=True)
class Measurement:
    """What a gate's module found; no threshold has been looked at yet.

    Attributes
    ----------
    value : in the gate's unit; None where nothing was measured
    population : how many things the value is about, None where it was not measured
    population_unit : what was counted, e.g. `arrivals`
    detail : JSON-ready figures that explain the value
    ruling : a verdict that holds whatever the value is (not measured, not applicable, insufficient power, or
        a failure that the value alone does not show)
    reason : why there is a ruling
    """

    value: float | None
    population: int | None
    population_unit: str
    detail: dict[str, Any] = field(default_factory=dict)
    ruling: Verdict | None = None
    reason: str = ""


@dataclass(frozen=True)
class Threshold:
    """One bound that a value was held against, and where it comes from."""

    level: str
    bound: str
    value: float
    policy_file: str
    policy_key: str


@dataclass(frozen=True)
class GateResult:
    """One gate of one run."""

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

    def document(self) -> dict[str, Any]:
        """The result as a JSON-ready mapping."""
        return {**asdict(self), "verdict": self.verdict.value}


def not_measured(reason: str, population_unit: str = "") -> Measurement:
    """A measurement that did not take place. Never a pass."""
    return Measurement(None, None, population_unit, ruling=Verdict.NOT_MEASURED, reason=reason)


def without_power(
    value: float | None, population: int, population_unit: str, detail: dict[str, Any], needed: str
) -> Measurement:
    """A measurement on too little data to decide; `needed` says how much it takes."""
    return Measurement(value, population, population_unit, detail, Verdict.INSUFFICIENT_POWER, f"needs {needed}")


def thresholds_of(entry: Gate, policy: ValidationPolicy) -> GateThresholds:
    """The policy's thresholds of a gate; a gate that the policy does not name is an error."""
    try:
        return policy.gates[entry.policy_gate]
    except KeyError:
        raise PolicyError(
            "5B.POLICY.GATE_MISSING",
            f"the policy has no thresholds for gate {entry.gate_id}",
            where=f"{THRESHOLD_FILE}, key gates.{entry.policy_gate}",
            expected="severity, b, bplus",
            found=", ".join(policy.gates),
            next_step=f"add gates.{entry.policy_gate} to {THRESHOLD_FILE}",
        ) from None


def judge(entry: Gate, measurement: Measurement, policy: ValidationPolicy, produced_by: str) -> GateResult:
    """Hold a measurement against the policy. B+ is passed only together with B (T7 needs both bands).

    Figures are judged and given to 12 significant digits: what lies beyond depends on the order in which
    threads added numbers up.
    """
    limits = thresholds_of(entry, policy)
    return judged(entry, measurement, limits, _listed(entry, limits), produced_by)


def judged(
    entry: Gate,
    measurement: Measurement,
    limits: GateThresholds,
    listed: tuple[Threshold, ...],
    produced_by: str,
) -> GateResult:
    """The same against given limits; `listed` says where in the validation policy they stand."""
    measurement = replace(measurement, value=_rounded(measurement.value), detail=_rounded(measurement.detail))
    return GateResult(
        gate_id=entry.gate_id,
        title=entry.title,
        severity=limits.severity,
        verdict=_verdict(measurement, limits),
        value=measurement.value,
        unit=entry.unit,
        population=measurement.population,
        population_unit=measurement.population_unit,
        thresholds=listed,
        detail=measurement.detail,
        reason=measurement.reason,
        produced_by=produced_by,
    )


def _rounded(figure: Any) -> Any:
    if isinstance(figure, float):
        return float(f"{figure:.12g}")
    if isinstance(figure, dict):
        return {name: _rounded(value) for name, value in figure.items()}
    return [_rounded(value) for value in figure] if isinstance(figure, list) else figure


def _verdict(measurement: Measurement, limits: GateThresholds) -> Verdict:
    if measurement.ruling is not None:
        return measurement.ruling
    if measurement.value is None:
        return Verdict.NOT_MEASURED
    if not limits.b.holds(measurement.value):
        return Verdict.FAIL
    return Verdict.PASS_BPLUS if limits.bplus.holds(measurement.value) else Verdict.PASS_B


def _listed(entry: Gate, limits: GateThresholds) -> tuple[Threshold, ...]:
    return tuple(
        Threshold(level, bound, float(value), THRESHOLD_FILE, f"gates.{entry.policy_gate}.{level}.{bound}")
        for level, limit in (("b", limits.b), ("bplus", limits.bplus))
        for bound, value in (("min", limit.min), ("max", limit.max))
        if value is not None
    )
