"""T10: the key metrics do not depend on the seed.

Value: the largest coefficient of variation, sd (ddof 1) ÷ mean, of T1, T2, T6, T7, T9 and the observed weekend share
over any set of runs with distinct seeds. A metric whose values all lie below `floor_share` of its B+ bound has none; a
metric that a run does not have fails the gate. Population: runs. Source: plan §3.3.

Thresholds: validation_policy_5B.yaml, gates.T10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any, Final

from segment5b_lib.contract.verdicts import GateResult, Measurement, not_measured
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group
from segment5b_lib.gates.scorecard import Scorecard

KEY_METRICS: Final = ("T1", "T2", "T6", "T7", "T9", "weekend share")
_SHARED: Final = {"manifest_fingerprint": "world", "parameter_hash": "policies", "posture": "posture", "scale": "scale"}


def stability(cards: Sequence[Scorecard]) -> GateResult:
    """T10 over the runs of some scorecards, by the policy of the first."""
    policy = cards[0].evidence.policy
    return GATES[0].judged(_measure(cards), policy, f"{__name__}.stability")


def _measure(cards: Sequence[Scorecard]) -> Measurement:
    seeds = [card.identity["seed"] for card in cards]
    if len(set(seeds)) < max(len(seeds), 2):
        return not_measured(f"variation takes two runs or more, each with a seed of its own; seeds {seeds}", "runs")
    policy = cards[0].evidence.policy
    lines = [_line(name, cards, policy.stability.floor_share) for name in KEY_METRICS]
    missing = [f"{line['metric']} on seed {seed}" for line in lines for seed in line["missing_on_seeds"]]
    known = [line for line in lines if line["cv"] is not None]
    value, worst = max(((line["cv"], line["metric"]) for line in known), default=(None, None))
    detail = {"metrics": lines, "seeds": seeds, **_inputs(cards), "worst_metric": worst}
    ruling, reason = (Verdict.FAIL, f"not measured: {', '.join(missing)}") if missing else (None, "")
    return Measurement(value, len(cards), "runs", detail, ruling, reason)


def _line(name: str, cards: Sequence[Scorecard], floor_share: float) -> dict[str, Any]:
    """One metric over the seeds: its values, floor and CV."""
    values = {card.identity["seed"]: _value(name, card) for card in cards}
    known = [value for value in values.values() if value is not None]
    floor = _floor(name, cards[0], floor_share)
    return {
        "metric": name,
        "values": {str(seed): value for seed, value in values.items()},
        "floor": floor,
        "cv": _variation(known, floor) if len(known) > 1 else None,
        "missing_on_seeds": [seed for seed, value in values.items() if value is None],
    }


def _value(name: str, card: Scorecard) -> float | None:
    return card.result("T8").detail.get("observed") if name == "weekend share" else card.result(name).value


def _floor(name: str, card: Scorecard, floor_share: float) -> float:
    """Below it a metric is as good as 0; the weekend share itself has no bound, and so no floor."""
    if name == "weekend share":
        return 0.0
    bounds = [entry.value for entry in card.result(name).thresholds if (entry.level, entry.bound) == ("bplus", "max")]
    return floor_share * max(bounds, default=0.0)


def _variation(values: Sequence[float], floor: float) -> float:
    if all(abs(value) < floor for value in values):
        return 0.0
    centre, spread = mean(values), stdev(values)
    return spread / abs(centre) if centre else math.inf if spread else 0.0


def _inputs(cards: Sequence[Scorecard]) -> dict[str, Any]:
    """What the seeds have in common, and what else than the seed sets them apart."""
    values = {name: {str(card.identity[key]) for card in cards} for key, name in _SHARED.items()}
    return {
        "shared_inputs": {name: next(iter(texts)) for name, texts in values.items() if len(texts) == 1},
        "inputs_that_differ": {name: sorted(texts) for name, texts in values.items() if len(texts) > 1},
    }


GATES: Final = (
    Gate(
        gate_id="T10",
        title="Stability across seeds",
        unit="cv",
        formula="largest coefficient of variation (ddof 1) of the key metrics T1, T2, T6, T7, T9 and the weekend share",
        evidence=(ARRIVALS,),
        owner="S2",
        cause="a key metric moves with the seed, whose largest effect is on the latent field",
        group=Group.STABILITY,
    ),
)
