"""Proof that thresholds decide: S5 judges the same evidence again, with one threshold moved past what it measured."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from segment5b_lib.phases.p3_artefacts import Mutation
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5.check import Bound, Check
from segment5b_lib.states.s5.inputs import Evidence, gather
from segment5b_lib.states.s5.validation import SPEC, judge
from segment5b_lib.store.postures import with_changes
from segment5b_lib.store.runs import Run

GATE_KEYS: Final = "gates."


def mutations(run: Run) -> list[Mutation]:
    """Move every gate threshold that S5 consumes, one at a time. Reads the run; writes nothing."""
    evidence = gather(Context(run, SPEC, os.cpu_count() or 1))
    return [
        _moved(evidence, check, bound, side, value)
        for check in judge(evidence)
        for bound in check.bounds
        if bound.key.startswith(GATE_KEYS)
        for side, value in bound.limit.model_dump(exclude_none=True).items()
    ]


def _moved(evidence: Evidence, check: Check, bound: Bound, side: str, value: float) -> Mutation:
    key = f"{bound.key}.{side}"
    common: dict[str, Any] = {"check_id": check.check_id, "policy_key": bound.key, "bound": side, "value": value}
    before = check.status.value
    if check.value is None:
        return Mutation(**common, mutated=value, before=before, after=before, note="nothing was measured")
    mutated = math.nextafter(check.value, -math.inf if side == "max" else math.inf)
    policies = with_changes(evidence.policies, {f"validation.{key}": mutated})
    (again,) = [found for found in judge(replace(evidence, policies=policies)) if found.check_id == check.check_id]
    note = "" if check.detail.get("arrivals_needed") is None else check.message
    return Mutation(**common, mutated=mutated, before=before, after=again.status.value, note=note)


def watched_gates(check: dict[str, Any]) -> Iterator[str]:
    """Gates whose thresholds a check of the report is held against."""
    for threshold in check["thresholds"]:
        if threshold["policy_key"].startswith(GATE_KEYS):
            yield threshold["policy_key"].split(".")[1]
