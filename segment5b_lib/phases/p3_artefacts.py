"""P3's artefacts: where every threshold lives and who consumes it, what S5 watches, what a mutation does."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.phases.engine.legacy import LegacyEnvelope


class ThresholdInventory(Node):
    """One threshold of one gate: its key in the policy, its path in the policy's schema, its value, its consumers."""

    gate_id: str
    policy_file: str
    policy_key: str
    value: float
    schema_path: str
    consumed_by: list[str]


class ContractInventory(LegacyEnvelope):
    """Every threshold of every gate, and every key by which S5 watches."""

    ARTEFACT: ClassVar[str] = "p3_contract_inventory"

    thresholds: list[ThresholdInventory] = Field(default_factory=list)


class Sentinel(Node):
    """One check of S5 that watches a gate, from the report of the run."""

    check_id: str
    gates: list[str]
    status: str
    value: float | None
    unit: str
    message: str


class Mutation(Node):
    """One threshold moved past the measured value, and what S5 says then. `note` says why nothing could be shown."""

    check_id: str
    policy_key: str
    bound: str
    value: float
    mutated: float
    before: str
    after: str
    note: str

    @property
    def shows(self) -> bool:
        """Whether the verdict followed the threshold."""
        return self.after != self.before


class Sentinels(LegacyEnvelope):
    """What S5 watches in the candidate, and proof that its thresholds decide."""

    ARTEFACT: ClassVar[str] = "p3_sentinels"

    sentinels: list[Sentinel] = Field(default_factory=list)
    mutations: list[Mutation] = Field(default_factory=list)
    modes: dict[str, Any] = Field(default_factory=dict)


class Closing(LegacyEnvelope):
    """P3's closure."""

    ARTEFACT: ClassVar[str] = "p3_closure"
