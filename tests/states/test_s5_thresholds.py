"""Every key of the validation policy that S5 consumes, moved alone, moves the word of a check; and none is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.strict import Strict
from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5.check import Check
from segment5b_lib.states.s5.inputs import CheckInputs, gather
from segment5b_lib.states.s5.part_audit import sampled_parts
from segment5b_lib.states.s5.validation import SPEC, all_checks
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.runs import Run
from tests.arrivals import under

STRICT = {"civil_time_enforcement": "fail_closed"}
B = {"calibration_sentinels.evaluation_mode": "enforce_b"}
BPLUS = {"calibration_sentinels.evaluation_mode": "enforce_bplus"}
ANYTHING = {"min": -1e9, "max": 1e9}


class Move(NamedTuple):
    """Under `base` a check of one of the two runs says `before`; with the key at `value` it says `after`."""

    run: str
    check_id: str
    base: Mapping[str, Any]
    before: str
    value: Any
    after: str


def published(check_id: str, base: Mapping[str, Any], value: Any) -> Move:
    """The run with wrong clocks: under `base` (lenient) it passes, with `value` (strict) it does not."""
    return Move("published", check_id, {**STRICT, **base}, "pass", value, "fail")


def corrected(check_id: str, value: Any, base: Mapping[str, Any] | None = None, after: str = "fail") -> Move:
    return Move("corrected", check_id, {**STRICT, **(base or {})}, "pass", value, after)


def sentinel(gate: str, check_id: str, level: str, value: Any, *, severity: str = "hard") -> Move:
    """A gate whose two levels are wide open, until one bound of one level is closed."""
    wide = {f"gates.{gate}.{each}": ANYTHING for each in ("b", "bplus")} | {f"gates.{gate}.severity": severity}
    mode = B if level == "b" else BPLUS
    return Move("corrected", f"{gate}_{check_id}", mode | wide, "pass", value, "fail" if severity == "hard" else "warn")


def both_sides(gate: str, check_id: str, *, severity: str) -> dict[str, Move]:
    return {
        f"gates.{gate}.{level}.{side}": sentinel(gate, check_id, level, value, severity=severity)
        for level in ("b", "bplus")
        for side, value in (("min", 1e8), ("max", -1e8))
    }


def severity(gate: str, check_id: str) -> Move:
    closed = {f"gates.{gate}.b": {"max": -1.0}, f"gates.{gate}.severity": "hard"}
    return Move("corrected", f"{gate}_{check_id}", B | closed, "fail", "major", "warn")


SUPPORT = "civil_time.dst_window_min_"
MOVES: dict[str, Move] = {
    "civil_time_enforcement": Move("published", "CIVIL_MISMATCH", {}, "advisory", "fail_closed", "fail"),
    "civil_time.tolerance_seconds": published("CIVIL_MISMATCH", {"civil_time.tolerance_seconds": 1e6}, 0.5),
    "civil_time.dst_window_hours": corrected("DST_SUPPORT", 1),
    f"{SUPPORT}support": corrected("HOUR_BIN_MAE", 10**9),
    f"{SUPPORT}exposed_windows": corrected("DST_WINDOWS", 1000),
    f"{SUPPORT}total_support": corrected("DST_SUPPORT", 10**9),
    "civil_time.horizon_margin_days": corrected("HORIZON_GUARD", 1500),
    "calibration_sentinels.evaluation_mode": Move(
        "corrected", "T6_TOP10_ZONES", {"gates.T6.b": {"max": 0.0}}, "advisory", "enforce_b", "fail"
    ),
    "failure_policy.max_warnings": Move(
        "corrected", "WARNINGS",
        {**B, "gates.T6.b": ANYTHING, "gates.T7.b": ANYTHING, "gates.T9.b": {"max": 0.0},
         "failure_policy.max_warnings": 2},
        "pass", 0, "fail",
    ),
    "count_shape.min_nonzero_fraction": corrected("NONZERO_FRACTION", 0.9),
    "count_shape.min_p99_over_p50": corrected("COUNT_TAIL", 1e6),
    "count_shape.min_distinct_offsets_per_1000": corrected("OFFSET_VARIETY", 1001),
    "gates.T1.b.max": published("CIVIL_MISMATCH", {"gates.T1.b": {"max": 1.0}}, 0.005),
    "gates.T2.b.max": published("ONE_HOUR_MASS", {"gates.T2.b": {"max": 1.0}}, 0.001),
    "gates.T3.b.max": published("HOUR_BIN_MAE", {}, 1e-6),
    "gates.T4.b.max": corrected("CONSERVATION", -1),
    "gates.T11.b.min": published("HORIZON_GUARD", {"gates.T11.b": {"min": 0.0}}, 1.0),
    "gates.T12.b.min": published("LOCAL_TIME_CONTRACT", {"gates.T12.b": {"min": 0.0}}, 1.0),
    "gates.T6.b.max": sentinel("T6", "TOP10_ZONES", "b", 0.01),
    "gates.T6.bplus.max": sentinel("T6", "TOP10_ZONES", "bplus", 0.01),
    **both_sides("T7", "VIRTUAL_SHARE", severity="hard"),
    **both_sides("T9", "DISPERSION", severity="major"),
    # So few arrivals cannot tell a small limit from none: S5 says that, and asks for more.
    **{
        f"gates.T8.{level}.max": Move(
            "corrected", "T8_WEEKEND", mode | {f"gates.T8.{each}": {"max": 50.0} for each in ("b", "bplus")},
            "pass", 1e-9, "advisory",
        )
        for level, mode in (("b", B), ("bplus", BPLUS))
    },
    "gates.T6.severity": severity("T6", "TOP10_ZONES"),
    "gates.T7.severity": severity("T7", "VIRTUAL_SHARE"),
    "gates.T8.severity": Move(
        "corrected", "T8_WEEKEND", B | {"gates.T8.b": {"max": -50.0}, "gates.T8.severity": "hard"},
        "fail", "major", "warn",
    ),
    "gates.T9.severity": severity("T9", "DISPERSION"),
}  # fmt: skip
SAMPLE = {
    "sampling.seed": 6,
    "sampling.rows_per_dst_window": 10,
    "sampling.rows_elsewhere": 100,
    "sampling.parts": 7,
}
"""Keys of no verdict: they say which rows and how many are looked at."""


def changed(run: Run, changes: Mapping[str, Any]) -> Policies:
    return with_changes(run.policies, {f"validation.{key}": value for key, value in changes.items()})


def leaves(node: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


@pytest.fixture(scope="module")
def runs(published_run: Run, civil_time_run: Run) -> dict[str, Run]:
    return {"published": published_run, "corrected": civil_time_run}


@pytest.fixture(scope="module")
def gathered(runs: dict[str, Run]) -> dict[str, CheckInputs]:
    """The evidence of both runs as their own policies gather it; what only judges need not gather again."""
    return {name: gather(Context(run, SPEC, 2)) for name, run in runs.items()}


def check_of(evidence: CheckInputs, policies: Policies, check_id: str) -> Check:
    """A check under other policies. Windows and samples are drawn anew where the policies say so."""
    plans = [(node.sampling, node.civil_time.dst_window_hours) for node in (policies.validation, own(evidence))]
    if plans[0] != plans[1]:
        evidence = gather(Context(under(evidence.context.run, policies), SPEC, 2))
    (found,) = [check for check in all_checks(replace(evidence, policies=policies)) if check.check_id == check_id]
    return found


def own(evidence: CheckInputs) -> ValidationPolicy:
    return evidence.context.run.policies.validation


@pytest.mark.parametrize("key", MOVES)
def test_a_moved_threshold_moves_the_verdict(gathered: dict[str, CheckInputs], key: str) -> None:
    move = MOVES[key]
    evidence = gathered[move.run]
    before = check_of(evidence, changed(evidence.context.run, move.base), move.check_id)
    after = check_of(evidence, changed(evidence.context.run, {**move.base, **moved(move, key)}), move.check_id)
    assert (before.status.value, after.status.value) == (move.before, move.after)
    if key.startswith(("gates.", "count_shape.", "failure_policy.")) and not key.endswith("severity"):
        stem = key.removesuffix(".min").removesuffix(".max")
        assert stem in {bound.policy_key for bound in after.bounds}


def moved(move: Move, key: str) -> dict[str, Any]:
    """The key at its new value; the other side of a limit stays open."""
    *stem, side = key.split(".")
    if key.startswith("gates.") and side in ("min", "max"):
        return {".".join(stem): {side: move.value}}
    return {key: move.value}


@pytest.mark.parametrize("key", SAMPLE)
def test_a_changed_sample_is_another_sample(gathered: dict[str, CheckInputs], key: str) -> None:
    evidence = gathered["corrected"]
    policies = changed(evidence.context.run, {key: SAMPLE[key]})
    if key == "sampling.parts":
        many = evidence.scenarios[0].parts * 8
        assert len(sampled_parts(many, own(evidence).sampling)) == own(evidence).sampling.parts != SAMPLE[key]
        assert len(sampled_parts(many, policies.validation.sampling)) == SAMPLE[key]
        return
    again = gather(Context(under(evidence.context.run, policies), SPEC, 2))
    first, second = (found.scenarios[0].clock.rows["rank"].tolist() for found in (evidence, again))
    assert first != second
    assert (len(second) < 0.9 * len(first)) == (key != "sampling.seed")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """(model, field) pairs that are looked at while the test runs."""
    found: set[tuple[str, str]] = set()

    def watched(self: Strict, name: str) -> Any:
        if name in type(self).model_fields:
            found.add((type(self).__name__, name))
        return object.__getattribute__(self, name)

    monkeypatch.setattr(Strict, "__getattribute__", watched, raising=False)
    return found


def consumed(node: BaseModel, seen: set[tuple[str, str]], path: str = "") -> Iterator[str]:
    """Keys below `node` that were looked at, each gate's limits aside: all gates share one model."""
    for name in type(node).model_fields:
        value = getattr(node, name)
        if isinstance(value, BaseModel):
            yield from consumed(value, seen, f"{path}{name}.")
        elif not isinstance(value, dict) and (type(node).__name__, name) in seen:
            yield f"{path}{name}"


def test_every_key_that_s5_consumes_has_its_row(runs: dict[str, Run], seen: set[tuple[str, str]]) -> None:
    """Looked at by S5, or named as a bound of one of its checks: then it has a row above, and no other key has."""
    wanted: set[str] = set()
    for name, mode in (("published", B), ("corrected", BPLUS)):
        policies = changed(runs[name], mode)
        seen.clear()
        checks = all_checks(gather(Context(under(runs[name], policies), SPEC, 2)))
        looked_at = frozenset(seen)
        wanted |= set(consumed(policies.validation, set(looked_at)))
        bounds = {bound for check in checks for bound in check.bounds if bound.policy_key.startswith("gates.")}
        wanted |= {f"{bound.policy_key}.{side}" for bound in bounds for side, _ in bound.sides()}
        sentinels = {bound.policy_key.split(".")[1] for bound in bounds if bound.policy_key.endswith("bplus")}
        wanted |= {f"gates.{gate}.severity" for gate in sentinels}
    # One value only: no switch.
    wanted -= {"failure_policy.mode"}
    known = set(leaves(load_posture("published").document("validation")))
    assert wanted == (set(MOVES) | set(SAMPLE)) and wanted <= known
