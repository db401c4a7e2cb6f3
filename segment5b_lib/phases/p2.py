"""P2: are concentration and online share right? By calculation first, then by a measured candidate.

Nothing is tried out: what every knob does is predicted, what no local knob can do is proved, and the candidate that
calculation proposes is run once. A candidate that misses its bands holds; where a proof says that no knob of this
segment reaches them, the decision names the upstream owner instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

import polars as pl
from pydantic import Field

from segment5b_lib.calibrate.forensics import merchant_zones, merchants_in_top_zones, top_zones
from segment5b_lib.calibrate.mix import row_zone_mix
from segment5b_lib.calibrate.prediction import Prediction
from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.calibrate.proposal import Proposal, propose
from segment5b_lib.calibrate.sensitivity import NO_TILT, ZONE_MIX, sensitivity
from segment5b_lib.calibrate.settings import candidate_changes, commands
from segment5b_lib.calibrate.zone_tilt import GAP, Solution, certificate
from segment5b_lib.contract.commands import command
from segment5b_lib.contract.words import Decision, Verdict
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import scorecard
from segment5b_lib.gates.table import SCORED_DATASETS
from segment5b_lib.gates.wording import value_text
from segment5b_lib.phases import p2_artefacts
from segment5b_lib.phases.engine.envelope import Body, DodItem, FrameRows
from segment5b_lib.phases.engine.page import Section, gate_section
from segment5b_lib.phases.engine.parameters import OnWitnessedCandidate, RunName
from segment5b_lib.phases.engine.phase import Conclusion, Files, Measured, Phase, Subject, item, not_applicable
from segment5b_lib.phases.engine.repair import NextStep, NextSteps, next_steps
from segment5b_lib.phases.shared_items import FROZEN_GATES, audit_holds, chain_complete, gates_hold
from segment5b_lib.store.postures import with_changes
from segment5b_lib.views import gateboard

_MERCHANTS: Final = 20


class P2Parameters(OnWitnessedCandidate):
    """A candidate, its witnesses, and the run that calibration starts from."""

    baseline: RunName = Field("@baseline", description="the run that calibration starts from")


@dataclass(frozen=True, kw_only=True)
class P2Measured(Measured):
    """Predicted and measured concentration and online share (`scorecards`: candidate, witnesses, baseline).

    Attributes
    ----------
    runs : every run with its role, scorecard and prediction
    proposal : what calculation proposes from the candidate
    leverage : what each knob does when it is moved alone
    by_seed : the candidate's own policies, predicted for every required seed
    zone_mix : the stored zone mix with its certificate; None where the candidate has none
    zones, merchants : the ten largest zones, and the merchants behind them
    """

    runs: tuple[p2_artefacts.Candidate, ...]
    proposal: Proposal
    leverage: pl.DataFrame
    by_seed: Mapping[int, Prediction]
    zone_mix: Solution | None
    zones: pl.DataFrame
    merchants: pl.DataFrame

    @property
    def judged(self) -> list[Scorecard]:
        """Scorecards of candidate and witnesses."""
        return [run.card for run in self.runs if run.role != "baseline"]

    @cached_property
    def candidates(self) -> list[p2_artefacts.CandidateLine]:
        """T6 and T7 of every run with their predictions."""
        return [p2_artefacts.candidate_line(run, gate) for run in self.runs for gate in p2_artefacts.CALIBRATED]

    @property
    def reach(self) -> FrameRows:
        """What this segment's knobs can reach, gate by gate, with proof."""
        return [asdict(verdict) for verdict in self.proposal.local]

    @cached_property
    def plane(self) -> pl.DataFrame:
        """Predicted and measured runs in the T6-T7 plane: `run`, `role`, `kind`, `t6`, `t7` (shares)."""
        lines = self.table("candidates").with_columns(
            run=pl.format("{} {} seed {}", "role", pl.col("run_id").str.head(8), "seed")
        )
        kinds = [
            lines.pivot("gate_id", index=["run", "role"], values=kind, aggregate_function="first")
            .rename({"T6": "t6", "T7": "t7"})
            .with_columns(kind=pl.lit(kind))
            for kind in ("predicted", "measured")
        ]
        return pl.concat(kinds).select("run", "role", "kind", "t6", "t7")

    @property
    def bands(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Bounds of T6 and T7 by level, as the candidate's policy has them."""
        return gateboard.bands(self.runs[0].card.evidence.policy, p2_artefacts.CALIBRATED)


def measure(subject: Subject[P2Parameters]) -> P2Measured:
    """Predict, measure, and calculate what could be done from here."""
    run, predictor = subject.run, Predictor(subject.run)
    seeds = run.policies.validation.stability.required_seeds
    roles = [(role, other) for role in ("witness", "baseline") for other in subject.others[role]]
    runs = [
        p2_artefacts.Candidate(
            role, scorecard(other), (predictor if other.run_id == run.run_id else Predictor(other)).predict()
        )
        for role, other in [("candidate", run), *roles]
    ]
    proposal = propose(run, seeds=seeds, predictor=predictor)
    landed = merchant_zones(predictor)
    return P2Measured(
        scorecards=tuple(candidate.card for candidate in runs),
        runs=tuple(runs),
        proposal=proposal,
        leverage=sensitivity(predictor, run.policies, proposal.target),
        by_seed={seed: predictor.with_seed(seed).predict() for seed in seeds},
        zone_mix=stored_zone_mix(predictor),
        zones=top_zones(landed),
        merchants=merchants_in_top_zones(landed).head(_MERCHANTS),
    )


def items(measured: P2Measured) -> list[DodItem]:
    """The bands are held as predicted, on every seed, with the least distortion; nothing frozen has moved."""
    cards = measured.judged
    return [
        chain_complete("P2.1", [card.evidence.run for card in cards]),
        gates_hold("P2.2", "the frozen rails hold", cards, FROZEN_GATES),
        gates_hold("P2.3", "T6 and T7 pass on candidate and witness", cards, p2_artefacts.CALIBRATED),
        _margin(cards, measured.proposal),
        _predicted(measured.candidates),
        _every_seed(measured),
        least_distortion(measured.zone_mix),
        _decided(measured.proposal),
        audit_holds("P2.9", cards),
    ]


def conclude(measured: P2Measured, items: Sequence[DodItem]) -> Conclusion:
    """P3 opens, or a segment upstream reopens where a proof says that only that can help."""
    card, proposal = measured.scorecard, measured.proposal
    reach = [f"{verdict.gate} {verdict.verdict} ({verdict.owner}): {verdict.statement}" for verdict in proposal.local]
    beyond_reach = [v for v in proposal.local if not v.reachable and card.result(v.gate).verdict is Verdict.FAIL]
    return Conclusion(
        opens=Decision.UNLOCK_P3,
        reopens=Decision.UNLOCK_P2_UPSTREAM_REOPEN if beyond_reach else None,
        reasons=[*reach, proposal.reason] if proposal.reason else reach,
        next_steps=_next_steps(card, proposal),
    )


def bodies(measured: P2Measured) -> list[Body]:
    """The lock, sensitivity and proofs, the candidates, every run's gates, who concentrates."""
    card, proposal = measured.scorecard, measured.proposal
    policies = card.evidence.run.policies
    return [
        p2_artefacts.P2ContractLock(
            rails=[card.result(gate) for gate in FROZEN_GATES],
            target=proposal.target.document(),
            policies=policies.document("lgcp") | policies.document("routing"),
        ),
        p2_artefacts.Sensitivity(
            leverage=measured.leverage.to_dicts(),
            verdicts=measured.reach,
            proposal={**proposal.document(), "changes": candidate_changes(proposal)},
        ),
        p2_artefacts.CandidateMatrix(candidates=measured.candidates),
        p2_artefacts.P2Gateboard(
            others_gates={
                f"{run.role} {run.card.identity['run_id']}": list(run.card.results)
                for run in measured.runs
                if run.role != "candidate"
            }
        ),
        p2_artefacts.Forensics(zones=measured.zones.to_dicts(), merchants=measured.merchants.to_dicts()),
        p2_artefacts.P2Closure(),
    ]


def files(measured: P2Measured) -> Files:
    """The candidate matrix as CSV."""
    return {(p2_artefacts.CandidateMatrix.ARTEFACT, "csv"): measured.table("candidates").write_csv().encode()}


def sections(measured: P2Measured) -> list[Section]:
    """Predicted and measured, what this segment can reach, the gates."""
    reach = [(verdict.gate, verdict.verdict, verdict.owner, verdict.statement) for verdict in measured.proposal.local]
    return [
        p2_artefacts.matrix_section(measured.candidates),
        Section("What this segment can reach", ("gate", "verdict", "owner", "proof"), reach),
        *(gate_section(card) for card in measured.judged),
    ]


def stored_zone_mix(predictor: Predictor) -> Solution | None:
    """A run's zone mix as a solution for the share that it reaches, with its certificate; None without a mix."""
    run = predictor.run
    tilt = run.policies.lgcp.zone_mix
    if tilt.mode == "none":
        return None
    plain = with_changes(run.policies, {ZONE_MIX: NO_TILT})
    mix = row_zone_mix(predictor.demands(plain), predictor.tables, plain.routing.hybrid_policy.p_virtual_hybrid)
    return certificate(mix, tilt, predictor.tables.zones)


def least_distortion(stored: Solution | None) -> DodItem:
    """By the duality gap of the stored zone mix: nothing is moved that need not be."""
    text = "the zone mix distorts no more than it must"
    if stored is None:
        return not_applicable("P2.7", text, "the candidate has no zone mix")
    problems = [] if stored.gap <= GAP else [f"up to {stored.gap:.2e} nats per arrival more than needed"]
    evidence = f"{stored.distortion:.6f} nats per arrival, the least is {stored.bound:.6f} by the dual bound"
    return item("P2.7", text, problems, evidence)


def _margin(cards: Sequence[Scorecard], proposal: Proposal) -> DodItem:
    target = proposal.target
    bands = {"T6": (0.0, target.t6_limit), "T7": target.t7_limits}
    problems, shown = [], []
    for card in cards:
        for gate, (low, high) in bands.items():
            value = card.result(gate).value
            shown.append(f"{gate} {value_text(value, 'share')}")
            if value is None or not low <= value <= high:
                problems.append(f"{gate} {value_text(value, 'share')} on seed {card.identity['seed']}")
    return item("P2.4", "B and B+ hold together, on candidate and witness", problems, ", ".join(shown))


def _predicted(lines: Sequence[p2_artefacts.CandidateLine]) -> DodItem:
    problems = [
        f"{line.gate_id} of {line.role} {line.run_id[:8]}: measured {line.distance:.1f} standard errors from predicted"
        if line.distance is not None
        else f"{line.gate_id} of {line.role} {line.run_id[:8]}: not measured"
        for line in lines
        if not line.agrees
    ]
    text = f"measured values lie within {p2_artefacts.AGREES_WITHIN} standard errors of their predictions"
    furthest = max(abs(line.distance or 0.0) for line in lines)
    return item("P2.5", text, problems, f"{len(lines)} values, the furthest {furthest:.1f} standard errors off")


def _every_seed(measured: P2Measured) -> DodItem:
    """The candidate's own policies, predicted for every required seed."""
    target, problems, shown = measured.proposal.target, [], []
    for seed, prediction in measured.by_seed.items():
        t6, t7 = prediction.gates["T6"], prediction.gates["T7"]
        shown.append(f"seed {seed}: T6 {t6.value:.2%}, T7 {t7.value:.2%}")
        if t6.value > target.t6_limit or not target.t7_limits[0] <= t7.value <= target.t7_limits[1]:
            problems.append(f"{shown[-1]}, outside the bands")
    return item("P2.6", "every required seed is predicted within the bands", problems, "; ".join(shown))


def _decided(proposal: Proposal) -> DodItem:
    problems = [f"{verdict.gate}: {verdict.statement}" for verdict in proposal.local if not verdict.reachable]
    evidence = "; ".join(verdict.statement for verdict in proposal.local)
    return item("P2.8", "the bands are within this segment's reach", problems, evidence)


def _next_steps(card: Scorecard, proposal: Proposal) -> NextSteps:
    """What calculation proposes comes before what the failing gates' owners would do one by one."""
    failing = tuple(gate for gate in p2_artefacts.CALIBRATED if card.result(gate).verdict is Verdict.FAIL)
    if not failing or not proposal.reached:
        return next_steps(card)
    out = command("calibrate", card.identity["run_id"][:8], "--target", "bplus", "--out", "bplus.yaml")
    steps = [NextStep("calibration", failing, (step,)) for step in (out, *commands(proposal, "bplus.yaml"))]
    others = [step for step in next_steps(card).steps if not set(step.about) <= set(p2_artefacts.CALIBRATED)]
    return NextSteps((*steps, *others))


PHASE: Final = Phase(
    name="P2",
    question="Are concentration and online share right, and was that predicted?",
    notebook="p2_calibration",
    after=("P1",),
    hold=Decision.HOLD_P2_REOPEN,
    parameters=P2Parameters,
    artefacts=(
        p2_artefacts.P2ContractLock,
        p2_artefacts.Sensitivity,
        p2_artefacts.CandidateMatrix,
        p2_artefacts.P2Gateboard,
        p2_artefacts.Forensics,
        p2_artefacts.P2Closure,
    ),
    pages=(p2_artefacts.P2Gateboard.ARTEFACT,),
    roles=lambda run, parameters: parameters.others(),
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    files=files,
    sections=sections,
    evidence=SCORED_DATASETS,
)
