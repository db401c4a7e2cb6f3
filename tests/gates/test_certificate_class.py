"""The classes of a certificate, rule by rule: one thing wrong at a time, and the class it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Decision, Verdict
from segment5b_lib.errors import UsageError
from segment5b_lib.gates.certificate_class import CertificateClass, SeedResults, Waiver, certificate_class_of
from segment5b_lib.gates.runtime import RUNTIME_STATES, SEED_SETS, runtime_gate
from tests.gates.made_up import made_up, policy, results

SEEDS = (42, 7, 101, 202)
FAIL, POWERLESS, SILENT = Verdict.FAIL, Verdict.INSUFFICIENT_POWER, Verdict.NOT_MEASURED


def demanded(scale: str = "authority", t10: float = 0.1, a6: float = 0.0, **seconds: float) -> list[GateResult]:
    times = {name: seconds.get(name, 1.0) for name in (*RUNTIME_STATES, *SEED_SETS)}
    runtime = [runtime_gate(name, [value] * 3, scale, policy().runtime) for name, value in times.items()]
    return [made_up("T10", t10), made_up("A6", a6), *runtime]


def closed(
    scale: str = "authority", waivers: tuple[Waiver, ...] = (), others: Any = None, **one: Any
) -> CertificateClass:
    """Four green seeds, but for some gates of seed 7."""
    seeds = [SeedResults(seed, scale, results(**(one if seed == 7 else {}))) for seed in SEEDS]
    return certificate_class_of(seeds, demanded(scale) if others is None else others, policy().stability, waivers)


def test_everything_at_bplus_is_robust() -> None:
    found = closed()
    assert found == CertificateClass(Decision.PASS_BPLUS_ROBUST, (), "authority", ())


def test_small_worlds_close_without_budgets_and_say_their_scale() -> None:
    assert closed("small").decision is Decision.PASS_BPLUS_ROBUST
    assert closed("small").scale == "small"
    assert closed("tiny").decision is Decision.HOLD_REMEDIATE
    assert closed("tiny").reasons == ("a tiny world cannot be certified",)


@pytest.mark.parametrize(
    ("one", "decision"),
    [
        ({"T6": 0.7}, Decision.PASS_B),
        ({"T7": 0.04}, Decision.PASS_B),
        ({"T7": 0.09}, Decision.HOLD_REMEDIATE),
        ({"T1": 0.01}, Decision.HOLD_REMEDIATE),
        ({"T1": SILENT}, Decision.HOLD_REMEDIATE),
        ({"T3": POWERLESS}, Decision.HOLD_REMEDIATE),
        ({"T3": Verdict.NOT_APPLICABLE}, Decision.PASS_BPLUS_ROBUST),
        ({"T8": 0.3}, Decision.HOLD_REMEDIATE),
        ({"T8": 0.15}, Decision.PASS_BPLUS_ROBUST),
        ({"T8": POWERLESS}, Decision.PASS_BPLUS_ROBUST),
        ({"T9": SILENT}, Decision.HOLD_REMEDIATE),
        ({"A2": 0.5}, Decision.HOLD_REMEDIATE),
        ({"A4": POWERLESS}, Decision.HOLD_REMEDIATE),
        ({"A4": SILENT}, Decision.HOLD_REMEDIATE),
    ],
)
def test_one_gate_of_one_seed_decides(one: dict[str, Any], decision: Decision) -> None:
    found = closed(**one)
    assert found.decision is decision
    if decision is not Decision.PASS_BPLUS_ROBUST:
        assert len(found.reasons) == 1
        assert found.reasons[0].startswith(f"seed 7: {next(iter(one))} ")


def test_an_audit_gate_needs_power_from_the_medium_world_on() -> None:
    assert closed("small", A4=POWERLESS).decision is Decision.PASS_BPLUS_ROBUST
    assert closed("medium", A4=POWERLESS).decision is Decision.HOLD_REMEDIATE
    assert closed("small", A4=FAIL).decision is Decision.HOLD_REMEDIATE


@pytest.mark.parametrize(
    ("others", "decision"),
    [
        (demanded(t10=0.2), Decision.PASS_B),
        (demanded(t10=0.3), Decision.HOLD_REMEDIATE),
        (demanded(a6=1.0), Decision.HOLD_REMEDIATE),
        (demanded(S4=250.0), Decision.HOLD_REMEDIATE),
        (demanded(certification=1900.0), Decision.HOLD_REMEDIATE),
        (demanded()[:-1], Decision.HOLD_REMEDIATE),
        (demanded()[1:], Decision.HOLD_REMEDIATE),
    ],
)
def test_stability_replay_and_budgets(others: list[GateResult], decision: Decision) -> None:
    found = closed(others=others)
    assert (found.decision, len(found.reasons)) == (decision, 1)


def test_every_required_seed_once_and_at_one_scale() -> None:
    green = {seed: SeedResults(seed, "authority", results()) for seed in SEEDS}
    missing = certificate_class_of([green[seed] for seed in SEEDS[:3]], demanded(), policy().stability)
    assert missing.reasons == ("seed 202: no run",)
    twice = certificate_class_of([*green.values(), green[7]], demanded(), policy().stability)
    assert twice.reasons == ("seed 7: 2 runs",)
    mixed = certificate_class_of([*green.values(), SeedResults(1, "small", results())], demanded(), policy().stability)
    assert mixed.reasons == ("the runs are of different scales: authority, small",)
    assert {found.decision for found in (missing, twice, mixed)} == {Decision.HOLD_REMEDIATE}


def test_a_waiver_opens_b_and_never_bplus() -> None:
    waiver = Waiver("T7", "physical-first is pinned", "popt3_closure")
    found = closed(waivers=(waiver,), T7=0.01)
    assert (found.decision, found.waived) == (Decision.PASS_B, (waiver,))
    assert any("physical-first" in reason for reason in found.reasons)
    for other in (Waiver("T1", "late", "note"), Waiver("T7", "", "note"), Waiver("T7", "reason", "")):
        with pytest.raises(UsageError, match="NOT_WAIVABLE"):
            closed(waivers=(other,))
