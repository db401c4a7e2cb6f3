"""State markers: that a state's outputs are complete, their digests, and what they were made from (contracts §2)."""

from __future__ import annotations

from typing import Any

from segment5b_lib.contract.strict import Recorded
from segment5b_lib.identity import canonical_json

Counters = dict[str, Any]
"""What a state counts, by name: totals, and nested by scenario, part file or random family."""


class OutputLine(Recorded):
    """One published file: its dataset, its path below the run root, its content."""

    dataset_id: str
    path: str
    sha256: str
    bytes: int


class Marker(Recorded):
    """A complete state. `inputs` maps paths, `policies` short names, to the digests that the state was made from.

    Of an attached run `inputs` is empty, and so is `policies` where nobody has recorded them.
    """

    state: str
    inputs: dict[str, str]
    policies: dict[str, str]
    outputs: tuple[OutputLine, ...]
    counters: Counters
    produced_by_parameter_hash: str

    def content(self) -> bytes:
        """The marker as it is written: canonical JSON."""
        return canonical_json(self.model_dump())

    def of_scenario(self, scenario_id: str) -> Counters:
        counters: Counters = self.counters["scenarios"][scenario_id]
        return counters
