"""Every failed gate has exactly one owner, and the owner follows from what else failed."""

from __future__ import annotations

import itertools

import pytest

from segment5b_lib.contract.colours import STATUS_COLOURS, VERDICT_COLOURS
from segment5b_lib.contract.verdicts import GateResult, Threshold
from segment5b_lib.contract.words import STATES, ItemStatus, Verdict
from segment5b_lib.gates.attribution import RULES, attribute
from segment5b_lib.gates.table import CROSS_RUN_GATES, GATES
from segment5b_lib.gates.wording import distance_text, threshold_text, value_text

EVERY = (*GATES, *CROSS_RUN_GATES)


def result(gate_id: str, verdict: Verdict) -> GateResult:
    return GateResult(gate_id, "", "hard", verdict, None, "share", None, "", (), {}, "", "test")


def owners(*failed: str, bound_to_row: bool = True, hybrid: int = 3) -> dict[str, tuple[str, str]]:
    results = [result(g.gate_id, Verdict.FAIL if g.gate_id in failed else Verdict.PASS_B) for g in EVERY]
    return {
        entry.gate_id: (entry.owner, entry.rerun[0]) for entry in attribute(results, hybrid, bound_to_row=bound_to_row)
    }


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (("T1", "T2", "T11", "T12"), {"T1": "2A", "T2": "2A", "T11": "2A", "T12": "S4"}),
        (("T1", "T2", "T12"), {"T1": "S4", "T2": "S4", "T12": "S4"}),
        (("T1.operational",), {"T1.operational": "S4"}),
        (("T11",), {"T11": "2A"}),
        (("T8", "T1", "T11"), {"T8": "2A", "T1": "2A", "T11": "2A"}),
        (("T9",), {"T9": "S3"}),
        (("A1", "A1.duplicates"), {"A1": "S4 streams", "A1.duplicates": "S4 streams"}),
        (("A2", "A2.profile"), {"A2": "S4 routing", "A2.profile": "S4 routing"}),
        (("A2.profile",), {"A2.profile": "S3"}),
        (("A3", "A4"), {"A3": "S3", "A4": "S4 routing"}),
        (("A5", "A5.order", "A6"), {"A5": "S4", "A5.order": "S4", "A6": "S4"}),
        (("T10",), {"T10": "S2"}),
        (("R-S2", "R-witness"), {"R-S2": "S2", "R-witness": "S4"}),
        ((), {}),
    ],
)
def test_owner_follows_from_the_pattern_of_failures(failed: tuple[str, ...], expected: dict[str, str]) -> None:
    assert {gate: owner for gate, (owner, _) in owners(*failed).items()} == expected


def test_concentration_and_online_share_depend_on_the_routing() -> None:
    assert owners("T6", bound_to_row=False)["T6"] == ("S4 routing", "S4")
    assert owners("T6")["T6"] == ("S2 zone mix", "S2")
    assert owners("T7", hybrid=0)["T7"] == ("3B", "S0")
    assert owners("T7", hybrid=1)["T7"] == ("S4 routing", "S4")


def test_dispersion_after_calibration_is_an_over_correction() -> None:
    (found,) = attribute([result("T9", Verdict.FAIL)], 3, bound_to_row=True, calibrated=True)
    assert (found.owner, found.rerun[0]) == ("S2 zone mix", "S2")


def test_every_combination_of_failures_has_one_owner_each() -> None:
    gates = [g.gate_id for g in EVERY]
    for bound_to_row, size in itertools.product((True, False), (1, 2)):
        for failed in itertools.combinations(gates, size):
            found = owners(*failed, bound_to_row=bound_to_row)
            assert sorted(found) == sorted(failed)
            assert all(first in STATES for _, first in found.values())


def test_no_rule_is_dead() -> None:
    """Every rule is the first that applies for some pattern; otherwise it says nothing."""
    used = set()
    gates = [g.gate_id for g in EVERY]
    settings = itertools.product((True, False), (0, 1), (False, True), (1, 2))
    for bound_to_row, hybrid, calibrated, size in settings:
        for failed in itertools.combinations(gates, size):
            results = [result(g, Verdict.FAIL) for g in failed]
            found = attribute(results, hybrid, bound_to_row=bound_to_row, calibrated=calibrated)
            used |= {(entry.owner, entry.cause) for entry in found}
    assert used == {(rule.owner, rule.cause) for rule in RULES}


def test_the_usual_owner_of_the_table_is_one_that_the_rules_name() -> None:
    for entry in EVERY:
        assert entry.owner in {rule.owner for rule in RULES if entry.gate_id in rule.gates}, entry.gate_id


def test_what_was_not_measured_has_no_owner() -> None:
    assert attribute([result("T1", Verdict.NOT_MEASURED)], 0, bound_to_row=True) == ()
    assert attribute([result("T3", Verdict.INSUFFICIENT_POWER)], 0, bound_to_row=True) == ()


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "share", "–"),
        (0.026412345, "share", "2.641 %"),
        (1.0, "share", "100 %"),
        (0.0, "share", "0 %"),
        (0.00002, "share", "0.002 %"),
        (0.0000002, "share", "0.00002 %"),
        (0.2, "pp", "0.2 pp"),
        (1.4, "sd", "1.4 sd"),
        (0.0, "keys", "0 keys"),
        (1234567.0, "rows", "1,234,567 rows"),
        (0.0004531, "p", "0.00045"),
        (3e-310, "p", "3e-310"),
    ],
)
def test_values_as_text(value: float | None, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


def test_every_verdict_and_status_has_a_colour() -> None:
    assert set(VERDICT_COLOURS) == set(Verdict)
    assert set(STATUS_COLOURS) == set(ItemStatus)


def test_thresholds_and_distance_as_text() -> None:
    bounds = tuple(Threshold("b", bound, value, "f", "k") for bound, value in (("min", 0.03), ("max", 0.08)))
    base = GateResult("T7", "", "hard", Verdict.FAIL, 0.0225, "share", 1, "", bounds, {}, "", "")
    assert threshold_text(base, "b") == "≥ 3 %, ≤ 8 %"
    assert distance_text(base) == "0.75 pp outside B"
