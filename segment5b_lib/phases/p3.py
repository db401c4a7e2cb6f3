"""P3: will it stay right? Every threshold is in the policy and its schema, S5 watches every gate, and its verdict
follows the thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from segment5b_lib.contract.datasets import LOCAL_COLUMNS, dataset
from segment5b_lib.contract.policies import POLICIES
from segment5b_lib.contract.words import Decision
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import scorecard
from segment5b_lib.gates.table import SCORED_DATASETS, WATCHED_BY_S5
from segment5b_lib.phases.engine.envelope import Body, DodItem, Node
from segment5b_lib.phases.engine.page import Section, gate_section
from segment5b_lib.phases.engine.parameters import OnCandidate
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, Subject, item
from segment5b_lib.phases.engine.repair import next_steps
from segment5b_lib.phases.p3_thresholds import Mutation, ThresholdInventory, inventory, mutations, watched_gates
from segment5b_lib.phases.shared_items import FROZEN_GATES, audit_holds, chain_complete, gates_hold
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.runs import Run

MODES: Final = {"civil_time_enforcement": "fail_closed", "calibration_sentinels.evaluation_mode": "enforce_bplus"}
"""How strictly the hardened policy watches."""
_OF_THE_CHECK: Final = ("check_id", "status", "value", "unit", "message")
"""Fields of a check of S5 that a sentinel carries."""


class ContractInventory(Body, artefact="p3_contract_inventory"):
    """Every threshold of every gate, and every key by which S5 watches."""

    thresholds: list[ThresholdInventory]


class Sentinel(Node):
    """One check of S5 that watches a gate, from the report of the run."""

    check_id: str
    gates: list[str]
    status: str
    value: float | None
    unit: str
    message: str


class SentinelProof(Body, artefact="p3_sentinels"):
    """What S5 watches in the candidate, and proof that its thresholds decide."""

    sentinels: list[Sentinel]
    mutations: list[Mutation]
    modes: dict[str, str]


class P3Closure(Body, artefact="p3_closure"):
    """P3's closure."""


@dataclass(frozen=True, kw_only=True)
class P3Measured(Measured):
    """What holds the thresholds of a run, and what follows them.

    Attributes
    ----------
    report : S5's own report
    mutations : every threshold that S5 consumes, moved past what was measured, and what S5 says then
    """

    run: Run
    report: Mapping[str, Any]
    mutations: tuple[Mutation, ...]

    @cached_property
    def thresholds(self) -> list[ThresholdInventory]:
        """Every threshold of every gate: where it lives and who consumes it."""
        return inventory(self.scorecard, self.report)

    @cached_property
    def sentinels(self) -> list[Sentinel]:
        """The checks of S5 that watch a gate."""
        return [
            Sentinel(gates=sorted(set(watched_gates(check))), **{name: check[name] for name in _OF_THE_CHECK})
            for check in self.report["checks"]
            if any(watched_gates(check))
        ]

    @property
    def modes(self) -> dict[str, str]:
        """How strictly the run's policy watches."""
        return {key: str(self.run.policies.at("validation", key)) for key in MODES}


def measure(subject: Subject[OnCandidate]) -> P3Measured:
    """Score the run, and move every threshold that its S5 consumes."""
    return measured_on(subject.run, scorecard(subject.run))


def measured_on(run: Run, card: Scorecard) -> P3Measured:
    """The contract of a scored run."""
    report = dict(read_json(run.bundle_folder / run.policies.bundle_layout.report))
    return P3Measured(scorecards=(card,), run=run, report=report, mutations=tuple(mutations(run)))


def items(measured: P3Measured) -> list[DodItem]:
    """Thresholds live in the policy, are consumed, and decide."""
    run, card = measured.run, measured.scorecard
    return [
        chain_complete("P3.1", [run]),
        _in_policy(run, card, measured.thresholds),
        _consumed(measured.thresholds),
        _emitted(measured),
        _followed(measured.mutations),
        _enforced(measured.modes),
        _unambiguous(run),
        gates_hold("P3.8", "the frozen rails hold", [card], FROZEN_GATES),
        audit_holds("P3.9", [card]),
    ]


def conclude(measured: P3Measured, items: Sequence[DodItem]) -> Conclusion:
    """P4 opens when every verdict follows its threshold."""
    counted = f"{len(measured.thresholds)} thresholds inventoried, {len(measured.mutations)} moved"
    reasons = [f"{counted}, and S5's verdict followed each"]
    return Conclusion(Decision.UNLOCK_P4, reasons, next_steps=next_steps(measured.scorecard))


def bodies(measured: P3Measured) -> list[Body]:
    """The inventory, and proof that thresholds decide."""
    return [
        ContractInventory(thresholds=measured.thresholds),
        SentinelProof(sentinels=measured.sentinels, mutations=list(measured.mutations), modes=measured.modes),
        P3Closure(),
    ]


def sections(measured: P3Measured) -> list[Section]:
    """The moved thresholds and the gates."""
    rows = [
        (m.check_id, f"{m.policy_key}.{m.bound}", f"{m.value:g}", f"{m.mutated:.6g}", m.before, m.after, m.note)
        for m in measured.mutations
    ]
    columns = ("check", "key", "value", "moved to", "before", "after", "note")
    return [Section("Moved thresholds", columns, rows), gate_section(measured.scorecard)]


def _in_policy(run: Run, card: Scorecard, thresholds: Sequence[ThresholdInventory]) -> DodItem:
    problems = [f"{result.gate_id} has no threshold" for result in card.results if not result.thresholds]
    for line in thresholds:
        if run.policies.at("validation", line.policy_key, None) != line.value:
            problems.append(f"{line.gate_id}: {line.policy_key} is not {line.value} in {line.policy_file}")
        if not line.schema_path:
            problems.append(f"{line.gate_id}: {line.policy_key} is not in the policy's schema")
    evidence = f"{len(thresholds)} thresholds stand in {POLICIES['validation']} under the keys that they name"
    return item("P3.2", "no threshold lives outside the policy and its schema", problems, evidence)


def _consumed(thresholds: Sequence[ThresholdInventory]) -> DodItem:
    by_s5 = {line.gate_id for line in thresholds if any(name.startswith("S5 ") for name in line.consumed_by)}
    problems = [f"{gate}: S5 does not consume its threshold" for gate in WATCHED_BY_S5 if gate not in by_s5]
    return item("P3.3", "the thresholds are consumed", problems, f"S5 consumes those of {', '.join(WATCHED_BY_S5)}")


def _emitted(measured: P3Measured) -> DodItem:
    emitted = {gate for sentinel in measured.sentinels for gate in sentinel.gates if sentinel.value is not None}
    problems = [f"{gate}: S5 emits no value" for gate in WATCHED_BY_S5 if gate not in emitted]
    if "NULLABILITY" not in {check["check_id"] for check in measured.report["checks"]}:
        problems.append("T5: S5 has no nullability check")
    return item("P3.4", "S5 emits every sentinel", problems, f"{', '.join(WATCHED_BY_S5)} and nullability (T5)")


def _followed(moved: Sequence[Mutation]) -> DodItem:
    problems = [
        f"{mutation.check_id}: {mutation.policy_key}.{mutation.bound} moved to {mutation.mutated:g} and the verdict "
        f"stayed {mutation.after}"
        for mutation in moved
        if not mutation.shows and not mutation.note
    ]
    silent = sorted({mutation.check_id for mutation in moved if mutation.note})
    evidence = f"{sum(mutation.shows for mutation in moved)} verdicts followed"
    if silent:
        evidence += f"; without power on this world: {', '.join(silent)}"
    return item("P3.5", "a moved threshold changes S5's verdict", problems, evidence)


def _enforced(modes: Mapping[str, str]) -> DodItem:
    problems = [f"{key} is {modes[key]}, hardened {mode}" for key, mode in MODES.items() if modes[key] != mode]
    evidence = ", ".join(f"{key} {mode}" for key, mode in modes.items())
    return item("P3.6", "S5 enforces, it does not warn", problems, evidence)


def _unambiguous(run: Run) -> DodItem:
    """Local columns carry no zone in the contract, and the policy says that they are wall clocks."""
    schema = dataset("arrival_events_5B").schema
    assert schema is not None, "arrivals are a Parquet dataset"
    problems = [
        f"{name} is {schema.field(name).type} in the contract"
        for name in LOCAL_COLUMNS
        if getattr(schema.field(name).type, "tz", "") is not None
    ]
    encoding = run.policies.placement.local_time_encoding
    if encoding != "wall_clock":
        problems.append(f"local_time_encoding is {encoding}")
    evidence = f"{', '.join(LOCAL_COLUMNS)} are timestamps without a zone, written as {encoding}"
    return item("P3.7", "local time means one thing in contract, policy and files", problems, evidence)


PHASE: Final = Phase(
    name="P3",
    question="Will it stay right: does every threshold live in the policy, and does S5 enforce it?",
    notebook="p3_contract_hardening",
    after=("P2",),
    hold=Decision.HOLD_P3_REMEDIATE,
    parameters=OnCandidate,
    artefacts=(ContractInventory, SentinelProof, P3Closure),
    pages=(P3Closure.ARTEFACT,),
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    sections=sections,
    evidence=SCORED_DATASETS,
)
