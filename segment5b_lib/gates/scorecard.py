"""The scorecard: every gate of one run, measured by full scan and judged by the run's own policy."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from segment5b_lib.contract.words import Verdict, VirtualMode
from segment5b_lib.errors import MissingInputError, UsageError
from segment5b_lib.gates import (
    t01_civil_time,
    t02_one_hour,
    t03_dst_windows,
    t04_conservation,
    t05_nullability,
    t06_concentration,
    t07_virtual_share,
    t08_weekend,
    t09_dispersion,
    t11_horizon,
    t12_local_contract,
)
from segment5b_lib.gates.attribution import Attribution, attribute
from segment5b_lib.gates.evidence import Evidence
from segment5b_lib.gates.results import GateResult, Measurement, judge, not_measured
from segment5b_lib.gates.table import GATES, Gate
from segment5b_lib.gates.wording import VERDICT_COLOURS, distance_text, threshold_text, value_text
from segment5b_lib.store.runs import Run

MEASURES: Final[dict[str, Callable[[Evidence], Measurement]]] = {
    "T11": t11_horizon.measure,
    "T12": t12_local_contract.measure,
    "T1": t01_civil_time.measure,
    "T1.settlement": t01_civil_time.measure_settlement,
    "T1.operational": t01_civil_time.measure_operational,
    "T2": t02_one_hour.measure,
    "T3": t03_dst_windows.measure,
    "T4": t04_conservation.measure,
    "T5": t05_nullability.measure,
    "T6": t06_concentration.measure,
    "T7": t07_virtual_share.measure,
    "T8": t08_weekend.measure,
    "T9": t09_dispersion.measure,
}
"""Which function measures which gate of the table."""

_SHOWN: Final = ("gate", "title", "verdict", "value", "b", "bplus", "population", "owner", "cause")


@dataclass(frozen=True)
class Scorecard:
    """All gates of one run, in the order of the table, and who owns those that failed."""

    identity: dict[str, Any]
    results: tuple[GateResult, ...]
    attributions: tuple[Attribution, ...]
    evidence: Evidence

    def result(self, gate_id: str) -> GateResult:
        """One gate's result; the error lists the gates there are."""
        for entry in self.results:
            if entry.gate_id == gate_id:
                return entry
        raise UsageError(
            "5B.GATES.UNKNOWN_GATE",
            f"there is no gate {gate_id!r}",
            expected=", ".join(entry.gate_id for entry in self.results),
            found=gate_id,
        )

    def owner(self, gate_id: str) -> Attribution | None:
        """Who owns a gate's failure; None where the gate did not fail."""
        return next((entry for entry in self.attributions if entry.gate_id == gate_id), None)

    @property
    def hard_gates_pass(self) -> bool:
        """Whether every hard gate passes; one that does not apply does not stand in the way."""
        closed = (Verdict.PASS_BPLUS, Verdict.PASS_B, Verdict.NOT_APPLICABLE)
        return all(entry.verdict in closed for entry in self.results if entry.severity == "hard")

    def frame(self) -> pl.DataFrame:
        """One row per gate: gate, title, severity, verdict, the texts of value and thresholds, owner, rerun.

        `number` is the value in the gate's own unit, `distance` its room to the B bound as text.
        """
        return pl.DataFrame([self._row(entry) for entry in self.results], infer_schema_length=None)

    def document(self) -> dict[str, Any]:
        """The scorecard as a JSON-ready mapping: identity, results, attributions."""
        return {
            **self.identity,
            "gates": [entry.document() for entry in self.results],
            "attributions": [asdict(entry) for entry in self.attributions],
        }

    def _row(self, entry: GateResult) -> dict[str, Any]:
        owner = self.owner(entry.gate_id)
        return {
            "gate": entry.gate_id,
            "title": entry.title,
            "severity": entry.severity,
            "verdict": entry.verdict.value,
            "value": value_text(entry.value, entry.unit),
            "number": entry.value,
            "unit": entry.unit,
            "b": threshold_text(entry, "b"),
            "bplus": threshold_text(entry, "bplus"),
            "distance": distance_text(entry),
            "population": _population(entry),
            "reason": entry.reason,
            "owner": owner.owner if owner else "",
            "cause": owner.cause if owner else "",
            "rerun": " ".join(owner.rerun) if owner else "",
            "command": owner.command if owner else "",
        }

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _SHOWN)
        rows = "".join(_html_row(row) for row in self.frame().to_dicts())
        caption = html.escape(
            f"run {self.identity['run_id']}, {self.identity['posture']}, seed {self.identity['seed']}"
        )
        return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def score(run: Run) -> Scorecard:
    """Measure every gate of a run by full scan. Reads the run and its world, writes nothing.

    A gate whose dataset is not there is `not_measured`; damaged data is an error.
    """
    evidence = Evidence(run)
    policy = run.policies.validation
    results = tuple(judge(entry, _measure(entry, evidence), policy, _name(MEASURES[entry.gate_id])) for entry in GATES)
    hybrid = evidence.merchants_by_mode[VirtualMode.HYBRID]
    binding = run.policies.routing.physical_router.zone_binding
    return Scorecard(_identity(run), results, attribute(results, binding, hybrid), evidence)


def _measure(entry: Gate, evidence: Evidence) -> Measurement:
    try:
        return MEASURES[entry.gate_id](evidence)
    except MissingInputError as error:
        return not_measured(f"{error.what}: needs {', '.join(entry.evidence)}")


def _name(measure: Callable[[Evidence], Measurement]) -> str:
    return f"{measure.__module__}.{measure.__qualname__}"


def _identity(run: Run) -> dict[str, Any]:
    receipt = run.receipt
    return {
        "run_id": run.run_id,
        "seed": receipt.seed,
        "parameter_hash": receipt.parameter_hash,
        "manifest_fingerprint": receipt.manifest_fingerprint,
        "posture": receipt.posture,
        "scale": run.world.scale,
    }


def _population(entry: GateResult) -> str:
    return "" if entry.population is None else f"{entry.population:,} {entry.population_unit}"


def _html_row(row: dict[str, Any]) -> str:
    colour = VERDICT_COLOURS[Verdict(row["verdict"])]
    cells = "".join(f"<td>{html.escape(str(row[name] or ''))}</td>" for name in _SHOWN)
    return f'<tr style="box-shadow: inset 5px 0 0 {colour}">{cells}</tr>'
