"""The envelope that every phase artefact shares: who, on what evidence, what was measured, what was decided.

Artefacts are strict models, and their JSON Schemas come from the same models (`schemas`), so that what is
written, what is read and what is documented cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from segment5b_lib.contract.words import Decision, ItemStatus, Verdict
from segment5b_lib.gates.results import GateResult
from segment5b_lib.identity import canonical_json
from segment5b_lib.store.runs import Run


class Node(BaseModel):
    """A part of an artefact: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunIdentity(Node):
    """Which run an artefact is about."""

    run_id: str
    seed: int
    parameter_hash: str
    manifest_fingerprint: str
    posture: str
    parent_run: str | None


class InputDigest(Node):
    """One file that the evidence rests on; `path` is relative to the run root."""

    path: str
    sha256: str


class ThresholdLine(Node):
    """One bound that a value was held against, and the policy key it comes from."""

    level: Literal["b", "bplus"]
    bound: Literal["min", "max"]
    value: float
    policy_file: str
    policy_key: str


class GateLine(Node):
    """One gate's result as an artefact carries it."""

    gate_id: str
    title: str
    severity: str
    verdict: Verdict
    value: float | None
    unit: str
    population: int | None
    population_unit: str
    thresholds: list[ThresholdLine]
    reason: str
    produced_by: str
    detail: dict[str, Any]


class Measured(Node):
    """One measured value with its unit and the number of things it is about."""

    name: str
    value: float | None
    unit: str
    population: int | None
    population_unit: str


class DodItem(Node):
    """One item of a definition of done: computed, with the evidence in words."""

    id: str
    text: str
    status: ItemStatus
    evidence: str


class Opening(Node):
    """A predecessor's decision that a phase was opened by."""

    phase: str
    run_id: str
    attempt: int
    decision: Decision
    pointer_sha256: str


class Envelope(Node):
    """What every JSON artefact of every phase carries. An artefact's own fields are empty after an error."""

    ARTEFACT: ClassVar[str]
    """Name as the plan spells it, e.g. `p0_realism_gateboard`; also part of the file name."""

    artefact: str
    phase: str
    attempt: int
    what_if: bool
    library_version: str
    run: RunIdentity
    others: dict[str, list[RunIdentity]]
    scale: str
    opened_by: list[Opening]
    inputs: list[InputDigest]
    measured: list[Measured]
    gates: list[GateLine]
    definition_of_done: list[DodItem]
    decision: Decision
    reasons: list[str]
    created_utc: str
    error: dict[str, str] | None

    def content(self) -> bytes:
        """The artefact's bytes: canonical JSON and a newline."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"


def schema(artefact: type[Envelope]) -> dict[str, Any]:
    """JSON Schema (2020-12) of an artefact."""
    return artefact.model_json_schema(mode="serialization")


def identity_of(run: Run) -> RunIdentity:
    """A run's identity, from its receipt."""
    receipt = run.receipt
    return RunIdentity(
        run_id=receipt.run_id,
        seed=receipt.seed,
        parameter_hash=receipt.parameter_hash,
        manifest_fingerprint=receipt.manifest_fingerprint,
        posture=receipt.posture,
        parent_run=receipt.parent_run,
    )


def gate_lines(results: Sequence[GateResult]) -> list[GateLine]:
    """Gate results as artefact lines."""
    return [GateLine.model_validate(result.document()) for result in results]


def measured_values(results: Sequence[GateResult]) -> list[Measured]:
    """The value of every gate, with its unit and population."""
    return [
        Measured(
            name=result.gate_id,
            value=result.value,
            unit=result.unit,
            population=result.population,
            population_unit=result.population_unit,
        )
        for result in results
    ]
