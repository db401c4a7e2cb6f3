"""P1: is the clock right, and is it enforced? The local corrections first; segment 2A reopens only if they do not do.

The first candidate carries the corrections that 5B owns (wall clock, a site of the row's own zone). Where its clock
still fails and the cache is too short (T11), the decision is to reopen 2A; a run of the reopened world is P1's next
candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import polars as pl

from segment5b_lib.contract.policies import POLICIES
from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Decision, Verdict
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import scorecard
from segment5b_lib.gates.table import SCORED_DATASETS
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.phases import shared_items
from segment5b_lib.phases.engine.envelope import Body, DodItem, FrameRows, Node
from segment5b_lib.phases.engine.page import Section, gate_section
from segment5b_lib.phases.engine.parameters import OnWitnessedCandidate
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, Subject, item
from segment5b_lib.phases.engine.repair import next_steps
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.runs import Run
from segment5b_lib.views.civil_time import days_since_transition, mismatch_by_date_and_zone, offset_distribution
from segment5b_lib.views.tz_databases import cache_shortfalls

LOCKED: Final = (
    ("placement", "local_time_encoding", "wall_clock"),
    ("routing", "physical_router.zone_binding", "row_zone"),
    ("routing", "horizon_guard", "fail"),
    ("validation", "civil_time_enforcement", "fail_closed"),
)
"""The 5B-local corrections of the clock: policy, key, value. The last two make them enforced."""
LOCAL_LANE: Final = {f"{policy}.{key}": value for policy, key, value in LOCKED if key != "horizon_guard"}
"""The locked keys as changes for a run on the cache as it is: with its guard up, S4 would not start."""
_CORRECTIONS: Final = 2
_CLOCK_KEYS: Final = tuple(gate for gate in (*shared_items.CLOCK, *shared_items.LOCAL_TIME) if "." not in gate)
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

    offsets: FrameRows
    worst_days: FrameRows
    days_since_transition: FrameRows
    windows: dict[str, Any]


class HorizonAndContract(Body, artefact="p1_t11_t12_contract_check"):
    """T11 and T12 in full: which zones fall short and what that costs, and how local columns are stored."""

    shortfalls: FrameRows
    t11: dict[str, Any]
    t12: dict[str, Any]


class ReopenDecision(Body, artefact="p1_2a_reopen_decision"):
    """Whether 2A has to be reopened; written in both cases."""

    triggered: bool
    because: list[str]
    command: str
    already_reopened: FrameRows


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


@dataclass(frozen=True, kw_only=True)
class P1Measured(Measured):
    """The clock of the candidate and of its witnesses (`scorecards`, candidate first).

    Attributes
    ----------
    baseline : the run that P0 was about
    reports : S5's own report of every run; None where it has left none
    offsets, mismatches, days_since_transition, shortfalls : the candidate's clock, as `views` describes it
    """

    baseline: Run
    reports: tuple[Mapping[str, Any] | None, ...]
    offsets: pl.DataFrame
    mismatches: pl.DataFrame
    days_since_transition: pl.DataFrame
    shortfalls: pl.DataFrame

    @property
    def runs(self) -> list[Run]:
        """Candidate, then witnesses."""
        return [card.evidence.run for card in self.scorecards]

    @cached_property
    def locked(self) -> list[LockLine]:
        """The locked keys as the candidate has them."""
        return lock_lines(self.runs[0])

    @cached_property
    def reopening(self) -> ReopenDecision:
        """Whether 2A has to be reopened: the clock fails after the local corrections, and the cache is too short."""
        card = self.scorecard
        failing = [gate for gate in shared_items.CLOCK if card.result(gate).verdict is Verdict.FAIL]
        missing = [line.policy_key for line in self.locked[:_CORRECTIONS] if not line.holds]
        t11 = card.result("T11").verdict
        short = t11 is Verdict.FAIL
        triggered = bool(failing) and not missing and short
        command = ""
        if triggered:
            (command,) = (step.text for step in next_steps(card).steps if step.owner == "2A")
        return ReopenDecision(
            triggered=triggered,
            because=[
                f"clock gates that fail: {', '.join(failing) or 'none'}",
                f"local corrections missing: {', '.join(missing) or 'none'}",
                f"T11 {t11.value}: the cache {'is too short' if short else 'reaches far enough'}",
            ],
            command=command,
            already_reopened=[link for link in self.runs[0].world.document["parents"] if link["segment"] == "2A"],
        )


def measure(subject: Subject[OnWitnessedCandidate]) -> P1Measured:
    """Score the candidate and its witnesses."""
    runs = [subject.run, *subject.others["witness"]]
    return measured_on([scorecard(run) for run in runs], subject.others["baseline"][0])


def measured_on(cards: Sequence[Scorecard], baseline: Run) -> P1Measured:
    """The clock of scored runs, the candidate first."""
    evidence = cards[0].evidence
    return P1Measured(
        scorecards=tuple(cards),
        baseline=baseline,
        reports=tuple(_report(card.evidence.run) for card in cards),
        offsets=offset_distribution(evidence),
        mismatches=mismatch_by_date_and_zone(evidence),
        days_since_transition=days_since_transition(evidence),
        shortfalls=cache_shortfalls(cards[0]),
    )


def items(measured: P1Measured) -> list[DodItem]:
    """The clock is right on every run, locked, witnessed and enforced, and nothing else has moved."""
    cards, runs = measured.scorecards, measured.runs
    return [
        shared_items.chain_complete("P1.1", runs),
        _locked(runs),
        shared_items.gates_hold("P1.3", "T1, T2 and T3 pass on candidate and witness", cards, shared_items.CLOCK),
        shared_items.gates_hold("P1.4", "T11 and T12 pass on candidate and witness", cards, shared_items.LOCAL_TIME),
        _witnessed(runs),
        _enforced(runs, measured.reports),
        shared_items.gates_hold("P1.7", "conservation and nullability hold", cards, shared_items.CONSERVATION),
        shared_items.counts_unmoved("P1.8", measured.baseline, runs),
        shared_items.audit_holds("P1.9", cards),
    ]


def conclude(measured: P1Measured, items: Sequence[DodItem]) -> Conclusion:
    """P2 opens, or 2A reopens where only that can help."""
    reopening = measured.reopening
    first = f"reopen 2A: {reopening.command}" if reopening.triggered else "the clock is right and enforced"
    return Conclusion(
        opens=Decision.UNLOCK_P2,
        reopens=Decision.UNLOCK_P1_UPSTREAM_2A_REOPEN if reopening.triggered else None,
        reasons=[first, *reopening.because],
        next_steps=next_steps(measured.scorecard),
    )


def bodies(measured: P1Measured) -> list[Body]:
    """The lock, the gateboard, the clock's diagnostics, horizon and contract, whether 2A reopens."""
    card = measured.scorecard
    worst = measured.mismatches.sort(["mismatches", "date", "tzid"], descending=[True, False, False]).head(_WORST)
    return [
        P1ContractLock(locked=measured.locked),
        P1Gateboard(
            witnesses=[
                SeedGates(run_id=run.run_id, seed=run.receipt.seed, role="witness", gates=list(card.results))
                for run, card in zip(measured.runs[1:], measured.scorecards[1:], strict=True)
            ]
        ),
        TemporalDiagnostics(
            offsets=measured.offsets.to_dicts(),
            worst_days=worst.to_dicts(),
            days_since_transition=measured.days_since_transition.to_dicts(),
            windows=card.result("T3").detail,
        ),
        HorizonAndContract(
            shortfalls=measured.shortfalls.to_dicts(), t11=card.result("T11").detail, t12=card.result("T12").detail
        ),
        measured.reopening,
        P1Closure(),
    ]


def sections(measured: P1Measured) -> list[Section]:
    """The gates of every run."""
    return [gate_section(card, f"Gates, seed {card.identity['seed']}") for card in measured.scorecards]


def _report(run: Run) -> Mapping[str, Any] | None:
    path = run.bundle_folder / run.policies.bundle_layout.report
    return dict(read_json(path)) if path.is_file() else None


def _locked(runs: Sequence[Run]) -> DodItem:
    lines = [line for run in runs for line in lock_lines(run)]
    problems = [f"{line.policy_key} is {line.found}, locked {line.locked}" for line in lines if not line.holds]
    evidence = ", ".join(f"{line.policy_key} {line.found}" for line in lock_lines(runs[0]))
    return item("P1.2", "the corrections are in the policies of every run", problems, evidence)


def _witnessed(runs: Sequence[Run]) -> DodItem:
    candidate, *others = runs
    alike = [
        run
        for run in others
        if run.receipt.seed != candidate.receipt.seed
        and run.receipt.parameter_hash == candidate.receipt.parameter_hash
        and run.receipt.manifest_fingerprint == candidate.receipt.manifest_fingerprint
    ]
    problems = [] if alike else ["no witness with the candidate's world and policies and another seed"]
    seeds = ", ".join(str(run.receipt.seed) for run in alike)
    return item("P1.5", "a witness of another seed stands next to the candidate", problems, f"witness seed {seeds}")


def _enforced(runs: Sequence[Run], reports: Sequence[Mapping[str, Any] | None]) -> DodItem:
    """By S5's own report: under enforcement what a clock check finds can no longer be a mere advisory."""
    problems, checks = [], 0
    for run, report in zip(runs, reports, strict=True):
        if report is None:
            problems.append(f"{run.run_id[:8]}: S5 has left no report")
            continue
        clock = [check for check in report["checks"] if _of_the_clock(check)]
        checks += len(clock)
        if report["civil_time_enforcement"] != "fail_closed":
            problems.append(f"{run.run_id[:8]}: civil_time_enforcement {report['civil_time_enforcement']}")
        advisories = [check["check_id"] for check in clock if check["status"] == "advisory"]
        problems += [f"{run.run_id[:8]}: {check} is only an advisory" for check in advisories]
    evidence = f"fail_closed in every S5 report, {checks} checks of the clock, no advisory"
    return item("P1.6", "failures of the clock stop a run", problems, evidence)


def _of_the_clock(check: Mapping[str, Any]) -> bool:
    """By the policy keys that the check is compared with."""
    keys = [threshold["policy_key"] for threshold in check["thresholds"]]
    return any(key.startswith(("civil_time.", *(f"gates.{gate}." for gate in _CLOCK_KEYS))) for key in keys)


PHASE: Final = Phase(
    name="P1",
    question="Is the clock right, on the candidate and on its witness, and is it enforced?",
    notebook="p1_civil_time",
    after=("P0",),
    hold=Decision.HOLD_P1_REOPEN,
    parameters=OnWitnessedCandidate,
    artefacts=(P1ContractLock, P1Gateboard, TemporalDiagnostics, HorizonAndContract, ReopenDecision, P1Closure),
    pages=(P1Gateboard.ARTEFACT,),
    roles=lambda run, parameters: parameters.others(),
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    sections=sections,
    evidence=SCORED_DATASETS,
)
