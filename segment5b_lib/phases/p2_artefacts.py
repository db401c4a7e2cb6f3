"""P2's artefacts: what stays locked, leverage and proofs, predicted against measured candidates, who concentrates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from segment5b_lib.calibrate.prediction import Estimate, Prediction
from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.engine.envelope import Body, FrameRows, Node
from segment5b_lib.phases.engine.page import Section

CALIBRATED = ("T6", "T7")
AGREES_WITHIN = 3
"""How far a measured value may lie from its prediction before the predictor is wrong."""


class P2ContractLock(Body, artefact="p2_contract_lock"):
    """What calibration may not touch: the frozen rails with their bounds, and what it aims at."""

    rails: list[GateResult]
    target: dict[str, Any]
    policies: dict[str, Any]


class Sensitivity(Body, artefact="p2_sensitivity"):
    """Leverage of every knob, feasibility with its proof, and what calculation proposes."""

    leverage: FrameRows
    verdicts: FrameRows
    proposal: dict[str, Any]


class CandidateLine(Node):
    """One gate of one measured run with its prediction; `distance` in standard errors of the prediction."""

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
        return self.distance is not None and abs(self.distance) <= AGREES_WITHIN


class CandidateMatrix(Body, artefact="p2_candidate_matrix"):
    """Predicted and measured values side by side (the same lines as the CSV)."""

    candidates: list[CandidateLine]


class P2Gateboard(Body, artefact="p2_gateboard"):
    """Every gate of the candidate; with its witnesses and the run that it starts from."""

    others_gates: dict[str, list[GateResult]]


class Forensics(Body, artefact="p2_forensics"):
    """Who makes the concentration: the ten largest zones, and the merchants behind them."""

    zones: FrameRows
    merchants: FrameRows


class P2Closure(Body, artefact="p2_closure"):
    """P2's closure."""


@dataclass(frozen=True)
class Candidate:
    """A measured run with its role and its prediction."""

    role: str
    card: Scorecard
    prediction: Prediction


def candidate_line(candidate: Candidate, gate: str) -> CandidateLine:
    """One gate of a measured run with its prediction."""
    result, identity = candidate.card.result(gate), candidate.card.identity
    estimate: Estimate = candidate.prediction.gates[gate]
    return CandidateLine(
        run_id=identity["run_id"],
        role=candidate.role,
        posture=identity["posture"],
        seed=identity["seed"],
        gate_id=gate,
        predicted=estimate.value,
        standard_error=estimate.standard_error,
        measured=result.value,
        distance=None if result.value is None else estimate.distance(result.value),
        verdict=result.verdict.value,
    )


def matrix_section(lines: Sequence[CandidateLine]) -> Section:
    """Predicted and measured values as a table."""
    rows = [
        (
            line.gate_id,
            f"{line.role} {line.run_id[:8]}",
            str(line.seed),
            f"{line.predicted:.3%} ± {line.standard_error:.3%}",
            "–" if line.measured is None else f"{line.measured:.3%}",
            "–" if line.distance is None else f"{line.distance:+.1f}",
            line.verdict,
        )
        for line in lines
    ]
    columns = ("gate", "run", "seed", "predicted", "measured", "standard errors", "verdict")
    return Section("Predicted and measured", columns, rows)
