"""A gate as data: what it measures, in which unit, from which evidence, under which policy key; and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.contract.verdicts import Bound, GateResult, Measurement, gate_bound, judge, thresholds_of


@dataclass(frozen=True)
class Gate:
    """One measured property.

    `unit` is the unit of the value: `share` is a fraction of the population, `pp` percentage points, `sd` a
    standard deviation in units of the square root of the mean, `p` a p-value, `cv` a standard deviation over a
    mean, `s` seconds, `keys`, `rows`, `blocks` and `columns` are counts. `policy_gate` names the entry of the
    policy's `gates` that holds severity and thresholds; runtime gates have theirs in its `runtime`. `power` says
    when the data cannot decide. `owner` is the usual one; the owner of a failure comes from `attribution`.
    """

    gate_id: str
    title: str
    unit: str
    formula: str
    policy_gate: str
    evidence: tuple[str, ...]
    owner: str
    power: str = ""

    def judged(self, measurement: Measurement, policy: ValidationPolicy, produced_by: str) -> GateResult:
        """The result of a measurement, held against the policy's B and B+."""
        bounds = [gate_bound(policy, self.policy_gate, level) for level in ("b", "bplus")]
        return self.judged_by(measurement, thresholds_of(policy, self.policy_gate).severity, bounds, produced_by)

    def judged_by(
        self, measurement: Measurement, severity: str, bounds: Sequence[Bound], produced_by: str
    ) -> GateResult:
        """The same against given bounds.

        Figures are judged and given to 12 significant digits: what lies beyond depends on the order in which threads
        added numbers up.
        """
        rounded = replace(measurement, value=_rounded(measurement.value), detail=_rounded(measurement.detail))
        return GateResult(
            gate_id=self.gate_id,
            title=self.title,
            severity=severity,
            verdict=judge(rounded, bounds),
            value=rounded.value,
            unit=self.unit,
            population=rounded.population,
            population_unit=rounded.population_unit,
            thresholds=tuple(threshold for bound in bounds for threshold in bound.thresholds()),
            detail=rounded.detail,
            reason=rounded.reason,
            produced_by=produced_by,
        )


def _rounded(figure: Any) -> Any:
    if isinstance(figure, float):
        return float(f"{figure:.12g}")
    if isinstance(figure, dict):
        return {name: _rounded(value) for name, value in figure.items()}
    return [_rounded(value) for value in figure] if isinstance(figure, list) else figure
