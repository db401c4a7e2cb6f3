"""P2, P4 and P5 on the small world: calculation, proof, the solved candidate, four seeds, the freeze."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

import segment5b_lib as s5
from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.calibrate.proposal import Proposal, propose
from segment5b_lib.calibrate.settings import candidate_changes
from segment5b_lib.contract.words import Decision, ItemStatus
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.engine.retention import prune, superseded
from segment5b_lib.phases import p2, p4, p5
from segment5b_lib.phases.engine.envelope import artefact_schema
from segment5b_lib.phases.engine.execution import PhaseExecution
from segment5b_lib.phases.p5 import pointers, unresolved
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world
from segment5b_lib.world.world_file import load_spec
from tests.conftest import finished_run
from tests.decisions import speak
from tests.phases.execute import artefacts, execute

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


def statuses(phase: PhaseExecution[Any, Any]) -> dict[str, ItemStatus]:
    return {found.id: found.status for found in phase.items}


@pytest.mark.reaches(Decision.UNLOCK_P2_UPSTREAM_REOPEN)
def test_without_hybrid_merchants_the_decision_names_3b(corrected: Run) -> None:
    phase = execute("P2", corrected, baseline=corrected, as_what_if=True)
    assert phase.decision.word is Decision.UNLOCK_P2_UPSTREAM_REOPEN
    assert any("locally_blocked (3B)" in reason for reason in phase.decision.reasons)
    commands = [step.text for step in phase.next_steps.steps]
    assert any(command.startswith("segment5b calibrate") for command in commands)
    assert any("--segment 3B --set rules.card_not_present.mode=HYBRID" in command for command in commands)


@pytest.mark.reaches(Decision.UNLOCK_P3)
def test_the_solved_candidate_opens_p3_as_predicted(corrected: Run, solved: list[Run]) -> None:
    candidate, witness = solved[:2]
    phase = execute("P2", candidate, witnesses=[witness], baseline=corrected, as_what_if=True)
    assert phase.decision.word is Decision.UNLOCK_P3, phase.decision.reasons
    paths = [path for path in artefacts(phase) if path.suffix == ".json"]
    for kind, path in zip(p2.PHASE.artefacts, paths, strict=True):
        jsonschema.validate(json.loads(path.read_text()), artefact_schema(kind))
    (matrix,) = [path for path in artefacts(phase) if path.suffix == ".csv"]
    rows = pl.read_csv(matrix)
    assert rows.height == 6 and (rows["distance"].abs() <= 3).all()
    plane = phase.measured.plane
    assert set(plane["kind"]) == {"predicted", "measured"} and plane.height == 6
    inside = plane.filter(pl.col("role") != "baseline")
    assert (inside["t6"] <= 0.62).all() and inside["t7"].is_between(0.05, 0.08).all()


@pytest.mark.reaches(Decision.HOLD_P2_REOPEN)
def test_a_reachable_miss_holds(solved: list[Run]) -> None:
    """A weaker mix leaves T6 outside: the segment's own knob would reach it, so nothing upstream is to blame."""
    tilt = solved[0].policies.lgcp.zone_mix
    changes = {
        "lgcp.zone_mix": {"mode": "exponential_tilt", "eta": tilt.eta / 4, "scores": dict(tilt.scores)},
        "validation.calibration_sentinels.evaluation_mode": "warn_only",
    }
    weaker = prepare_rerun(solved[0], "S2", changes, threads=2)
    run_states(weaker, threads=2)
    phase = execute("P2", weaker, baseline=solved[0], as_what_if=True)
    assert phase.decision.word is Decision.HOLD_P2_REOPEN
    found = {item.id: item.status for item in phase.items}
    assert found["P2.3"] is ItemStatus.RED and found["P2.8"] is ItemStatus.GREEN


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
    assert p2.least_distortion(p2.stored_zone_mix(Predictor(run))).status is ItemStatus.GREEN
    assert p2.least_distortion(p2.stored_zone_mix(Predictor(other))).status is ItemStatus.RED


def test_a_prediction_that_the_measurement_contradicts_holds(
    corrected: Run, solved: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defect: a predictor that forgets the zone mix."""
    predict = Predictor.predict

    def forgetful(self: Predictor, policies: Any = None) -> Any:
        chosen = policies or self.run.policies
        return predict(self, with_changes(chosen, {"lgcp.zone_mix": {"mode": "none", "eta": 0.0, "scores": {}}}))

    monkeypatch.setattr(Predictor, "predict", forgetful)
    assert statuses(s5.phase("P2", solved[0], baseline=corrected, as_what_if=True))["P2.5"] is ItemStatus.RED


def certified(runs: list[Run], **options: Any) -> PhaseExecution[Any, Any]:
    return execute("P4", runs[0], panel=runs[1:], **options)


def documents(phase: PhaseExecution[Any, Any]) -> dict[str, Any]:
    paths = [path for path in artefacts(phase) if path.suffix == ".json"]
    return {json.loads(path.read_text())["artefact"]: json.loads(path.read_text()) for path in paths}


@pytest.mark.reaches(Decision.PASS_BPLUS_ROBUST)
def test_four_seeds_are_certified_at_bplus_and_runtime_does_not_apply(solved: list[Run]) -> None:
    phase = certified(solved, as_what_if=True)
    assert phase.decision.word is Decision.PASS_BPLUS_ROBUST, phase.decision.reasons
    found = documents(phase)
    for kind in p4.PHASE.artefacts:
        jsonschema.validate(found[kind.ARTEFACT], artefact_schema(kind))
    assert found["p4_closure"]["earned_at"] == "small"
    assert {item.id: item.status for item in phase.items}["P4.5"] is ItemStatus.NOT_APPLICABLE
    runtime = {line["gate_id"]: line["verdict"] for line in found["p4_state_runtime_receipts"]["runtime"]}
    assert set(runtime.values()) == {"not_applicable"} and "R-certification" in runtime
    assert [line["seed"] for line in found["p4_seed_authority_matrix"]["seeds"]] == [42, 7, 101, 202]
    assert set(phase.measured.by_seed["seed"]) == {"42", "7", "101", "202"}
    assert phase.measured.cv_bounds == {"b_max": 0.25, "bplus_max": 0.15}


@pytest.fixture(scope="module")
def between(solved: list[Run]) -> list[Run]:
    """Every seed with three quarters of the tilt: T6 lies within B and outside B+."""
    tilt = solved[0].policies.lgcp.zone_mix
    changes = {
        "lgcp.zone_mix": {"mode": "exponential_tilt", "eta": tilt.eta * 0.75, "scores": dict(tilt.scores)},
        "validation.calibration_sentinels.evaluation_mode": "enforce_b",
    }
    runs = [prepare_rerun(run, "S2", changes, threads=2) for run in solved]
    for run in runs:
        run_states(run, threads=2)
    return runs


def test_a_missing_seed_and_a_foreign_run_hold(solved: list[Run], corrected: Run) -> None:
    short = certified(solved[:3], as_what_if=True)
    assert short.decision.word is Decision.HOLD_REMEDIATE and any(
        "seed 202" in reason for reason in short.decision.reasons
    )
    mixed = certified([*solved[:3], corrected], as_what_if=True)
    assert mixed.decision.word is Decision.HOLD_REMEDIATE
    assert any("another world" in reason for reason in mixed.decision.reasons)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Run]], list[Run]]:
    """Moves copies of runs, with their worlds, into an outputs folder that holds nothing else."""
    folder = tmp_path / "outputs"

    def moved(runs: list[Run]) -> list[Run]:
        monkeypatch.setenv("SEGMENT5B_OUTPUTS", str(folder))
        for world in {run.world.root for run in runs}:
            shutil.copytree(world, folder / "worlds" / world.name)
        return [Run(shutil.copytree(run.root, folder / "runs" / run.run_id)) for run in runs]

    return moved


def opened_and_certified(runs: list[Run]) -> PhaseExecution[Any, Any]:
    """P4's closure, which keeps its runs; what opens P4 is taken as given."""
    speak("P3", runs[0], Decision.UNLOCK_P4)
    return certified(runs)


@pytest.mark.reaches(Decision.HOLD_P5_REOPEN, Decision.FROZEN_PASS_BPLUS)
def test_the_freeze_needs_a_prune_and_a_manifest_that_resolves(
    solved: list[Run], corrected: Run, house: Callable[[list[Run]], list[Run]]
) -> None:
    *runs, earlier = house([*solved, corrected])
    assert opened_and_certified(runs).decision.word is Decision.PASS_BPLUS_ROBUST
    held = execute("P5", runs[0])
    assert held.decision.word is Decision.HOLD_P5_REOPEN
    assert "no prune" in held.decision.reasons[0] and earlier.run_id[:8] in held.decision.reasons[0]
    prune(superseded())
    phase = execute("P5", runs[0])
    assert phase.decision.word is Decision.FROZEN_PASS_BPLUS, phase.decision.reasons
    found = documents(phase)
    for kind in p5.PHASE.artefacts:
        jsonschema.validate(found[kind.ARTEFACT], artefact_schema(kind))
    manifest = found["freeze_manifest"]["pointers"]
    assert {line["kind"] for line in manifest} == {"world", "run", "policy", "marker", "bundle", "phase"}
    assert sum(line["kind"] == "run" for line in manifest) == 4
    assert [line["run_id"] for line in found["p5_prune_receipt"]["removed"]] == [earlier.run_id]
    assert not earlier.root.exists() and all(run.root.is_dir() for run in runs)
    assert any("3B reopened" in text for text in found["p5_downstream_handoff"]["assumptions"])
    assert any("not applicable" in text for text in found["p5_downstream_handoff"]["residual_risks"])
    assert (artefacts(phase)[0].parent / f"segment5b_freeze_handoff_{runs[0].run_id}.attempt-2.md").is_file()


@pytest.mark.reaches(Decision.PASS_B, Decision.FROZEN_PASS_B)
def test_seeds_short_of_bplus_pass_at_b_and_are_frozen_so(
    between: list[Run], house: Callable[[list[Run]], list[Run]]
) -> None:
    runs = house(between)
    phase = opened_and_certified(runs)
    assert phase.decision.word is Decision.PASS_B
    assert all(reason.split(": ")[1].startswith("T6 pass_b") for reason in phase.decision.reasons[1:])
    prune(superseded())
    frozen = execute("P5", runs[0])
    assert frozen.decision.word is Decision.FROZEN_PASS_B, frozen.decision.reasons
    assert documents(frozen)["p5_prune_receipt"]["removed"] == []


def test_a_changed_output_or_a_lost_pointer_keeps_it_from_freezing(
    solved: list[Run], house: Callable[[list[Run]], list[Run]]
) -> None:
    runs = house(solved)
    opened_and_certified(runs)
    path = next(iter(runs[0].digests("S3")))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert statuses(s5.phase("P5", runs[0]))["P5.2"] is ItemStatus.RED
    manifest = pointers(runs, [])
    lost = manifest[0].model_copy(update={"path": "runs/none"})
    changed = manifest[1].model_copy(update={"sha256": "0" * 64})
    assert unresolved(manifest) == []
    assert unresolved([lost, changed]) == ["runs/none: missing", f"{changed.path}: changed"]
