"""P5's artefacts: what is frozen, every pointer with its digest, what goes downstream, what was pruned."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.phases.engine.legacy import LegacyEnvelope


class Pointer(Node):
    """One file that the freeze rests on; `path` is relative to the outputs folder."""

    kind: Literal["world", "run", "policy", "marker", "bundle", "phase"]
    path: str
    sha256: str


class FreezeAuthority(LegacyEnvelope):
    """Which runs carry the frozen posture, and the closure that certifies them."""

    ARTEFACT: ClassVar[str] = "p5_freeze_authority"

    certificate: str = ""
    closure_sha256: str = ""
    seeds: list[int] = Field(default_factory=list)


class FreezeDecision(LegacyEnvelope):
    """The decision alone."""

    ARTEFACT: ClassVar[str] = "freeze_decision"


class FreezeManifest(LegacyEnvelope):
    """Every file that the freeze rests on; each resolves and re-hashes."""

    ARTEFACT: ClassVar[str] = "freeze_manifest"

    pointers: list[Pointer] = Field(default_factory=list)


class PruneReceipt(LegacyEnvelope):
    """The latest prune: what went, what stayed, how much it freed; nothing to do is recorded as well."""

    ARTEFACT: ClassVar[str] = "p5_prune_receipt"

    receipt: str = ""
    receipt_sha256: str = ""
    removed: list[dict[str, Any]] = Field(default_factory=list)
    freed_bytes: int | None = None
    keep_set: dict[str, list[str]] = Field(default_factory=dict)


class DownstreamHandoff(LegacyEnvelope):
    """What the owners of later segments may rely on: class, assumptions, residual risks."""

    ARTEFACT: ClassVar[str] = "p5_downstream_handoff"

    certificate: str = ""
    assumptions: list[str] = Field(default_factory=list)
    residual_risks: list[str] = Field(default_factory=list)


class Closing(LegacyEnvelope):
    """P5's closure."""

    ARTEFACT: ClassVar[str] = "p5_closure"
