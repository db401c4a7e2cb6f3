"""Gate results and scorecards out of thin air, for what is decided over several runs."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.contract.verdicts import GateResult, Measurement
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import GATES, gate
from segment5b_lib.store.postures import load_posture

GREEN = {
    "T1": 0.0, "T1.settlement": 0.0, "T1.operational": 0.0, "T2": 0.0, "T3": 0.1, "T4": 0.0, "T5": 0.0, "T6": 0.6,
    "T7": 0.06, "T8": 0.05, "T9": 1.4, "T11": 1.0, "T12": 1.0, "A1": 0.0, "A1.duplicates": 0.5, "A1.offsets": 0.5,
    "A2": 1.0, "A2.profile": 0.0, "A3": 0.5, "A4": 0.5, "A5": 0.5, "A5.window": 0.0, "A5.order": 0.0,
}  # fmt: skip
"""A value at B+ for every gate of a scorecard."""


@cache
def policy() -> ValidationPolicy:
    """The shipped one; a scorecard asks for it once per gate, and reading it takes longer than judging."""
    return load_posture("published").validation


def made_up(gate_id: str, value: float | None, verdict: Verdict | None = None) -> GateResult:
    """A result of this value, judged by the shipped policy unless a verdict is given."""
    detail = {"observed": 0.28} if gate_id == "T8" else {}
    return gate(gate_id).judged(Measurement(value, 10, "things", detail, verdict), policy(), "made up")


def results(**verdicts: Any) -> tuple[GateResult, ...]:
    """A whole scorecard at B+, but for some gates: a value, or a verdict. `T1_settlement` is `T1.settlement`."""
    changed = {name.replace("_", "."): entry for name, entry in verdicts.items()}
    return tuple(
        made_up(entry.gate_id, None, changed[entry.gate_id])
        if isinstance(changed.get(entry.gate_id), Verdict)
        else made_up(entry.gate_id, changed.get(entry.gate_id, GREEN[entry.gate_id]))
        for entry in GATES
    )


def card(seed: int, found: tuple[GateResult, ...], **identity: Any) -> Scorecard:
    who = {"run_id": f"{seed:032x}", "seed": seed, "parameter_hash": "p", "manifest_fingerprint": "m"}
    who |= {"posture": "remediated", "scale": "authority", **identity}
    evidence: Any = SimpleNamespace(policy=policy())
    return Scorecard(who, found, (), evidence)
