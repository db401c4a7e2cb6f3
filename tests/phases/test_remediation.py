"""P2, P4 and P5 on the small world: calculation, proof, the solved candidate, four seeds, the freeze."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import polars as pl
import pytest

from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.calibrate.proposal import Proposal, propose
from segment5b_lib.calibrate.settings import candidate_changes
from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.engine.retention import prune
from segment5b_lib.phases import p2, p4, p5
from segment5b_lib.phases.closure import Closure
from segment5b_lib.phases.envelope import schema
from segment5b_lib.phases.p5_manifest import pointers, unresolved
from segment5b_lib.phases.phase import decide
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world
from segment5b_lib.world.world_file import load_spec
from tests.conftest import finished_run
from tests.decisions import speak

pytestmark = pytest.mark.slow
"""The tiny world has too few zones for the bands; the small one is the smallest that can be calibrated."""


@pytest.fixture(scope="module")
def corrected(outputs: Any) -> Run:
    world = build_world(load_spec("small"), outputs).world
    return finished_run(reopen_world(world, "2A", {"last_transition_year": 2028}, "test").world, "civil_time")


@pytest.fixture(scope="module")
def proposal(corrected: Run) -> Proposal:
    return propose(corrected)


@pytest.fixture(scope="module")
def hybrid_world(corrected: Run, proposal: Proposal) -> World:
    return reopen_world(corrected.world, "3B", proposal.reopened["3B"], "test").world


@pytest.fixture(scope="module")
def solved(hybrid_world: World, proposal: Proposal) -> list[Run]:
    """The candidate, its witness, and the other required seeds."""
    runs = []
    for seed in (42, 7, 101, 202):
        policies = with_changes(load_posture("remediated"), candidate_changes(proposal))
        runs.append(create_run(hybrid_world, policies, seed=seed, posture="remediated"))
        run_states(runs[-1], threads=2)
    return runs


def statuses(finding: Any) -> dict[str, ItemStatus]:
    return {found.id: found.status for found in finding.items}


def test_without_hybrid_merchants_the_decision_names_3b(corrected: Run) -> None:
    closure = p2.execute(corrected, baseline=corrected, what_if=True)
    assert closure.decision is Decision.UNLOCK_P2_UPSTREAM_REOPEN
    assert any("locally_blocked (3B)" in reason for reason in closure.reasons)
    commands = [step.command for step in closure.next_steps.steps]
    assert any(command.startswith("segment5b calibrate") for command in commands)
    assert any("--segment 3B --set rules.card_not_present.mode=HYBRID" in command for command in commands)


def test_the_solved_candidate_opens_p3_as_predicted(corrected: Run, solved: list[Run]) -> None:
    candidate, witness = solved[:2]
    closure = p2.execute(candidate, witnesses=[witness], baseline=corrected, what_if=True)
    assert closure.decision is Decision.UNLOCK_P3, closure.reasons
    paths = [path for path in closure.artefacts if path.suffix == ".json"]
    for kind, path in zip(p2.PHASE.artefacts, paths, strict=True):
        jsonschema.validate(json.loads(path.read_text()), schema(kind))
    (matrix,) = [path for path in closure.artefacts if path.suffix == ".csv"]
    rows = pl.read_csv(matrix)
    assert rows.height == 6 and (rows["distance"].abs() <= 3).all()
    plane = p2.plane(closure)
    assert set(plane["kind"]) == {"predicted", "measured"} and plane.height == 6
    inside = plane.filter(pl.col("role") != "baseline")
    assert (inside["t6"] <= 0.62).all() and inside["t7"].is_between(0.05, 0.08).all()


def test_a_reachable_miss_holds(solved: list[Run]) -> None:
    """A weaker mix leaves T6 outside: the segment's own knob would reach it, so nothing upstream is to blame."""
    tilt = solved[0].policies.lgcp.zone_mix
    changes = {
        "lgcp.zone_mix": {"mode": "exponential_tilt", "eta": tilt.eta / 4, "scores": dict(tilt.scores)},
        "validation.calibration_sentinels.evaluation_mode": "warn_only",
    }
    weaker = prepare_rerun(solved[0], "S2", changes, threads=2)
    run_states(weaker, threads=2)
    found = p2.examine(weaker, [], solved[0])
    assert decide(p2.PHASE, found)[0] is Decision.HOLD_P2_REOPEN
    assert statuses(found)["P2.3"] is ItemStatus.RED and statuses(found)["P2.8"] is ItemStatus.GREEN


def test_a_mix_that_moves_more_than_it_must_is_found(solved: list[Run]) -> None:
    """Scores shifted between two zones reach a share as well, at a greater distortion."""
    run = solved[0]
    tilt = run.policies.lgcp.zone_mix
    first, last = sorted(tilt.scores)[0], sorted(tilt.scores)[-1]
    scores = {**tilt.scores, first: tilt.scores[last] * 0.2, last: min(1.0, tilt.scores[first] + 0.8)}
    policies = with_changes(
        run.policies, {"lgcp.zone_mix": {"mode": "exponential_tilt", "eta": tilt.eta, "scores": scores}}
    )
    other = create_run(run.world, policies, seed=42, posture="remediated")
    run_states(other, ("S0", "S1"), threads=2)
    assert p2._least_distortion(Predictor(run)).status is ItemStatus.GREEN
    assert p2._least_distortion(Predictor(other)).status is ItemStatus.RED


def test_a_prediction_that_the_measurement_contradicts_holds(
    corrected: Run, solved: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defect: a predictor that forgets the zone mix."""
    predict = Predictor.predict

    def forgetful(self: Predictor, policies: Any = None) -> Any:
        chosen = policies or self.run.policies
        return predict(self, with_changes(chosen, {"lgcp.zone_mix": {"mode": "none", "eta": 0.0, "scores": {}}}))

    monkeypatch.setattr(Predictor, "predict", forgetful)
    assert statuses(p2.examine(solved[0], [], corrected))["P2.5"] is ItemStatus.RED


def certified(runs: list[Run], **options: Any) -> Closure:
    return p4.execute(runs[0], panel=runs[1:], **options)


def documents(closure: Closure) -> dict[str, Any]:
    paths = [path for path in closure.artefacts if path.suffix == ".json"]
    return {json.loads(path.read_text())["artefact"]: json.loads(path.read_text()) for path in paths}


def test_four_seeds_are_certified_at_bplus_and_runtime_does_not_apply(solved: list[Run]) -> None:
    closure = certified(solved, what_if=True)
    assert closure.decision is Decision.PASS_BPLUS_ROBUST, closure.reasons
    found = documents(closure)
    for kind in p4.PHASE.artefacts:
        jsonschema.validate(found[kind.ARTEFACT], schema(kind))
    assert found["p4_closure"]["earned_at"] == "small"
    assert {item.id: item.status for item in closure.definition_of_done}["P4.5"] is ItemStatus.NOT_APPLICABLE
    runtime = {line["gate_id"]: line["verdict"] for line in found["p4_state_runtime_receipts"]["runtime"]}
    assert set(runtime.values()) == {"not_applicable"} and "R-certification" in runtime
    assert [line["seed"] for line in found["p4_seed_authority_matrix"]["seeds"]] == [42, 7, 101, 202]
    assert set(p4.by_seed(closure)["seed"]) == {"42", "7", "101", "202"}
    assert p4.cv_bounds(closure) == {"b_max": 0.25, "bplus_max": 0.15}


def test_a_seed_short_of_bplus_is_a_pass_at_b(solved: list[Run]) -> None:
    changes = {
        "validation.gates.T6.bplus.max": 0.55,
        "validation.calibration_sentinels.evaluation_mode": "enforce_b",
    }
    runs = [prepare_rerun(run, "S5", changes, threads=2) for run in solved]
    for run in runs:
        run_states(run, threads=2)
    closure = certified(runs, what_if=True)
    assert closure.decision is Decision.PASS_B and any("T6" in reason for reason in closure.reasons)


def test_a_missing_seed_and_a_foreign_run_hold(solved: list[Run], corrected: Run) -> None:
    short = certified(solved[:3], what_if=True)
    assert short.decision is Decision.HOLD_REMEDIATE and any("seed 202" in reason for reason in short.reasons)
    mixed = certified([*solved[:3], corrected], what_if=True)
    assert mixed.decision is Decision.HOLD_REMEDIATE
    assert any("another world" in reason for reason in mixed.reasons)


@pytest.fixture
def certificate(solved: list[Run]) -> Run:
    """The candidate with P4's decision, its predecessors' decisions taken as given."""
    speak("P3", solved[0], Decision.UNLOCK_P4)
    assert certified(solved).decision is Decision.PASS_BPLUS_ROBUST
    return solved[0]


def test_the_freeze_needs_a_prune_and_a_manifest_that_resolves(
    certificate: Run, solved: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(p5, "superseded", lambda: [])
    before = p5.execute(certificate)
    assert before.decision is Decision.HOLD_P5_REOPEN and any("no prune" in reason for reason in before.reasons)
    prune([])
    closure = p5.execute(certificate)
    assert closure.decision is Decision.FROZEN_PASS_BPLUS, closure.reasons
    found = documents(closure)
    for kind in p5.PHASE.artefacts:
        jsonschema.validate(found[kind.ARTEFACT], schema(kind))
    manifest = found["freeze_manifest"]["pointers"]
    assert {line["kind"] for line in manifest} == {"world", "run", "policy", "marker", "bundle", "phase"}
    assert sum(line["kind"] == "run" for line in manifest) == 4
    assert found["p5_prune_receipt"]["removed"] == [] and found["p5_prune_receipt"]["freed_bytes"] == 0
    assert any("3B reopened" in text for text in found["p5_downstream_handoff"]["assumptions"])
    assert any("not applicable" in text for text in found["p5_downstream_handoff"]["residual_risks"])
    assert (closure.artefacts[0].parent / f"segment5b_freeze_handoff_{certificate.run_id}.attempt-2.md").is_file()


def test_a_changed_output_or_a_lost_pointer_keeps_it_from_freezing(certificate: Run, solved: list[Run]) -> None:
    marker = certificate.marker_path("S3")
    path = certificate.root / json.loads(marker.read_text())["outputs"][0]["path"]
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        found = p5.examine(certificate)
        assert statuses(found)["P5.2"] is ItemStatus.RED
    finally:
        path.unlink()
        path.write_bytes(content)
    manifest = pointers(solved, [])
    lost = manifest[0].model_copy(update={"path": "runs/none"})
    changed = manifest[1].model_copy(update={"sha256": "0" * 64})
    assert unresolved(manifest) == []
    assert unresolved([lost, changed]) == ["runs/none: missing", f"{changed.path}: changed"]
