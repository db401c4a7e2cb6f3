"""P4: does it hold on every required seed? One run each; the class is a pure function of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from segment5b_lib.contract.words import Decision, Verdict
from segment5b_lib.engine.retention import pin
from segment5b_lib.gates.a06_replay import replay
from segment5b_lib.gates.closing import ClosureClass, SeedResults, close
from segment5b_lib.gates.results import GateResult
from segment5b_lib.gates.runtime import runtime_gate, state_gates
from segment5b_lib.gates.saved import scorecard
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.t10_stability import stability
from segment5b_lib.gates.table import EVIDENCE
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem, gate_lines
from segment5b_lib.phases.engine.legacy import Finding, Phase, conduct
from segment5b_lib.phases.engine.page import Section, gate_section
from segment5b_lib.phases.engine.phase import item, not_applicable
from segment5b_lib.phases.engine.repair import NextStep, NextSteps, next_steps
from segment5b_lib.phases.engine.shared_items import STANDS, chain_complete, gates_hold
from segment5b_lib.phases.p4_artefacts import (
    Closing,
    RuntimeReceipts,
    SeedGateboard,
    SeedMatrix,
    Stability,
    gates_by_seed,
    seed_lines,
)
from segment5b_lib.phases.popt_timing import Sample, timing_line, timing_of
from segment5b_lib.store.runs import Run

PHASE: Final = Phase(
    name="P4",
    question="Does it hold on every required seed?",
    after=("P3",),
    hold=Decision.HOLD_REMEDIATE,
    artefacts=(SeedMatrix, SeedGateboard, Stability, RuntimeReceipts, Closing),
    pages=(Closing.ARTEFACT,),
)
_WITNESS_SEEDS: Final = 2


def execute(run: Run, *, panel: Sequence[Run], what_if: bool = False) -> Closure:
    """Certify a run together with the runs of the other required seeds; a certificate keeps them from being pruned."""
    closure = conduct(
        PHASE,
        run,
        lambda: examine([scorecard(one) for one in (run, *panel)]),
        others={"panel": panel},
        evidence=EVIDENCE,
        what_if=what_if,
    )
    if closure.decision.opens and not what_if:
        for one in (run, *panel):
            pin("certification", one)
    return closure


def examine(cards: Sequence[Scorecard]) -> Finding:
    """Gates of every seed, what takes several seeds, and the class."""
    runs = [card.evidence.run for card in cards]
    policy, scale = runs[0].policies.validation, runs[0].world.scale
    t10, lanes = stability(cards), _lanes(runs)
    runtime = [
        *state_gates(timing_of(runs[0]).repetitions),
        *(runtime_gate(lane.name, list(lane.seconds.values()), scale, policy.runtime) for lane in lanes),
    ]
    demanded = [t10, replay(runs[0]), *runtime]
    found = close([_seed(card) for card in cards], demanded, policy.stability)
    return Finding(
        items=_items(cards, demanded, found),
        opens=found.decision,
        reasons=[f"{found.decision.value} at the {found.scale} scale", *found.reasons],
        gates=[*cards[0].results, *demanded],
        own={
            SeedMatrix: {"seeds": seed_lines(runs, policy.stability.required_seeds)},
            SeedGateboard: {"by_seed": gates_by_seed(cards)},
            Stability: {
                "t10": gate_lines([t10]),
                "metrics": t10.detail.get("metrics", []),
                "shared_inputs": t10.detail.get("shared_inputs", {}),
            },
            RuntimeReceipts: {
                "runtime": gate_lines(runtime),
                "samples": [timing_line("lane", lane) for lane in lanes],
            },
            Closing: {
                "closure_class": found.decision.value,
                "earned_at": found.scale,
                "short_of_bplus": list(found.reasons),
            },
        },
        sections=[_demanded_section(demanded), *(gate_section(card, f"Seed {_seed_of(card)}") for card in cards)],
        next_steps=_next_steps(cards, found),
        scorecards=cards,
    )


def _seed(card: Scorecard) -> SeedResults:
    return SeedResults(_seed_of(card), card.identity["scale"], card.results)


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
        seconds = {first[0]: first[1] + sum(one for _, one in rest) for first, *rest in rounds}
        lanes.append(Sample(name, seconds, sum(sample.whole_run_s for sample in whole[:size])))
    return lanes


def _items(cards: Sequence[Scorecard], demanded: Sequence[GateResult], found: ClosureClass) -> list[DodItem]:
    runs = [card.evidence.run for card in cards]
    runtime = [result for result in demanded if result.gate_id.startswith("R-")]
    hard = [result.gate_id for result in cards[0].results if result.severity == "hard"]
    several = [result for result in demanded if result not in runtime]
    return [
        chain_complete("P4.1", runs),
        _panel(runs),
        gates_hold("P4.3", "every hard gate passes on every required seed", cards, hard),
        _stand("P4.4", "key metrics are stable across seeds, and a replay writes the same columns", several),
        _runtime(runtime),
        _class(found),
    ]


def _panel(runs: Sequence[Run]) -> DodItem:
    first, required = runs[0].receipt, runs[0].policies.validation.stability.required_seeds
    seeds = [run.receipt.seed for run in runs]
    open_points = [
        f"seed {seed}: no run; segment5b certify {first.run_id[:8]}" for seed in required if seed not in seeds
    ]
    open_points += [f"seed {seed} stands twice" for seed in sorted(set(seeds)) if seeds.count(seed) > 1]
    open_points += [
        f"run {run.run_id[:8]} has another {what}"
        for run in runs[1:]
        for what, same in (
            ("world", run.receipt.manifest_fingerprint == first.manifest_fingerprint),
            ("set of policies", run.receipt.parameter_hash == first.parameter_hash),
        )
        if not same
    ]
    text = "one run for each required seed, of one world and one set of policies"
    return item("P4.2", text, open_points, f"seeds {', '.join(map(str, seeds))}")


def _stand(name: str, text: str, results: Sequence[GateResult]) -> DodItem:
    open_points = [
        f"{result.gate_id} {result.verdict.value}: {result.reason or result.value}"
        for result in results
        if result.verdict not in STANDS
    ]
    said = [
        f"{result.gate_id} {'–' if result.value is None else format(result.value, '.3g')} {result.unit}"
        + (" (not applicable)" if result.verdict is Verdict.NOT_APPLICABLE else "")
        for result in results
    ]
    return item(name, text, open_points, ", ".join(said))


def _runtime(results: Sequence[GateResult]) -> DodItem:
    text = "runtime budgets are met"
    if all(result.verdict is Verdict.NOT_APPLICABLE for result in results):
        return not_applicable("P4.5", text, results[0].reason)
    return _stand("P4.5", text, results)


def _class(found: ClosureClass) -> DodItem:
    held = list(found.reasons) if found.decision is Decision.HOLD_REMEDIATE else []
    evidence = f"{found.decision.value}, earned at the {found.scale} scale"
    return item("P4.6", "the closure class is explicit", held, evidence)


def by_seed(closure: Closure) -> pl.DataFrame:
    """Key metrics of T10 for a chart: `metric`, `seed` (text), `value`, `cv`; metrics without variation have CV 0."""
    rows = [
        {"metric": line["metric"], "seed": seed, "value": value, "cv": line["cv"]}
        for line in closure.own["p4_t10_stability"]["metrics"]
        for seed, value in line["values"].items()
    ]
    schema = {"metric": pl.String, "seed": pl.String, "value": pl.Float64, "cv": pl.Float64}
    return pl.DataFrame(rows, schema=schema)


def cv_bounds(closure: Closure) -> dict[str, float]:
    """T10's bounds as `seed_dots` takes them."""
    (t10,) = closure.own["p4_t10_stability"]["t10"]
    return {f"{line.level}_max": line.value for line in t10.thresholds}


def _next_steps(cards: Sequence[Scorecard], found: ClosureClass) -> NextSteps:
    if found.decision is not Decision.HOLD_REMEDIATE:
        command = f"segment5b prune --yes && segment5b phase P5 {cards[0].identity['run_id'][:8]}"
        return NextSteps((NextStep("freeze", ("P5",), command),))
    return NextSteps(tuple(step for card in cards for step in next_steps(card).steps))


def _demanded_section(demanded: Sequence[GateResult]) -> Section:
    rows = [
        (
            result.gate_id,
            result.title,
            result.verdict.value,
            "–" if result.value is None else f"{result.value:.4g} {result.unit}",
            result.reason,
        )
        for result in demanded
    ]
    return Section("What takes several runs", ("gate", "title", "verdict", "value", "reason"), rows)
