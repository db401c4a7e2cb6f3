"""P3: thresholds live in the policy, S5 follows them; a policy that only warns, or a check that is deaf, holds."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.engine.chain import run_states
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.gates.scoring import score
from segment5b_lib.phases import p3, p3_thresholds
from segment5b_lib.phases.engine.envelope import artefact_schema
from segment5b_lib.states.s5.check import Check, CheckStatus
from segment5b_lib.store.runs import Run
from tests.phases.execute import artefacts, execute

WIDE = {"validation.gates.T6.b.max": 1.0, "validation.gates.T6.bplus.max": 1.0} | {
    f"validation.gates.T7.{level}.min": 0.0 for level in ("b", "bplus")
}


@pytest.fixture(scope="module")
def hardened(civil_time_run: Run) -> Run:
    """The corrected run with S5 enforcing B+, under bounds of T6 and T7 that the tiny world can hold."""
    changes = {"validation.calibration_sentinels.evaluation_mode": "enforce_bplus", **WIDE}
    child = prepare_rerun(civil_time_run, "S5", changes, threads=2)
    run_states(child, threads=2)
    return child


def statuses(measured: p3.P3Measured) -> dict[str, ItemStatus]:
    return {found.id: found.status for found in p3.items(measured)}


@pytest.mark.reaches(Decision.UNLOCK_P4)
def test_a_hardened_run_opens_p4_and_every_verdict_follows(hardened: Run) -> None:
    phase = execute("P3", hardened, as_what_if=True)
    assert phase.decision.word is Decision.UNLOCK_P4, phase.decision.reasons
    documents = [json.loads(path.read_text()) for path in artefacts(phase) if path.suffix == ".json"]
    for kind, document in zip(p3.PHASE.artefacts, documents, strict=True):
        jsonschema.validate(document, artefact_schema(kind))
    inventory, sentinels, _ = documents
    assert {line["gate_id"] for line in inventory["thresholds"]} == {r.gate_id for r in phase.scorecard.results}
    assert all(line["schema_path"].startswith("#/properties/gates/") for line in inventory["thresholds"])
    followed = {line["check_id"] for line in sentinels["mutations"] if line["after"] == "fail"}
    assert {"CIVIL_MISMATCH", "ONE_HOUR_MASS", "HORIZON_GUARD", "T6_TOP10_ZONES", "T7_VIRTUAL_SHARE"} <= followed


@pytest.mark.reaches(Decision.HOLD_P3_REMEDIATE)
def test_a_run_that_only_warns_holds(civil_time_run: Run) -> None:
    phase = execute("P3", civil_time_run, as_what_if=True)
    assert phase.decision.word is Decision.HOLD_P3_REMEDIATE
    assert {item.id: item.status for item in phase.items}["P3.6"] is ItemStatus.RED


def test_the_published_run_is_ambiguous_about_local_time(published_run: Run) -> None:
    assert statuses(p3.measured_on(published_run, score(published_run)))["P3.7"] is ItemStatus.RED


def test_a_check_that_does_not_follow_its_threshold_is_found(hardened: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The defect of the published gates: a check that passes whatever its threshold says."""
    all_checks = p3_thresholds.all_checks

    def deaf(evidence: Any) -> list[Check]:
        return [
            Check(**{**vars(check), "status": CheckStatus.PASS}) if check.check_id == "CIVIL_MISMATCH" else check
            for check in all_checks(evidence)
        ]

    monkeypatch.setattr(p3_thresholds, "all_checks", deaf)
    (found,) = [item for item in p3.items(p3.measured_on(hardened, score(hardened))) if item.id == "P3.5"]
    assert found.status is ItemStatus.RED and "CIVIL_MISMATCH" in found.evidence


def test_a_policy_key_beyond_the_schema_is_seen() -> None:
    assert (
        p3_thresholds.schema_path("gates.T1.b.max")
        == "#/properties/gates/additionalProperties/properties/b/properties/max"
    )
    assert p3_thresholds.schema_path("gates.T1.c.max") == "" and p3_thresholds.schema_path("elsewhere") == ""
