"""Where every threshold lives, who consumes it, and proof that it decides.

For the proof S5 judges the same evidence again, with one threshold moved past what it measured.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.contract.verdicts import Bound
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5.check import Check
from segment5b_lib.states.s5.inputs import CheckInputs, gather
from segment5b_lib.states.s5.validation import SPEC, all_checks
from segment5b_lib.store.postures import with_changes
from segment5b_lib.store.runs import Run

GATE_KEYS: Final = "gates."


class ThresholdInventory(Node):
    """One threshold of one gate: its key in the policy, its path in the policy's schema, its value, its consumers."""

    gate_id: str
    policy_file: str
    policy_key: str
    value: float
    schema_path: str
    consumed_by: list[str]


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


def inventory(card: Scorecard, report: Mapping[str, Any]) -> list[ThresholdInventory]:
    """Every threshold of a scorecard: where it lives and who consumes it, by S5's report."""
    watching: dict[str, list[str]] = {}
    for check in report["checks"]:
        for threshold in check["thresholds"]:
            watching.setdefault(threshold["policy_key"], []).append(f"S5 {check['check_id']}")
    return [
        ThresholdInventory(
            gate_id=result.gate_id,
            policy_file=threshold.policy_file,
            policy_key=threshold.policy_key,
            value=threshold.value,
            schema_path=schema_path(threshold.policy_key),
            consumed_by=[f"scorecard {result.produced_by}", *watching.get(threshold.policy_key.rpartition(".")[0], [])],
        )
        for result in card.results
        for threshold in result.thresholds
    ]


def schema_path(key: str) -> str:
    """Where the policy's JSON Schema speaks of a key; empty where it does not."""
    schema = ValidationPolicy.model_json_schema()
    node, path = schema, ""
    for part in key.split("."):
        node = _resolved(schema, node)
        if part in node.get("properties", {}):
            node, path = node["properties"][part], f"{path}/properties/{part}"
        elif isinstance(node.get("additionalProperties"), dict):
            node, path = node["additionalProperties"], f"{path}/additionalProperties"
        else:
            return ""
    return f"#{path}"


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    return schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def mutations(run: Run) -> list[Mutation]:
    """Move every gate threshold that S5 consumes, one at a time. Reads the run; writes nothing."""
    evidence = gather(Context(run, SPEC, os.cpu_count() or 1))
    return [
        _moved(evidence, check, bound, side, value)
        for check in all_checks(evidence)
        for bound in check.bounds
        if bound.policy_key.startswith(GATE_KEYS)
        for side, value in bound.sides()
    ]


def _moved(evidence: CheckInputs, check: Check, bound: Bound, side: str, value: float) -> Mutation:
    mutated, before = value, check.status.value
    after, note = before, "nothing was measured"
    if check.value is not None:
        mutated = math.nextafter(check.value, -math.inf if side == "max" else math.inf)
        policies = with_changes(evidence.policies, {f"validation.{bound.policy_key}.{side}": mutated})
        (again,) = (new for new in all_checks(replace(evidence, policies=policies)) if new.check_id == check.check_id)
        after, note = again.status.value, "" if check.detail.get("arrivals_needed") is None else check.message
    return Mutation(
        check_id=check.check_id,
        policy_key=bound.policy_key,
        bound=side,
        value=value,
        mutated=mutated,
        before=before,
        after=after,
        note=note,
    )


def watched_gates(check: dict[str, Any]) -> Iterator[str]:
    """Gates whose thresholds a check of the report is compared with."""
    for threshold in check["thresholds"]:
        if threshold["policy_key"].startswith(GATE_KEYS):
            yield threshold["policy_key"].split(".")[1]
