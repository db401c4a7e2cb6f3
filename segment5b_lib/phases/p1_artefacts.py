"""P1's artefacts: what was locked, the gateboard, what the clock does, the horizon contract, whether 2A reopens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from pydantic import Field

from segment5b_lib.contract.policies import POLICIES
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.phases.engine.envelope import GateLine, Node, gate_lines
from segment5b_lib.phases.engine.legacy import LegacyEnvelope
from segment5b_lib.phases.engine.shared_items import CLOCK
from segment5b_lib.store.runs import Run
from segment5b_lib.views.civil_time import days_since_transition, mismatch_by_date_and_zone, offset_distribution
from segment5b_lib.views.horizon import cache_shortfalls

LOCKED: Final = (
    ("placement", "local_time_encoding", "wall_clock"),
    ("routing", "physical_router.zone_binding", "row_zone"),
    ("routing", "horizon_guard", "fail"),
    ("validation", "civil_time_enforcement", "fail_closed"),
)
"""The 5B-local corrections of the clock: policy, key, value. The last two make them enforced."""
LOCAL_LANE: Final = {f"{policy}.{key}": value for policy, key, value in LOCKED if key != "horizon_guard"}
"""The locked keys as changes for a run on the cache as it is: with its guard up, S4 would not start."""
_WORST: Final = 20


class LockLine(Node):
    """One policy key that P1 locks, and whether the run has the locked value."""

    policy_file: str
    policy_key: str
    locked: str
    found: str
    policy_sha256: str

    @property
    def holds(self) -> bool:
        """Whether the run was made with the locked value."""
        return self.found == self.locked


class ContractLock(LegacyEnvelope):
    """Which policy keys carry the correction, and their values in the candidate."""

    ARTEFACT: ClassVar[str] = "p1_contract_lock"

    locked: list[LockLine] = Field(default_factory=list)


class SeedGates(Node):
    """The gates of one of the runs."""

    run_id: str
    seed: int
    role: str
    gates: list[GateLine]


class Gateboard(LegacyEnvelope):
    """Every gate of the candidate (in `gates`) and of its witnesses."""

    ARTEFACT: ClassVar[str] = "p1_realism_gateboard"

    witnesses: list[SeedGates] = Field(default_factory=list)


class TemporalDiagnostics(LegacyEnvelope):
    """What the candidate's clock does: errors by size, where and when, by days since the change, DST windows."""

    ARTEFACT: ClassVar[str] = "p1_temporal_diagnostics"

    offsets: list[dict[str, Any]] = Field(default_factory=list)
    worst_days: list[dict[str, Any]] = Field(default_factory=list)
    days_since_transition: list[dict[str, Any]] = Field(default_factory=list)
    windows: dict[str, Any] = Field(default_factory=dict)


class HorizonAndContract(LegacyEnvelope):
    """T11 and T12 in full: which zones fall short and what that costs, and how local columns are stored."""

    ARTEFACT: ClassVar[str] = "p1_t11_t12_contract_check"

    shortfalls: list[dict[str, Any]] = Field(default_factory=list)
    t11: dict[str, Any] = Field(default_factory=dict)
    t12: dict[str, Any] = Field(default_factory=dict)


class ReopenDecision(LegacyEnvelope):
    """Whether 2A has to be reopened; written in both cases."""

    ARTEFACT: ClassVar[str] = "p1_2a_reopen_decision"

    triggered: bool | None = None
    because: list[str] = Field(default_factory=list)
    command: str = ""
    already_reopened: list[dict[str, Any]] = Field(default_factory=list)


class Closing(LegacyEnvelope):
    """P1's closure."""

    ARTEFACT: ClassVar[str] = "p1_closure"


def lock_lines(run: Run) -> list[LockLine]:
    """The locked keys as the run has them."""
    lines = []
    for policy, key, locked in LOCKED:
        lines.append(
            LockLine(
                policy_file=POLICIES[policy],
                policy_key=key,
                locked=locked,
                found=str(run.policies.at(policy, key)),
                policy_sha256=sha256_hex(canonical_json(run.policies.document(policy))),
            )
        )
    return lines


def seed_gates(role: str, cards: Sequence[Scorecard]) -> list[SeedGates]:
    """The gates of several runs."""
    return [
        SeedGates(run_id=card.identity["run_id"], seed=card.identity["seed"], role=role, gates=gate_lines(card.results))
        for card in cards
    ]


def diagnostics(card: Scorecard) -> dict[str, Any]:
    """The fields of `TemporalDiagnostics`; days are the twenty with most wrong arrivals."""
    daily = mismatch_by_date_and_zone(card.evidence).sort(
        ["mismatches", "date", "tzid"], descending=[True, False, False]
    )
    return {
        "offsets": offset_distribution(card.evidence).to_dicts(),
        "worst_days": daily.head(_WORST).to_dicts(),
        "days_since_transition": days_since_transition(card.evidence).to_dicts(),
        "windows": card.result("T3").detail,
    }


def horizon_and_contract(card: Scorecard) -> dict[str, Any]:
    """The fields of `HorizonAndContract`."""
    return {
        "shortfalls": cache_shortfalls(card).to_dicts(),
        "t11": card.result("T11").detail,
        "t12": card.result("T12").detail,
    }


def reopening(card: Scorecard) -> tuple[bool, list[str]]:
    """Whether 2A has to be reopened: the clock still fails after the local corrections, and the cache falls short."""
    failing = [gate for gate in CLOCK if card.result(gate).verdict is Verdict.FAIL]
    corrected = [line for line in lock_lines(card.evidence.run)[:2] if not line.holds]
    short = card.result("T11").verdict is Verdict.FAIL
    because = [
        f"clock gates that fail: {', '.join(failing) or 'none'}",
        f"local corrections missing: {', '.join(line.policy_key for line in corrected) or 'none'}",
        f"T11 {card.result('T11').verdict.value}: the cache {'falls short' if short else 'reaches far enough'}",
    ]
    return bool(failing) and not corrected and short, because
