"""P2's artefacts: what stays locked, leverage and proofs, predicted against measured candidates, who concentrates."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from segment5b_lib.calibrate.forensics import largest_zones, merchant_zones, merchants_behind
from segment5b_lib.calibrate.prediction import Estimate, Prediction
from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.engine.envelope import GateLine, Node, gate_lines
from segment5b_lib.phases.engine.legacy import LegacyEnvelope

CALIBRATED = ("T6", "T7")
STANDARD_ERRORS = 3
"""How far a measured value may lie from its prediction before the predictor is wrong."""
_MERCHANTS = 20


class ContractLock(LegacyEnvelope):
    """What calibration may not touch: the frozen rails with their bounds, and what it aims at."""

    ARTEFACT: ClassVar[str] = "p2_contract_lock"

    rails: list[GateLine] = Field(default_factory=list)
    target: dict[str, Any] = Field(default_factory=dict)
    policies: dict[str, Any] = Field(default_factory=dict)


class Sensitivity(LegacyEnvelope):
    """Leverage of every knob, feasibility with its proof, and what calculation proposes."""

    ARTEFACT: ClassVar[str] = "p2_sensitivity"

    leverage: list[dict[str, Any]] = Field(default_factory=list)
    verdicts: list[dict[str, Any]] = Field(default_factory=list)
    proposal: dict[str, Any] = Field(default_factory=dict)


class CandidateLine(Node):
    """One gate of one measured run beside its prediction; `distance` in standard errors of the prediction."""

    run_id: str
    role: str
    posture: str
    seed: int
    gate_id: str
    predicted: float
    standard_error: float
    measured: float | None
    distance: float | None
    verdict: str

    @property
    def agrees(self) -> bool:
        """Whether the measured value lies within the stated sampling error."""
        return self.distance is not None and abs(self.distance) <= STANDARD_ERRORS


class CandidateMatrix(LegacyEnvelope):
    """Predicted and measured values side by side (the same lines as the CSV)."""

    ARTEFACT: ClassVar[str] = "p2_candidate_matrix"

    candidates: list[CandidateLine] = Field(default_factory=list)


class Gateboard(LegacyEnvelope):
    """Every gate of the candidate; its witnesses and the run that it starts from beside it."""

    ARTEFACT: ClassVar[str] = "p2_gateboard"

    others_gates: dict[str, list[GateLine]] = Field(default_factory=dict)


class Forensics(LegacyEnvelope):
    """Who makes the concentration: the ten largest zones, and the merchants behind them."""

    ARTEFACT: ClassVar[str] = "p2_forensics"

    zones: list[dict[str, Any]] = Field(default_factory=list)
    merchants: list[dict[str, Any]] = Field(default_factory=list)


class Closing(LegacyEnvelope):
    """P2's closure."""

    ARTEFACT: ClassVar[str] = "p2_closure"


@dataclass(frozen=True)
class Measured:
    """A measured run with its role and its prediction."""

    role: str
    card: Scorecard
    prediction: Prediction


def candidate_lines(measured: Sequence[Measured]) -> list[CandidateLine]:
    """T6 and T7 of every measured run beside their predictions."""
    return [_line(one, gate) for one in measured for gate in CALIBRATED]


def _line(one: Measured, gate: str) -> CandidateLine:
    result, identity = one.card.result(gate), one.card.identity
    estimate: Estimate = one.prediction.gates[gate]
    return CandidateLine(
        run_id=identity["run_id"],
        role=one.role,
        posture=identity["posture"],
        seed=identity["seed"],
        gate_id=gate,
        predicted=estimate.value,
        standard_error=estimate.standard_error,
        measured=result.value,
        distance=None if result.value is None else estimate.distance(result.value),
        verdict=result.verdict.value,
    )


def matrix_csv(lines: Sequence[CandidateLine]) -> bytes:
    """The candidate matrix as CSV."""
    buffer = io.BytesIO()
    pl.DataFrame([line.model_dump() for line in lines]).write_csv(buffer)
    return buffer.getvalue()


def forensics(predictor: Predictor) -> Mapping[str, Any]:
    """The fields of `Forensics`, for the run's own policies."""
    landed = merchant_zones(predictor)
    return {
        "zones": largest_zones(landed).to_dicts(),
        "merchants": merchants_behind(landed).head(_MERCHANTS).to_dicts(),
    }


def beside(measured: Sequence[Measured]) -> dict[str, list[GateLine]]:
    """Gates of the runs beside the candidate, by role and run."""
    return {f"{one.role} {one.card.identity['run_id']}": gate_lines(one.card.results) for one in measured}
