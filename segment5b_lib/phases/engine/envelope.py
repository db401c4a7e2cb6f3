"""A phase artefact: the envelope that all share, and its own body or the error that prevented one.

The envelope says who, on what evidence, what was measured and what was decided. Both parts are strict models with
required fields, and the JSON Schemas come from the same models. The inputs of the
evidence are re-hashed and compared with what was recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import STATES, Decision, ItemStatus
from segment5b_lib.identity import canonical_json
from segment5b_lib.store.attachments import ATTACHMENT_FILE
from segment5b_lib.store.digest import require_unchanged, sha256_file
from segment5b_lib.store.runs import RECEIPT_FILE, Run


class Node(BaseModel):
    """A part of an artefact: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


FrameRows = list[dict[str, Any]]
"""FrameRows of a frame or of a gate's details."""


class RunIdentity(Node):
    """Which run an artefact is about."""

    run_id: str
    seed: int
    parameter_hash: str
    manifest_fingerprint: str
    posture: str
    parent_run: str | None


class InputDigest(Node):
    """One file of the evidence; `path` is relative to the run root."""

    path: str
    sha256: str


class MeasuredValue(Node):
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
    """What every JSON artefact of every phase carries."""

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
    measured: list[MeasuredValue]
    gates: list[GateResult]
    definition_of_done: list[DodItem]
    decision: Decision
    reasons: list[str]
    created_utc: str


class Artefact(Envelope):
    """The envelope of an artefact whose evidence could be taken."""

    error: None


class FailedArtefact(Envelope):
    """An artefact whose evidence could not be taken: the envelope, the error, and no body."""

    error: dict[str, str]


class Body(Node):
    """An artefact's own fields. Each of them is required.

    A class names its artefact: `class RealismGateboard(Body, artefact="p0_realism_gateboard")`.
    """

    ARTEFACT: ClassVar[str]
    """Name as the plan spells it; also part of the file name."""

    def __init_subclass__(cls, *, artefact: str = "", **config: Any) -> None:
        super().__init_subclass__(**config)
        if artefact:
            cls.ARTEFACT = artefact


@cache
def artefact_model(kind: type[Body]) -> type[Artefact]:
    """The whole artefact, envelope and body in one flat document."""
    bases: Any = (kind, Artefact)  # pydantic's annotation wants one type for all bases
    model: type[Artefact] = create_model(kind.__name__, __base__=bases, __doc__=kind.__doc__)
    return model


def artefact_schema(kind: type[Body]) -> dict[str, Any]:
    """JSON Schema (2020-12) of an artefact: with its body, or with the error that prevented one."""
    either: Any = artefact_model(kind) | FailedArtefact
    return TypeAdapter(either).json_schema(mode="serialization")


def content(envelope: Artefact | FailedArtefact, body: Body | None) -> bytes:
    """An artefact's bytes: canonical JSON and a newline."""
    own = {} if body is None else body.model_dump(mode="json")
    return canonical_json({**envelope.model_dump(mode="json"), **own}) + b"\n"


def identity_of(run: Run) -> RunIdentity:
    """A run's identity, from its receipt."""
    return RunIdentity.model_validate(run.receipt, from_attributes=True)


def measured_values(results: Sequence[GateResult]) -> list[MeasuredValue]:
    """The value of every gate, with its unit and population."""
    return [
        MeasuredValue(
            name=result.gate_id,
            value=result.value,
            unit=result.unit,
            population=result.population,
            population_unit=result.population_unit,
        )
        for result in results
    ]


def verified_inputs(run: Run, dataset_ids: Collection[str]) -> list[InputDigest]:
    """Receipt, policies, markers, run records, and every file of some datasets of the run and its world, with digests.

    Raises
    ------
    StaleError : a file is not what its state published or what S0 sealed.
    """
    recorded = _recorded(run, dataset_ids)
    require_unchanged(
        {path: digest for path, (_, digest) in recorded.items()},
        "5B.PHASE.INPUT_CHANGED",
        "evidence is not what was published or sealed",
        next_step="restore the file, or make the run again",
    )
    own = [
        *(run.home / name for name in (RECEIPT_FILE, ATTACHMENT_FILE) if (run.home / name).is_file()),
        *sorted((run.home / "policies").glob("*.yaml")),
        *sorted((run.home / "markers").glob("*.json")),
    ]
    records = sorted(run.records_root.glob("utc_day=*/*.jsonl"))
    named = [*((path, run.home) for path in own), *((path, run.root) for path in records)]
    lines = [
        *((f"run/{path.relative_to(base).as_posix()}", sha256_file(path)) for path, base in named),
        *recorded.values(),
    ]
    return [InputDigest(path=path, sha256=digest) for path, digest in lines]


def _recorded(run: Run, dataset_ids: Collection[str]) -> dict[Path, tuple[str, str]]:
    """Absolute path to (name below `run/` or `world/`, recorded digest)."""
    recorded = {}
    for output in run.outputs(*STATES):
        if output.dataset_id in dataset_ids:
            recorded[run.root / output.path] = (f"run/{output.path}", output.sha256)
    for dataset_id, files in run.sealed().items():
        if dataset_id in dataset_ids:
            for path, digest in files.items():
                recorded[run.world.root / path] = (f"world/{path}", digest)
    return recorded
