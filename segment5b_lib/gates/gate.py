"""A gate as data: what it measures, in which unit, from which evidence, under which policy key; and its verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.contract.verdicts import LEVELS, Bound, GateResult, Measurement, gate_bound, judge, thresholds_of
from segment5b_lib.gates.evidence.run_tables import ZONE_COLUMNS, Evidence

ARRIVALS: Final = "arrival_events_5B"
COUNTS: Final = "s3_bucket_counts_5B"
ZONE_SOURCES: Final = tuple(ZONE_COLUMNS)


class Group(StrEnum):
    """What a gate is about; phases demand whole groups."""

    LOCAL_TIME = "local time"
    CLOCK = "clock"
    CONSERVATION = "conservation"
    CONCENTRATION = "concentration"
    VIRTUAL_SHARE = "virtual share"
    RHYTHM = "rhythm and counts"
    AUDIT = "audit"
    STABILITY = "stability"
    RUNTIME = "runtime"


@dataclass(frozen=True)
class Gate:
    """One measured property; the row that its module carries.

    Attributes
    ----------
    unit : unit of the value: `share` is a fraction of the population, `pp` percentage points, `sd` a standard
        deviation in units of the square root of the mean, `p` a p-value, `cv` a standard deviation over a mean, `s`
        seconds; `keys`, `rows`, `blocks` and `columns` are counts
    evidence : datasets that the value is measured on
    owner : the usual one, and its state first: `S4 routing`; `attribution.RULES` names others
    cause : what a failure means where no other rule of attribution applies; then `owner` has it, and its state is rerun
    measure : takes the value from the tables of one run; None for a gate that takes several runs or an execution
    power : when the data cannot decide
    policy_key : key of the thresholds in the validation policy where the gate's id does not give it
    watched_by_s5 : whether S5 holds a check of its own against the same thresholds
    """

    gate_id: str
    title: str
    unit: str
    formula: str
    evidence: tuple[str, ...]
    owner: str
    group: Group
    measure: Callable[[Evidence], Measurement] | None = None
    cause: str = ""
    power: str = ""
    policy_key: str = ""
    watched_by_s5: bool = False

    @property
    def threshold_key(self) -> str:
        """Where the validation policy has severity and thresholds: `gates.A1_offsets` for A1.offsets."""
        return self.policy_key or f"gates.{self.gate_id.replace('.', '_')}"

    def judged(self, measurement: Measurement, policy: ValidationPolicy, produced_by: str) -> GateResult:
        """The result of a measurement, judged by the policy's B and B+."""
        name = self.threshold_key.removeprefix("gates.")
        bounds = [gate_bound(policy, name, level) for level in LEVELS]
        return self.judged_by(measurement, thresholds_of(policy, name).severity, bounds, produced_by)

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
