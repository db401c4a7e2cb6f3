"""P3: will it stay right? Every threshold is in the policy and its schema, S5 watches every gate, and its verdict
follows the thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.policies import POLICIES
from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.contract.words import Decision
from segment5b_lib.gates.saved import scorecard
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import EVIDENCE
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.legacy import Finding, Phase, conduct
from segment5b_lib.phases.engine.page import Section, gate_section
from segment5b_lib.phases.engine.phase import item
from segment5b_lib.phases.engine.repair import next_steps
from segment5b_lib.phases.engine.shared_items import FROZEN, audit_holds, chain_complete, gates_hold
from segment5b_lib.phases.p3_artefacts import (
    Closing,
    ContractInventory,
    Mutation,
    Sentinel,
    Sentinels,
    ThresholdInventory,
)
from segment5b_lib.phases.p3_mutations import mutations, watched_gates
from segment5b_lib.store.arrival_files import LOCAL_COLUMNS
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.runs import Run

PHASE: Final = Phase(
    name="P3",
    question="Will it stay right: does every threshold live in the policy, and does S5 enforce it?",
    after=("P2",),
    hold=Decision.HOLD_P3_REMEDIATE,
    artefacts=(ContractInventory, Sentinels, Closing),
    pages=(Closing.ARTEFACT,),
)
WATCHED: Final = ("T1", "T2", "T3", "T4", "T6", "T7", "T8", "T9", "T11", "T12")
"""Gates that S5 must watch by the policy's thresholds; T5 it watches row by row, as a law without one."""
MODES: Final = {"civil_time_enforcement": "fail_closed", "calibration_sentinels.evaluation_mode": "enforce_bplus"}
"""How strictly the hardened policy watches."""


def execute(run: Run, *, what_if: bool = False) -> Closure:
    """Inventory the contract of a run, and move every threshold that its S5 consumes."""
    return conduct(PHASE, run, lambda: examine(run, scorecard(run)), evidence=EVIDENCE, what_if=what_if)


def examine(run: Run, card: Scorecard) -> Finding:
    """What holds the thresholds, and what follows them."""
    report = _report(run)
    inventory, moved = _inventory(card, report), mutations(run)
    return Finding(
        items=[
            chain_complete("P3.1", [run]),
            _in_policy(run, card, inventory),
            _consumed(inventory),
            _emitted(report),
            _followed(moved),
            _enforced(run),
            _unambiguous(run),
            gates_hold("P3.8", "the frozen rails hold", [card], FROZEN),
            audit_holds("P3.9", [card]),
        ],
        opens=Decision.UNLOCK_P4,
        reasons=[f"{len(inventory)} thresholds inventoried, {len(moved)} moved, and S5's verdict followed each"],
        gates=card.results,
        own={
            ContractInventory: {"thresholds": inventory},
            Sentinels: {"sentinels": _sentinels(report), "mutations": moved, "modes": _modes(run)},
        },
        sections=[_mutation_section(moved), gate_section(card)],
        next_steps=next_steps(card),
        scorecards=[card],
    )


def _report(run: Run) -> dict[str, Any]:
    return dict(read_json(run.bundle_folder / run.policies.bundle_layout.report))


def _inventory(card: Scorecard, report: dict[str, Any]) -> list[ThresholdInventory]:
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
            schema_path=_schema_path(threshold.policy_key),
            consumed_by=[
                f"scorecard {result.produced_by}",
                *watching.get(threshold.policy_key.rpartition(".")[0], []),
            ],
        )
        for result in card.results
        for threshold in result.thresholds
    ]


def _schema_path(key: str) -> str:
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


def _in_policy(run: Run, card: Scorecard, inventory: Sequence[ThresholdInventory]) -> DodItem:
    open_points = [f"{result.gate_id} has no threshold" for result in card.results if not result.thresholds]
    for line in inventory:
        if run.policies.at("validation", line.policy_key, None) != line.value:
            open_points.append(f"{line.gate_id}: {line.policy_key} is not {line.value} in {line.policy_file}")
        if not line.schema_path:
            open_points.append(f"{line.gate_id}: {line.policy_key} is not in the policy's schema")
    evidence = f"{len(inventory)} thresholds stand in {POLICIES['validation']} under the keys that they name"
    return item("P3.2", "no threshold lives outside the policy and its schema", open_points, evidence)


def _consumed(inventory: Sequence[ThresholdInventory]) -> DodItem:
    by_s5 = {line.gate_id for line in inventory if any(name.startswith("S5 ") for name in line.consumed_by)}
    open_points = [f"{gate}: S5 does not consume its threshold" for gate in WATCHED if gate not in by_s5]
    return item("P3.3", "the thresholds are consumed", open_points, f"S5 consumes those of {', '.join(WATCHED)}")


def _sentinels(report: dict[str, Any]) -> list[Sentinel]:
    return [
        Sentinel(
            check_id=check["check_id"],
            gates=sorted(set(watched_gates(check))),
            status=check["status"],
            value=check["value"],
            unit=check["unit"],
            message=check["message"],
        )
        for check in report["checks"]
        if any(watched_gates(check))
    ]


def _emitted(report: dict[str, Any]) -> DodItem:
    measured = {gate for sentinel in _sentinels(report) for gate in sentinel.gates if sentinel.value is not None}
    open_points = [f"{gate}: S5 emits no value" for gate in WATCHED if gate not in measured]
    if "NULLABILITY" not in {check["check_id"] for check in report["checks"]}:
        open_points.append("T5: S5 has no nullability check")
    return item("P3.4", "S5 emits every sentinel", open_points, f"{', '.join(WATCHED)} and nullability (T5)")


def _followed(moved: Sequence[Mutation]) -> DodItem:
    open_points = [
        f"{found.check_id}: {found.policy_key}.{found.bound} moved to {found.mutated:g} and the verdict "
        f"stayed {found.after}"
        for found in moved
        if not found.shows and not found.note
    ]
    silent = sorted({found.check_id for found in moved if found.note})
    evidence = f"{sum(found.shows for found in moved)} verdicts followed"
    if silent:
        evidence += f"; without power on this world: {', '.join(silent)}"
    return item("P3.5", "a moved threshold changes S5's verdict", open_points, evidence)


def _modes(run: Run) -> dict[str, str]:
    validation = run.policies.validation
    return {
        "civil_time_enforcement": validation.civil_time_enforcement,
        "calibration_sentinels.evaluation_mode": validation.calibration_sentinels.evaluation_mode,
    }


def _enforced(run: Run) -> DodItem:
    found = _modes(run)
    open_points = [f"{key} is {found[key]}, hardened {mode}" for key, mode in MODES.items() if found[key] != mode]
    evidence = ", ".join(f"{key} {mode}" for key, mode in found.items())
    return item("P3.6", "S5 enforces, it does not warn", open_points, evidence)


def _unambiguous(run: Run) -> DodItem:
    """Local columns carry no zone in the contract, and the policy says that they are wall clocks."""
    schema = dataset("arrival_events_5B").schema
    assert schema is not None, "arrivals are a Parquet dataset"
    open_points = [
        f"{name} is {schema.field(name).type} in the contract"
        for name in LOCAL_COLUMNS
        if getattr(schema.field(name).type, "tz", "") is not None
    ]
    encoding = run.policies.placement.local_time_encoding
    if encoding != "wall_clock":
        open_points.append(f"local_time_encoding is {encoding}")
    evidence = f"{', '.join(LOCAL_COLUMNS)} are timestamps without a zone, written as {encoding}"
    return item("P3.7", "local time means one thing in contract, policy and files", open_points, evidence)


def _mutation_section(moved: Sequence[Mutation]) -> Section:
    rows = [
        (
            found.check_id,
            f"{found.policy_key}.{found.bound}",
            f"{found.value:g}",
            f"{found.mutated:.6g}",
            found.before,
            found.after,
            found.note,
        )
        for found in moved
    ]
    return Section("Moved thresholds", ("check", "key", "value", "moved to", "before", "after", "note"), rows)
