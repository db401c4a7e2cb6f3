"""The whole of P2 in small: what is reachable, what is proposed, and what the candidate then really measures."""

import json

import polars as pl
import pytest
import yaml

from segment5b_lib.calibrate.feasibility import BLOCKED, REACHABLE, admissible, feasibility, target_of
from segment5b_lib.calibrate.forensics import merchant_zones, merchants_in_top_zones, top_zones
from segment5b_lib.calibrate.mix import volumes
from segment5b_lib.calibrate.predictor import Predictor, predict
from segment5b_lib.calibrate.proposal import propose
from segment5b_lib.calibrate.sensitivity import channel_rules, sensitivity
from segment5b_lib.calibrate.settings import candidate_changes, commands, policy_changes, write_changes
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.errors import PolicyError
from segment5b_lib.gates.scoring import score
from segment5b_lib.store.postures import load_changes, load_posture, with_changes
from segment5b_lib.world.reopen import reopen_world
from tests.calibrate.measured import measured
from tests.calibrate.witness import Expected

RAILS = ("T1", "T1.settlement", "T1.operational", "T2", "T3", "T4", "T5", "T11", "T12")
HYBRID = {"3B": {"rules.card_not_present.mode": "HYBRID"}}


@pytest.fixture(scope="module")
def proposal(roomy_run):
    return propose(roomy_run, "bplus", seeds=(42, 7))


@pytest.fixture(scope="module")
def candidate_run(proposal, roomy_world, tmp_path_factory):
    """The proposal carried out as its commands say: reopen, write the file, read it, run all states."""
    path = tmp_path_factory.mktemp("candidate") / "bplus.yaml"
    write_changes(proposal, path)
    world = reopen_world(roomy_world, "3B", proposal.reopened["3B"], "P2: T7 locally blocked").world
    policies = with_changes(load_posture("civil_time"), load_changes(path))
    run = create_run(world, policies, seed=42, posture="civil_time")
    run_states(run, threads=2)
    return run


def test_targets_are_the_policys_own_bands_with_room():
    policy = load_posture("published").validation
    bplus, b = target_of(policy, "bplus"), target_of(policy, "b")
    assert (bplus.t6, bplus.t7_low, bplus.t7_high) == (0.61, 0.055, 0.075)
    assert (b.t6, b.t7_low, b.t7_high) == (0.71, 0.035, 0.075)
    narrow = with_changes(load_posture("published"), {"validation.gates.T6.bplus.max": 0.5}).validation
    assert target_of(narrow, "bplus").t6 == 0.49
    none = with_changes(load_posture("published"), {"validation.gates.T7.bplus.min": 0.075}).validation
    with pytest.raises(PolicyError, match="NO_BAND"):
        target_of(none, "bplus")


def test_without_hybrid_merchants_t7_is_blocked_and_the_proof_says_why(roomy_run):
    predictor = Predictor(roomy_run)
    t7, t6 = feasibility(predictor, roomy_run.policies, target_of(roomy_run.policies.validation, "bplus"))
    assert (t7.verdict, t7.owner) == (BLOCKED, "3B")
    assert t7.proof["hybrid_merchants_share"] == 0
    assert t7.proof["t7_at_bounds"] == pytest.approx([0.0225, 0.0225], abs=1e-6)  # the world's online share
    assert (t6.verdict, t6.owner) == (REACHABLE, "S2 zone mix")
    assert t6.proof["dual_bound"] == pytest.approx(t6.proof["floor"], abs=1e-7)


def test_a_world_of_a_dozen_merchants_has_no_room(civil_time_run):
    """Tiny merchants trade in one zone or two: the linear programme proves it, no reopening of 3B helps."""
    found = propose(civil_time_run, "bplus", seeds=(42,))
    assert not found.reached
    assert found.policies is None
    assert commands(found, "x.yaml") == ()
    assert candidate_changes(found) == {}
    t6 = found.local[1]
    assert t6.verdict == BLOCKED
    assert 0.61 < t6.proof["dual_bound"] <= t6.proof["floor"] + 1e-9
    assert "3A and 5A" in found.reason


def test_the_hybrid_share_is_bounded_by_policy_and_band(roomy_run):
    predictor = Predictor(roomy_run, reopened=HYBRID)
    policies, target = roomy_run.policies, target_of(roomy_run.policies.validation, "bplus")
    own = volumes(predictor.demands(), predictor.tables)
    low, high = admissible(own, policies.routing.hybrid_policy, target)
    assert own.online(low) == pytest.approx(0.055) or low == 0.05
    assert own.online(high) == pytest.approx(0.075) or high == 0.80
    tight = with_changes(policies, {"routing.hybrid_policy.bounds.max": low - 0.01, "routing.p_virtual_hybrid": 0.05})
    assert admissible(own, tight.routing.hybrid_policy, target) is None


def test_the_proposal_reopens_3b_only_after_the_proof_and_is_certified(proposal, roomy_run):
    assert proposal.reached, proposal.reason
    assert proposal.reopened == HYBRID == next(iter(channel_rules(roomy_run.world)))
    assert [verdict.verdict for verdict in proposal.local] == [BLOCKED, REACHABLE]
    assert [verdict.verdict for verdict in proposal.verdicts] == [REACHABLE, REACHABLE]
    assert proposal.solution.gap <= 1e-6
    for found in proposal.predicted.values():
        assert found.gates["T6"].value <= 0.61
        assert 0.055 <= found.gates["T7"].value <= 0.075
    json.dumps(proposal.document())


def test_no_candidate_counts_whose_clocks_are_wrong(roomy_run):
    """The same world with a cache that ends in 2025: T6 and T7 are reached, and the rail says no."""
    short = Predictor(roomy_run, reopened={"2A": {"last_transition_year": 2025}})
    found = propose(roomy_run, "bplus", seeds=(42,), predictor=short)
    assert not found.reached
    assert found.predicted[42].gates["T6"].value <= 0.61
    assert "T1" in found.reason and "2A" in found.reason


def test_the_candidate_measures_what_was_predicted_and_every_rail_holds(proposal, candidate_run):
    found, predicted = measured(candidate_run), proposal.predicted[42]
    for gate, estimate in predicted.gates.items():
        assert abs(estimate.distance(found[gate])) < 3, gate
    card = score(candidate_run)
    assert {card.result(gate).verdict.value for gate in (*RAILS, "T6", "T7")} == {"pass_bplus"}


def test_the_certified_share_is_the_one_that_s2_realises(proposal, candidate_run):
    """With the latent field off, λ_realised is the surface under S2's zone mix: its ten largest zones, added up."""
    policies = with_changes(candidate_run.policies, {"lgcp.mode": "none"})
    run = create_run(candidate_run.world, policies, seed=42, posture="civil_time")
    run_states(run, ("S0", "S1", "S2"), threads=2)
    expected = Expected(run, run.world, policies)
    share = sum(sorted(expected.zones.values())[-10:]) / expected.total
    assert share == pytest.approx(proposal.solution.share, abs=1e-9)
    assert share <= proposal.solution.target + 1e-6


def test_the_file_of_changes_carries_the_candidate_exactly(proposal, tmp_path):
    path = tmp_path / "candidate" / "bplus.yaml"
    write_changes(proposal, path)
    assert with_changes(load_posture("civil_time"), load_changes(path)) == proposal.policies
    assert set(yaml.safe_load(path.read_text())) == {"changes"}
    assert proposal.run.run_id in path.read_text()
    reopen, run = (command.text for command in commands(proposal, path))
    assert "--segment 3B --set rules.card_not_present.mode=HYBRID" in reopen
    assert run.endswith(f"--posture civil_time --seed 42 --set @{path}")


def test_changes_between_policies_name_only_what_differs():
    start = load_posture("published")
    assert policy_changes(start, start) == {}
    wanted = load_posture("civil_time")
    changes = policy_changes(start, wanted)
    assert len(changes) == 4
    assert with_changes(start, changes) == wanted


def test_leverage_is_what_a_prediction_with_the_step_says(roomy_run):
    predictor = Predictor(roomy_run, reopened=HYBRID)
    frame = sensitivity(predictor, roomy_run.policies, target_of(roomy_run.policies.validation, "bplus"))
    own = volumes(predictor.demands(), predictor.tables)
    coin = frame.filter(pl.col("knob").str.ends_with("p_virtual_hybrid"))
    assert coin["step"].to_list() == pytest.approx([0.05 - 0.35, 0.80 - 0.35])
    assert coin["t7_per_unit"].to_list() == pytest.approx([own.hybrid] * 2, rel=0.1)  # λ realised, not expected
    policies = with_changes(roomy_run.policies, {"routing.p_virtual_hybrid": 0.8})
    assert coin["t6"][1] == pytest.approx(predictor.predict(policies).gates["T6"].value, abs=1e-12)
    mix = frame.filter(pl.col("knob") == "lgcp.zone_mix")
    assert (mix["delta_t6"] < 0).all() and (mix["delta_t7"].abs() < 0.005).all()
    assert frame.filter((pl.col("owner") == "2B") & (pl.col("binding") == "row_zone"))["delta_t6"].to_list() == [0.0]
    assert set(frame["owner"]) == {"S4 routing", "S2 zone mix", "2B", "3B"}


def test_forensics_add_up_to_t6(published_run):
    merchant_arrivals = merchant_zones(Predictor(published_run))
    prediction = predict(published_run)
    top = prediction.zones.head(10)
    assert top_zones(merchant_arrivals)["tzid"].to_list() == top["tzid"].to_list()
    assert top_zones(merchant_arrivals)["share"].to_list() == pytest.approx(top["share"].to_list(), rel=1e-9)
    merchants = merchants_in_top_zones(merchant_arrivals)
    assert merchants["cumulative"][-1] == pytest.approx(top["share"].sum(), rel=1e-9)
    assert merchants["share"].sum() == pytest.approx(1.0)
    assert merchants["in_top_ten"].is_sorted(descending=True)


def test_forensics_agree_with_the_arrivals(published_run):
    """Who sends how much into the largest zone, counted."""
    largest = top_zones(merchant_zones(Predictor(published_run))).row(0, named=True)
    paths = published_run.files("arrival_events_5B", published_run.scenarios[0])
    rows = pl.scan_parquet(paths).filter(pl.col("tzid_primary").cast(pl.String) == largest["tzid"])
    counted = rows.group_by("merchant_id").agg(pl.len()).sort("len", descending=True).collect()
    assert counted["merchant_id"][0] == largest["leaders"][0]
    assert counted.height == largest["merchants"]
    part = counted["len"].head(3).sum() / counted["len"].sum()
    assert part == pytest.approx(largest["leaders_share"], abs=0.01)
