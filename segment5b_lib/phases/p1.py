"""P1: is the clock right, and is it enforced? The local corrections first; segment 2A reopens only if they do not do.

The first candidate carries the corrections that 5B owns (wall clock, a site of the row's own zone). Where its clock
still fails and the cache falls short (T11), the decision is to reopen 2A; a run of the reopened world is P1's next
candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

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
from segment5b_lib.phases.engine.shared_items import (
    CLOCK,
    CONSERVATION,
    LOCAL_TIME,
    audit_holds,
    chain_complete,
    counts_unmoved,
    gates_hold,
)
from segment5b_lib.phases.p1_artefacts import (
    Closing,
    ContractLock,
    Gateboard,
    HorizonAndContract,
    ReopenDecision,
    TemporalDiagnostics,
    diagnostics,
    horizon_and_contract,
    lock_lines,
    reopening,
    seed_gates,
)
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.runs import Run

PHASE: Final = Phase(
    name="P1",
    question="Is the clock right, on the candidate and on its witness, and is it enforced?",
    after=("P0",),
    hold=Decision.HOLD_P1_REOPEN,
    artefacts=(ContractLock, Gateboard, TemporalDiagnostics, HorizonAndContract, ReopenDecision, Closing),
    pages=(Gateboard.ARTEFACT,),
)
_CLOCK_KEYS: Final = tuple(gate for gate in (*CLOCK, *LOCAL_TIME) if "." not in gate)


def execute(run: Run, *, witnesses: Sequence[Run] = (), baseline: Run, what_if: bool = False) -> Closure:
    """Judge a candidate's clock, with witnesses of other seeds, against the baseline that P0 was about."""
    return conduct(
        PHASE,
        run,
        lambda: examine(scorecard(run), [scorecard(witness) for witness in witnesses], baseline),
        others={"witness": witnesses, "baseline": [baseline]},
        evidence=EVIDENCE,
        what_if=what_if,
    )


def examine(card: Scorecard, witnesses: Sequence[Scorecard], baseline: Run) -> Finding:
    """The clock of the candidate and of its witnesses."""
    cards, run = [card, *witnesses], card.evidence.run
    triggered, because = reopening(card)
    command = _reopen_command(card) if triggered else ""
    return Finding(
        items=_items(cards, baseline),
        opens=Decision.UNLOCK_P2,
        reopens=Decision.UNLOCK_P1_UPSTREAM_2A_REOPEN if triggered else None,
        reasons=[f"reopen 2A: {command}", *because] if triggered else ["the clock is right and enforced", *because],
        gates=card.results,
        own={
            ContractLock: {"locked": lock_lines(run)},
            Gateboard: {"witnesses": seed_gates("witness", witnesses)},
            TemporalDiagnostics: diagnostics(card),
            HorizonAndContract: horizon_and_contract(card),
            ReopenDecision: {
                "triggered": triggered,
                "because": because,
                "command": command,
                "already_reopened": [link for link in run.world.document["parents"] if link["segment"] == "2A"],
            },
        },
        sections=_sections(cards),
        next_steps=next_steps(card),
        scorecards=cards,
    )


def _items(cards: Sequence[Scorecard], baseline: Run) -> list[DodItem]:
    runs = [card.evidence.run for card in cards]
    return [
        chain_complete("P1.1", runs),
        _locked(runs),
        gates_hold("P1.3", "T1, T2 and T3 pass on candidate and witness", cards, CLOCK),
        gates_hold("P1.4", "T11 and T12 pass on candidate and witness", cards, LOCAL_TIME),
        _witnessed(runs),
        _enforced(runs),
        gates_hold("P1.7", "conservation and nullability hold", cards, CONSERVATION),
        counts_unmoved("P1.8", baseline, runs),
        audit_holds("P1.9", cards),
    ]


def _locked(runs: Sequence[Run]) -> DodItem:
    lines = [line for run in runs for line in lock_lines(run)]
    open_points = [f"{line.policy_key} is {line.found}, locked {line.locked}" for line in lines if not line.holds]
    evidence = ", ".join(f"{line.policy_key} {line.found}" for line in lock_lines(runs[0]))
    return item("P1.2", "the corrections are in the policies of every run", open_points, evidence)


def _witnessed(runs: Sequence[Run]) -> DodItem:
    candidate, *others = runs
    alike = [
        run
        for run in others
        if run.receipt.seed != candidate.receipt.seed
        and run.receipt.parameter_hash == candidate.receipt.parameter_hash
        and run.receipt.manifest_fingerprint == candidate.receipt.manifest_fingerprint
    ]
    open_points = [] if alike else ["no witness with the candidate's world and policies and another seed"]
    seeds = ", ".join(str(run.receipt.seed) for run in alike)
    return item("P1.5", "a witness of another seed stands beside the candidate", open_points, f"witness seed {seeds}")


def _enforced(runs: Sequence[Run]) -> DodItem:
    """By S5's own report: under enforcement what a clock check finds can no longer be a mere advisory."""
    open_points, checks = [], 0
    for run in runs:
        path = run.bundle_folder / run.policies.bundle_layout.report
        if not path.is_file():
            open_points.append(f"{run.run_id[:8]}: S5 has left no report")
            continue
        report: dict[str, Any] = read_json(path)
        clock = [check for check in report["checks"] if _of_the_clock(check)]
        checks += len(clock)
        if report["civil_time_enforcement"] != "fail_closed":
            open_points.append(f"{run.run_id[:8]}: civil_time_enforcement {report['civil_time_enforcement']}")
        advisories = [check["check_id"] for check in clock if check["status"] == "advisory"]
        open_points += [f"{run.run_id[:8]}: {check} is only an advisory" for check in advisories]
    evidence = f"fail_closed in every S5 report, {checks} checks of the clock, no advisory"
    return item("P1.6", "failures of the clock stop a run", open_points, evidence)


def _of_the_clock(check: Mapping[str, Any]) -> bool:
    """By the policy keys that the check is held against."""
    keys = [threshold["policy_key"] for threshold in check["thresholds"]]
    return any(key.startswith(("civil_time.", *(f"gates.{gate}." for gate in _CLOCK_KEYS))) for key in keys)


def _reopen_command(card: Scorecard) -> str:
    (step,) = [step for step in next_steps(card).steps if step.owner == "2A"]
    return step.command


def _sections(cards: Sequence[Scorecard]) -> list[Section]:
    return [gate_section(card, f"Gates, seed {card.identity['seed']}") for card in cards]
