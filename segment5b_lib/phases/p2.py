"""P2: are concentration and online share right? By calculation first, then by a measured candidate.

Nothing is tried out: what every knob does is predicted, what no local knob can do is proved, and the candidate that
calculation proposes is run once. A candidate that misses its bands holds; where a proof says that no knob of this
segment reaches them, the decision names the upstream owner instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from segment5b_lib.calibrate.feasibility import Verdict as Reach
from segment5b_lib.calibrate.mix import row_zone_mix
from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.calibrate.proposal import Proposal, propose
from segment5b_lib.calibrate.sensitivity import NO_TILT, ZONE_MIX, sensitivity
from segment5b_lib.calibrate.settings import candidate_changes, commands
from segment5b_lib.calibrate.zone_tilt import GAP, certificate
from segment5b_lib.contract.words import Decision, Verdict
from segment5b_lib.gates.saved import scorecard
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import EVIDENCE
from segment5b_lib.gates.wording import value_text
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem, gate_lines
from segment5b_lib.phases.engine.legacy import Finding, Phase, conduct
from segment5b_lib.phases.engine.page import Section, gate_section
from segment5b_lib.phases.engine.phase import item, not_applicable
from segment5b_lib.phases.engine.repair import NextStep, NextSteps, next_steps
from segment5b_lib.phases.engine.shared_items import FROZEN, audit_holds, chain_complete, gates_hold
from segment5b_lib.phases.p2_artefacts import (
    CALIBRATED,
    STANDARD_ERRORS,
    CandidateLine,
    CandidateMatrix,
    Closing,
    ContractLock,
    Forensics,
    Gateboard,
    Measured,
    Sensitivity,
    beside,
    candidate_lines,
    forensics,
    matrix_csv,
)
from segment5b_lib.store.postures import with_changes
from segment5b_lib.store.runs import Run
from segment5b_lib.views import gateboard

PHASE: Final = Phase(
    name="P2",
    question="Are concentration and online share right, and was that predicted?",
    after=("P1",),
    hold=Decision.HOLD_P2_REOPEN,
    artefacts=(ContractLock, Sensitivity, CandidateMatrix, Gateboard, Forensics, Closing),
    pages=(Gateboard.ARTEFACT,),
)


def execute(run: Run, *, witnesses: Sequence[Run] = (), baseline: Run, what_if: bool = False) -> Closure:
    """Judge a candidate and its witnesses; `baseline` is the run that calibration starts from."""
    return conduct(
        PHASE,
        run,
        lambda: examine(run, witnesses, baseline),
        others={"witness": witnesses, "baseline": [baseline]},
        evidence=EVIDENCE,
        what_if=what_if,
    )


def examine(run: Run, witnesses: Sequence[Run], baseline: Run) -> Finding:
    """Predict, measure, compare; and what calculation proposes from here."""
    predictor = Predictor(run)
    candidate, *beside_it = [
        Measured(role, scorecard(one), (predictor if one is run else Predictor(one)).predict())
        for role, one in [("candidate", run), *(("witness", one) for one in witnesses), ("baseline", baseline)]
    ]
    proposal = propose(run, seeds=_seeds(run), predictor=predictor)
    lines = candidate_lines([candidate, *beside_it])
    cards = [candidate.card, *(one.card for one in beside_it if one.role == "witness")]
    leverage = sensitivity(predictor, run.policies, proposal.target)
    return Finding(
        items=_items(cards, lines, proposal, predictor),
        opens=Decision.UNLOCK_P3,
        reopens=Decision.UNLOCK_P2_UPSTREAM_REOPEN if _blocked(candidate.card, proposal) else None,
        reasons=_reasons(proposal),
        gates=candidate.card.results,
        own={
            ContractLock: {
                "rails": gate_lines([candidate.card.result(gate) for gate in FROZEN]),
                "target": proposal.target.document(),
                "policies": run.policies.document("lgcp") | run.policies.document("routing"),
            },
            Sensitivity: {
                "leverage": leverage.to_dicts(),
                "verdicts": [verdict.document() for verdict in proposal.local],
                "proposal": {**proposal.document(), "changes": candidate_changes(proposal)},
            },
            CandidateMatrix: {"candidates": lines},
            Gateboard: {"others_gates": beside(beside_it)},
            Forensics: forensics(predictor),
        },
        files={(CandidateMatrix.ARTEFACT, "csv"): matrix_csv(lines)},
        sections=[_matrix_section(lines), _reach_section(proposal.local), *(gate_section(card) for card in cards)],
        next_steps=_next_steps(candidate.card, proposal),
        scorecards=[*cards, beside_it[-1].card],
    )


def _seeds(run: Run) -> tuple[int, ...]:
    return run.policies.validation.stability.required_seeds


def _items(
    cards: Sequence[Scorecard], lines: Sequence[CandidateLine], proposal: Proposal, predictor: Predictor
) -> list[DodItem]:
    runs = [card.evidence.run for card in cards]
    return [
        chain_complete("P2.1", runs),
        gates_hold("P2.2", "the frozen rails hold", cards, FROZEN),
        gates_hold("P2.3", "T6 and T7 pass on candidate and witness", cards, CALIBRATED),
        _margin(cards, proposal),
        _predicted(lines),
        _every_seed(predictor, proposal),
        _least_distortion(predictor),
        _decided(proposal),
        audit_holds("P2.9", cards),
    ]


def _margin(cards: Sequence[Scorecard], proposal: Proposal) -> DodItem:
    target = proposal.target
    bands = {"T6": (0.0, target.t6_limit), "T7": target.t7_limits}
    open_points, shown = [], []
    for card in cards:
        for gate, (low, high) in bands.items():
            value = card.result(gate).value
            shown.append(f"{gate} {value_text(value, 'share')}")
            if value is None or not low <= value <= high:
                open_points.append(f"{gate} {value_text(value, 'share')} on seed {card.identity['seed']}")
    return item("P2.4", "B and B+ hold together, on candidate and witness", open_points, ", ".join(shown))


def _predicted(lines: Sequence[CandidateLine]) -> DodItem:
    open_points = [
        f"{line.gate_id} of {line.role} {line.run_id[:8]}: measured {line.distance:.1f} standard errors from predicted"
        if line.distance is not None
        else f"{line.gate_id} of {line.role} {line.run_id[:8]}: not measured"
        for line in lines
        if not line.agrees
    ]
    text = f"measured values lie within {STANDARD_ERRORS} standard errors of their predictions"
    furthest = max(abs(line.distance or 0.0) for line in lines)
    return item("P2.5", text, open_points, f"{len(lines)} values, the furthest {furthest:.1f} standard errors off")


def _every_seed(predictor: Predictor, proposal: Proposal) -> DodItem:
    """The candidate's own policies, predicted for every required seed."""
    target, open_points, shown = proposal.target, [], []
    for seed in _seeds(predictor.run):
        gates = predictor.with_seed(seed).predict().gates
        t6, t7 = gates["T6"], gates["T7"]
        shown.append(f"seed {seed}: T6 {t6.value:.2%}, T7 {t7.value:.2%}")
        if t6.value > target.t6_limit or not target.t7_limits[0] <= t7.value <= target.t7_limits[1]:
            open_points.append(f"{shown[-1]}, outside the bands")
    return item("P2.6", "every required seed is predicted within the bands", open_points, "; ".join(shown))


def _least_distortion(predictor: Predictor) -> DodItem:
    """By the duality gap of the stored zone mix: nothing is moved that need not be."""
    text, run = "the zone mix distorts no more than it must", predictor.run
    tilt = run.policies.lgcp.zone_mix
    if tilt.mode == "none":
        return not_applicable("P2.7", text, "the candidate has no zone mix")
    plain = with_changes(run.policies, {ZONE_MIX: NO_TILT})
    mix = row_zone_mix(predictor.demands(plain), predictor.tables, plain.routing.hybrid_policy.p_virtual_hybrid)
    stored = certificate(mix, tilt, predictor.tables.zones)
    open_points = [] if stored.gap <= GAP else [f"up to {stored.gap:.2e} nats per arrival more than needed"]
    evidence = f"{stored.distortion:.6f} nats per arrival, the least is {stored.bound:.6f} by the dual bound"
    return item("P2.7", text, open_points, evidence)


def _decided(proposal: Proposal) -> DodItem:
    open_points = [f"{verdict.gate}: {verdict.statement}" for verdict in proposal.local if not verdict.reachable]
    evidence = "; ".join(verdict.statement for verdict in proposal.local)
    return item("P2.8", "the bands are within this segment's reach", open_points, evidence)


def _blocked(card: Scorecard, proposal: Proposal) -> bool:
    """A calibrated gate fails, and a proof says that no knob of this segment brings it back."""
    return any(
        not verdict.reachable and card.result(verdict.gate).verdict is Verdict.FAIL for verdict in proposal.local
    )


def _reasons(proposal: Proposal) -> list[str]:
    found = [f"{verdict.gate} {verdict.verdict} ({verdict.owner}): {verdict.statement}" for verdict in proposal.local]
    return [*found, proposal.reason] if proposal.reason else found


def _next_steps(card: Scorecard, proposal: Proposal) -> NextSteps:
    """What calculation proposes comes before what the failing gates' owners would do one by one."""
    failing = tuple(gate for gate in CALIBRATED if card.result(gate).verdict is Verdict.FAIL)
    if not failing or not proposal.reached:
        return next_steps(card)
    out = f"segment5b calibrate {card.identity['run_id'][:8]} --target bplus --out bplus.yaml"
    steps = [NextStep("calibration", failing, command) for command in (out, *commands(proposal, "bplus.yaml"))]
    others = [step for step in next_steps(card).steps if not set(step.gates) <= set(CALIBRATED)]
    return NextSteps((*steps, *others))


def plane(closure: Closure) -> pl.DataFrame:
    """Predicted and measured candidates for the T6-T7 plane: `run`, `kind`, `t6`, `t7` (shares)."""
    lines = closure.table("p2_candidate_matrix", "candidates").with_columns(
        run=pl.format("{} {} seed {}", "role", pl.col("run_id").str.head(8), "seed")
    )
    kinds = [
        lines.pivot("gate_id", index=["run", "role"], values=kind, aggregate_function="first")
        .rename({"T6": "t6", "T7": "t7"})
        .with_columns(kind=pl.lit(kind))
        for kind in ("predicted", "measured")
    ]
    return pl.concat(kinds).select("run", "role", "kind", "t6", "t7")


def bands(closure: Closure) -> dict[str, dict[str, tuple[float, float]]]:
    """Bounds of T6 and T7 by level, as the run's policy has them."""
    return gateboard.bands(closure.scorecard.evidence.policy, CALIBRATED)


def _matrix_section(lines: Sequence[CandidateLine]) -> Section:
    rows = [
        (
            line.gate_id,
            f"{line.role} {line.run_id[:8]}",
            str(line.seed),
            f"{line.predicted:.3%} ± {line.standard_error:.3%}",
            "–" if line.measured is None else f"{line.measured:.3%}",
            "–" if line.distance is None else f"{line.distance:+.1f}",
            line.verdict,
        )
        for line in lines
    ]
    columns = ("gate", "run", "seed", "predicted", "measured", "standard errors", "verdict")
    return Section("Predicted and measured", columns, rows)


def _reach_section(verdicts: Sequence[Reach]) -> Section:
    rows = [(verdict.gate, verdict.verdict, verdict.owner, verdict.statement) for verdict in verdicts]
    return Section("What this segment can reach", ("gate", "verdict", "owner", "proof"), rows)
