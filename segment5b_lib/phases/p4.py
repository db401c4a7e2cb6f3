"""P4: does it hold on every required seed? One run each; the class is a pure function of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl
from pydantic import Field

from segment5b_lib.contract.commands import command
from segment5b_lib.contract.verdicts import STANDS, GateResult
from segment5b_lib.contract.words import STATES, Decision, Verdict
from segment5b_lib.engine.retention import pin
from segment5b_lib.gates.a06_replay import replay
from segment5b_lib.gates.certificate_class import CertificateClass, SeedResults, certificate_class_of
from segment5b_lib.gates.runtime import runtime_gate, state_gates
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import scorecard
from segment5b_lib.gates.t10_stability import stability
from segment5b_lib.gates.table import SCORED_DATASETS
from segment5b_lib.phases.engine.envelope import Body, DodItem, FrameRows, Node
from segment5b_lib.phases.engine.page import Section, gate_section
from segment5b_lib.phases.engine.parameters import OnCertificate, RunNames
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, Subject, item, not_applicable
from segment5b_lib.phases.engine.repair import NextSteps, next_steps, one_step
from segment5b_lib.phases.popt_timing import Sample, TimingLine, timing_line, timing_of
from segment5b_lib.phases.shared_items import chain_complete, gates_hold
from segment5b_lib.store.catalogue import find_run
from segment5b_lib.store.runs import Run

_WITNESS_SEEDS: Final = 2


class SeedAuthority(Node):
    """The run that stands for a seed, and the digest of its sealed bundle."""

    seed: int
    required: bool
    run_id: str
    manifest_fingerprint: str
    parameter_hash: str
    bundle_digest: str | None
    states: dict[str, str]


class SeedMatrix(Body, artefact="p4_seed_authority_matrix"):
    """One run for each seed."""

    seeds: list[SeedAuthority]


class SeedGateboard(Body, artefact="p4_seed_gateboard"):
    """The gates of every seed."""

    by_seed: dict[str, list[GateResult]]


class SeedStability(Body, artefact="p4_t10_stability"):
    """T10: every key metric over the seeds, with its CV, and what the seeds share."""

    t10: list[GateResult]
    metrics: FrameRows
    shared_inputs: dict[str, str]


class RuntimeReceipts(Body, artefact="p4_state_runtime_receipts"):
    """Runtime gates with their samples."""

    runtime: list[GateResult]
    samples: list[TimingLine]


class P4Closure(Body, artefact="p4_closure"):
    """P4's closure: the class, the scale it was earned at, and why it is no better one."""

    closure_class: str
    earned_at: str
    short_of_bplus: list[str]


class P4Parameters(OnCertificate):
    """The run that the certificate is kept under, and the runs of the other seeds."""

    panel: RunNames = Field([], description="the runs of the other required seeds")


@dataclass(frozen=True, kw_only=True)
class P4Measured(Measured):
    """Gates of every seed (`scorecards`), and what takes several seeds (`other_gates`).

    Attributes
    ----------
    t10 : stability across seeds
    replay : a replay of the first run
    runtime : runtime gates of states and lanes
    lanes : the samples that the lanes' gates judge
    certificate : the closure class, a pure function of the gates
    """

    t10: GateResult
    replay: GateResult
    runtime: tuple[GateResult, ...]
    lanes: tuple[Sample, ...]
    certificate: CertificateClass

    @property
    def runs(self) -> list[Run]:
        """The run of each seed."""
        return [card.evidence.run for card in self.scorecards]

    @cached_property
    def seeds(self) -> list[SeedAuthority]:
        """Which run stands for which seed."""
        required = self.runs[0].policies.validation.stability.required_seeds
        return [
            SeedAuthority(
                seed=run.receipt.seed,
                required=run.receipt.seed in required,
                run_id=run.run_id,
                manifest_fingerprint=run.receipt.manifest_fingerprint,
                parameter_hash=run.receipt.parameter_hash,
                bundle_digest=run.counters("S5").get("bundle_digest"),
                states={state: "complete" if run.marker(state) else "missing" for state in STATES},
            )
            for run in self.runs
        ]

    @cached_property
    def by_seed(self) -> pl.DataFrame:
        """Key metrics of T10 for a chart: `metric`, `seed` (text), `value`, `cv`; without variation the CV is 0."""
        rows = [
            {"metric": line["metric"], "seed": seed, "value": value, "cv": line["cv"]}
            for line in self.t10.detail.get("metrics", [])
            for seed, value in line["values"].items()
        ]
        return pl.DataFrame(rows, {"metric": str, "seed": str, "value": float, "cv": float})

    @property
    def cv_bounds(self) -> dict[str, float]:
        """T10's bounds as `charts.seed_dots` takes them."""
        return {f"{threshold.level}_max": threshold.value for threshold in self.t10.thresholds}


def measure(subject: Subject[P4Parameters]) -> P4Measured:
    """Score every seed, compare the seeds with each other, replay one, time the lanes."""
    return measured_on([scorecard(run) for run in (subject.run, *subject.others["panel"])])


def measured_on(cards: Sequence[Scorecard]) -> P4Measured:
    """The certificate of scored runs, one for each seed."""
    runs = [card.evidence.run for card in cards]
    policy, scale = runs[0].policies.validation, runs[0].world.scale
    t10, lanes, replayed = stability(cards), _lanes(runs), replay(runs[0])
    runtime = [
        *state_gates(timing_of(runs[0]).repetitions),
        *(runtime_gate(lane.name, list(lane.seconds.values()), scale, policy.runtime) for lane in lanes),
    ]
    several = (t10, replayed, *runtime)
    seeds = [SeedResults(_seed_of(card), card.identity["scale"], card.results) for card in cards]
    return P4Measured(
        scorecards=tuple(cards),
        other_gates=several,
        t10=t10,
        replay=replayed,
        runtime=tuple(runtime),
        lanes=tuple(lanes),
        certificate=certificate_class_of(seeds, several, policy.stability),
    )


def items(measured: P4Measured) -> list[DodItem]:
    """Every hard gate on every required seed, stability, a replay, budgets, an explicit class."""
    cards, several = measured.scorecards, [measured.t10, measured.replay]
    hard = [result.gate_id for result in cards[0].results if result.severity == "hard"]
    return [
        chain_complete("P4.1", measured.runs),
        _panel(measured.runs),
        gates_hold("P4.3", "every hard gate passes on every required seed", cards, hard),
        _stand("P4.4", "key metrics are stable across seeds, and a replay writes the same columns", several),
        _runtime(measured.runtime),
        _class(measured.certificate),
    ]


def conclude(measured: P4Measured, items: Sequence[DodItem]) -> Conclusion:
    """The word is the class."""
    certificate = measured.certificate
    reasons = [f"{certificate.decision.value} at the {certificate.scale} scale", *certificate.reasons]
    return Conclusion(certificate.decision, reasons, next_steps=_next_steps(measured.scorecards, certificate))


def bodies(measured: P4Measured) -> list[Body]:
    """Seeds, their gates, stability, runtime receipts, the class."""
    t10, certificate = measured.t10, measured.certificate
    return [
        SeedMatrix(seeds=measured.seeds),
        SeedGateboard(by_seed={str(_seed_of(card)): list(card.results) for card in measured.scorecards}),
        SeedStability(
            t10=[t10], metrics=t10.detail.get("metrics", []), shared_inputs=t10.detail.get("shared_inputs", {})
        ),
        RuntimeReceipts(runtime=list(measured.runtime), samples=[timing_line("lane", lane) for lane in measured.lanes]),
        P4Closure(
            closure_class=certificate.decision.value,
            earned_at=certificate.scale,
            short_of_bplus=list(certificate.reasons),
        ),
    ]


def sections(measured: P4Measured) -> list[Section]:
    """What takes several runs, and the gates of every seed."""
    rows = [
        (
            result.gate_id,
            result.title,
            result.verdict.value,
            "–" if result.value is None else f"{result.value:.4g} {result.unit}",
            result.reason,
        )
        for result in measured.other_gates
    ]
    return [
        Section("What takes several runs", ("gate", "title", "verdict", "value", "reason"), rows),
        *(gate_section(card, f"Seed {_seed_of(card)}") for card in measured.scorecards),
    ]


def keep(measured: P4Measured) -> None:
    """A certificate keeps its runs from being pruned."""
    for run in measured.runs:
        pin("certification", run)


def _seed_of(card: Scorecard) -> int:
    seed: int = card.identity["seed"]
    return seed


def _lanes(runs: Sequence[Run]) -> list[Sample]:
    """Candidate (one seed), witness (two), certification (all): the k-th repetition of each seed, added up."""
    whole = [timing.together(timing.run.receipt.changed_states) for timing in map(timing_of, runs)]
    sizes = {"candidate": 1, "witness": _WITNESS_SEEDS, "certification": len(runs)}
    lanes = []
    for name, size in sizes.items():
        rounds = list(zip(*(sample.seconds.items() for sample in whole[:size]), strict=False))
        seconds = {first[0]: first[1] + sum(second for _, second in rest) for first, *rest in rounds}
        lanes.append(Sample(name, seconds, sum(sample.whole_run_s for sample in whole[:size])))
    return lanes


def _panel(runs: Sequence[Run]) -> DodItem:
    first, required = runs[0].receipt, runs[0].policies.validation.stability.required_seeds
    seeds = [run.receipt.seed for run in runs]
    problems = [f"seed {seed}: no run; segment5b certify {first.run_id[:8]}" for seed in required if seed not in seeds]
    problems += [f"seed {seed} stands twice" for seed in sorted(set(seeds)) if seeds.count(seed) > 1]
    problems += [
        f"run {run.run_id[:8]} has another {what}"
        for run in runs[1:]
        for what, same in (
            ("world", run.receipt.manifest_fingerprint == first.manifest_fingerprint),
            ("set of policies", run.receipt.parameter_hash == first.parameter_hash),
        )
        if not same
    ]
    text = "one run for each required seed, of one world and one set of policies"
    return item("P4.2", text, problems, f"seeds {', '.join(map(str, seeds))}")


def _stand(name: str, text: str, results: Sequence[GateResult]) -> DodItem:
    problems = [
        f"{result.gate_id} {result.verdict.value}: {result.reason or result.value}"
        for result in results
        if result.verdict not in STANDS
    ]
    values = [
        f"{result.gate_id} {'–' if result.value is None else format(result.value, '.3g')} {result.unit}"
        + (" (not applicable)" if result.verdict is Verdict.NOT_APPLICABLE else "")
        for result in results
    ]
    return item(name, text, problems, ", ".join(values))


def _runtime(results: Sequence[GateResult]) -> DodItem:
    text = "runtime budgets are met"
    if all(result.verdict is Verdict.NOT_APPLICABLE for result in results):
        return not_applicable("P4.5", text, results[0].reason)
    return _stand("P4.5", text, results)


def _class(certificate: CertificateClass) -> DodItem:
    held = list(certificate.reasons) if certificate.decision is Decision.HOLD_REMEDIATE else []
    evidence = f"{certificate.decision.value}, earned at the {certificate.scale} scale"
    return item("P4.6", "the closure class is explicit", held, evidence)


def _next_steps(cards: Sequence[Scorecard], certificate: CertificateClass) -> NextSteps:
    if certificate.decision is not Decision.HOLD_REMEDIATE:
        freeze = command("phase", "P5", cards[0].identity["run_id"][:8])
        return one_step("freeze", ["P5"], command("prune", "--yes"), freeze)
    return NextSteps(tuple(step for card in cards for step in next_steps(card).steps))


PHASE: Final = Phase(
    name="P4",
    question="Does it hold on every required seed?",
    notebook="p4_certification",
    after=("P3",),
    hold=Decision.HOLD_REMEDIATE,
    parameters=P4Parameters,
    artefacts=(SeedMatrix, SeedGateboard, SeedStability, RuntimeReceipts, P4Closure),
    pages=(P4Closure.ARTEFACT,),
    roles=lambda run, parameters: {"panel": [find_run(name) for name in parameters.panel]},
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    sections=sections,
    evidence=SCORED_DATASETS,
    effects=keep,
)
