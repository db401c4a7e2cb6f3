"""P1's artefacts: what was locked, the gateboard, what the clock does, the horizon contract, whether 2A reopens."""

from __future__ import annotations

from typing import Any, Final

from segment5b_lib.contract.policies import POLICIES
from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.phases.engine.envelope import Body, Node
from segment5b_lib.store.runs import Run

LOCKED: Final = (
    ("placement", "local_time_encoding", "wall_clock"),
    ("routing", "physical_router.zone_binding", "row_zone"),
    ("routing", "horizon_guard", "fail"),
    ("validation", "civil_time_enforcement", "fail_closed"),
)
"""The 5B-local corrections of the clock: policy, key, value. The last two make them enforced."""
LOCAL_LANE: Final = {f"{policy}.{key}": value for policy, key, value in LOCKED if key != "horizon_guard"}
"""The locked keys as changes for a run on the cache as it is: with its guard up, S4 would not start."""


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


class SeedGates(Node):
    """The gates of one of the runs."""

    run_id: str
    seed: int
    role: str
    gates: list[GateResult]


class P1ContractLock(Body, artefact="p1_contract_lock"):
    """Which policy keys carry the correction, and their values in the candidate."""

    locked: list[LockLine]


class P1Gateboard(Body, artefact="p1_realism_gateboard"):
    """Every gate of the candidate (in `gates`) and of its witnesses."""

    witnesses: list[SeedGates]


class TemporalDiagnostics(Body, artefact="p1_temporal_diagnostics"):
    """What the candidate's clock does: errors by size, where and when, by days since the change, DST windows."""

    offsets: list[dict[str, Any]]
    worst_days: list[dict[str, Any]]
    days_since_transition: list[dict[str, Any]]
    windows: dict[str, Any]


class HorizonAndContract(Body, artefact="p1_t11_t12_contract_check"):
    """T11 and T12 in full: which zones fall short and what that costs, and how local columns are stored."""

    shortfalls: list[dict[str, Any]]
    t11: dict[str, Any]
    t12: dict[str, Any]


class ReopenDecision(Body, artefact="p1_2a_reopen_decision"):
    """Whether 2A has to be reopened; written in both cases."""

    triggered: bool
    because: list[str]
    command: str
    already_reopened: list[dict[str, Any]]


class P1Closure(Body, artefact="p1_closure"):
    """P1's closure."""


def lock_lines(run: Run) -> list[LockLine]:
    """The locked keys as a run has them."""
    return [
        LockLine(
            policy_file=POLICIES[policy],
            policy_key=key,
            locked=locked,
            found=str(run.policies.at(policy, key)),
            policy_sha256=sha256_hex(canonical_json(run.policies.document(policy))),
        )
        for policy, key, locked in LOCKED
    ]


def seed_gates(card: Scorecard) -> SeedGates:
    """The gates of a witness."""
    identity = card.identity
    return SeedGates(run_id=identity["run_id"], seed=identity["seed"], role="witness", gates=list(card.results))
