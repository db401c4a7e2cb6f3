"""Predictions against plain Python over S2's own rows, and their errors against simulated runs."""

import numpy as np
import polars as pl
import pytest

from segment5b_lib.calibrate.demand import ExpectedDemand
from segment5b_lib.calibrate.flows import Block
from segment5b_lib.calibrate.prediction import TOP_TENTH, Ledger
from segment5b_lib.calibrate.predictor import Predictor, predict
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.errors import MissingInputError
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.world.reopen import reopen_world
from tests.arrivals import frame, move_sites_out_of_a_shared_zone, run_s4
from tests.calibrate.witness import Expected

TILT = {"mode": "exponential_tilt", "eta": 1.5, "scores": {"Europe/London": 1.0, "Europe/Berlin": 0.25}}
HYBRID = {"rules.card_not_present.mode": "HYBRID"}


def agrees(prediction, expected):
    assert prediction.arrivals.value == pytest.approx(expected.total, rel=1e-9)
    assert prediction.gates["T7"].value == pytest.approx(expected.virtual / expected.total, rel=1e-9)
    assert prediction.gates["T1"].value == pytest.approx(expected.wrong / expected.total, rel=1e-9, abs=1e-15)
    zones = dict(prediction.zones.select("tzid", "arrivals").rows())
    assert zones == pytest.approx({zone: sum_ for zone, sum_ in expected.zones.items() if sum_ > 0}, rel=1e-9)
    found = {
        (date, zone): wrong for date, zone, wrong in prediction.mismatches.select("date", "tzid", "mismatches").rows()
    }
    wanted = {key: wrong for key, wrong in expected.wrong_on.items() if wrong > 0}
    assert {key: wrong for key, wrong in found.items() if wrong > 0} == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("posture", ["published_run", "civil_time_run"])
def test_expected_values_are_sums_over_the_rows_of_s2(posture, request):
    run = request.getfixturevalue(posture)
    agrees(predict(run), Expected(run, run.world, run.policies))


@pytest.mark.parametrize(
    "changes",
    [
        {"routing.zone_binding": "row_zone"},
        {"routing.concentration_temper": TILT},
        {"routing.p_virtual_hybrid": 0.8},
    ],
)
def test_any_policy_of_s4_can_be_asked_of_one_run(published_run, changes):
    policies = with_changes(published_run.policies, changes)
    agrees(predict(published_run, policies), Expected(published_run, published_run.world, policies))


@pytest.fixture(scope="module")
def hybrid_world(reopened_world):
    return reopen_world(reopened_world, "3B", HYBRID, "test").world


@pytest.fixture(scope="module")
def hybrid_run(hybrid_world):
    """S0 to S2 in the world in which 3B is reopened, with a zone mix and a seed of its own."""
    policies = with_changes(load_posture("civil_time"), {"lgcp.zone_mix": TILT, "routing.p_virtual_hybrid": 0.6})
    run = create_run(hybrid_world, policies, seed=7, posture="civil_time")
    run_states(run, ("S0", "S1", "S2"), threads=2)
    return run


def test_a_run_with_hybrid_merchants_and_a_zone_mix(hybrid_run, hybrid_world):
    agrees(predict(hybrid_run), Expected(hybrid_run, hybrid_world, hybrid_run.policies))


def test_the_same_is_known_before_3b_is_reopened_and_the_seed_is_run(civil_time_run, hybrid_run):
    """Merchants that become hybrid change their group, and with it their latent factor."""
    before = predict(civil_time_run, hybrid_run.policies, reopened={"3B": HYBRID}, seed=7)
    after = predict(hybrid_run)
    assert before.document() == {**after.document(), "basis": before.basis}
    assert before.zones.equals(after.zones)
    assert "3B reopened" in before.basis
    assert before.document() != predict(civil_time_run, hybrid_run.policies, seed=7).document()


@pytest.mark.parametrize(
    ("segment", "changes"),
    [
        ("2A", {"last_transition_year": 2028}),
        ("2B", {"soft_cap": 0.68, "strength": 0.52, "entropy_floor": 0.62}),
        ("3B", HYBRID),
    ],
)
def test_tables_of_a_reopening_in_thought_are_those_that_it_seals(published_run, own_world, segment, changes):
    child = reopen_world(own_world, segment, changes, "test").world
    run = create_run(child, published_run.policies, seed=42, posture="published")
    run_states(run, ("S0", "S1"), threads=2)
    thought = predict(published_run, reopened={segment: changes})
    sealed = predict(run)
    assert thought.document() == {**sealed.document(), "basis": thought.basis}
    assert thought.zones.equals(sealed.zones)
    assert thought.mismatches.equals(sealed.mismatches)


@pytest.mark.parametrize("binding", ["row_zone", "group_weights"])
def test_arrivals_that_may_be_unroutable_are_expected_where_s4_sends_them(own_run, binding):
    """A merchant's sites leave one of its zones: what is expected there lands in the nearest of the others."""
    _, zone = move_sites_out_of_a_shared_zone(own_run)
    changes = {"routing.zone_binding": binding, "routing.site_missing_in_zone": "anomaly"}
    policies = with_changes(own_run.policies, changes)
    run_s4(own_run, policies)
    counted = frame(own_run).group_by(tzid=pl.col("tzid_primary")).agg(pl.len())
    total = counted["len"].sum()

    def furthest(prediction):
        both = counted.join(prediction.zones, on="tzid", how="full", coalesce=True).fill_null(0)
        off = (pl.col("len") / total - pl.col("share")).abs() / pl.col("standard_error")
        return both.filter(pl.col("standard_error") > 0).select(off.max()).item()

    assert furthest(predict(own_run, policies)) < 4.5
    strict = with_changes(policies, {"routing.site_missing_in_zone": "error"})
    assert furthest(predict(own_run, strict)) > 10, zone


def test_reopening_2a_takes_the_defect_away(published_run):
    assert predict(published_run).gates["T1"].value > 0.01
    cured = predict(published_run, reopened={"2A": {"last_transition_year": 2028}})
    assert cured.gates["T1"].value == cured.gates["T1"].standard_error == 0.0


def test_a_reopening_that_leaves_the_modes_alone_shares_what_was_read(published_run):
    predictor = Predictor(published_run)
    demands = predictor.demands()
    assert predictor.reopen({"2B": {"strength": 0.9}}).demands() is demands
    assert predictor.reopen({"3B": HYBRID}).demands() is not demands


def test_a_run_that_has_no_series_yet_is_refused(tiny_world, private_outputs):
    (private_outputs / "worlds" / tiny_world.mf).symlink_to(tiny_world.root)
    run = create_run(tiny_world, load_posture("published"), seed=1, posture="published")
    run_states(run, ("S0",), threads=2)
    with pytest.raises(MissingInputError) as caught:
        predict(run)
    assert caught.value.code == "5B.CALIBRATE.S1_MISSING"


ZONES = tuple(f"Zone/{z:02d}" for z in range(14))


def made_up(seed, *, alike=False):
    """Eight routing units over three spans; zones 0 to 11 alike, or all different."""
    rng = np.random.default_rng(seed)
    to_zone = rng.dirichlet(np.full(14, 0.6), size=8)
    if alike:
        to_zone = np.tile(np.r_[np.full(12, 0.99 / 12), 0.005, 0.005], (8, 1))
    mean, kappa = rng.gamma(2.0, 300.0, size=(8, 3)), rng.uniform(60, 200, size=(8, 1))
    wrong = np.where(rng.uniform(size=(14, 3)) < 0.3, rng.uniform(size=(14, 3)), 0.0)
    demand = ExpectedDemand(
        "made_up", pl.DataFrame(), ("d0", "d1"), np.array([0, 1, 1]), mean.sum(1), mean, mean**2 / kappa, wrong
    )
    virtual = rng.uniform(size=8) * np.array([0, 0, 0, 1, 0, 1, 0, 0])
    return demand, Block(to_zone, virtual, mean, mean**2 / kappa, np.arange(3))


def simulated(demand, block, draws, seed=1):
    """T1, T6 and T7 of many runs: NB2 counts, each arrival routed by itself."""
    rng = np.random.default_rng(seed)
    kappa = block.mean**2 / block.excess
    counts = rng.negative_binomial(kappa, kappa / (kappa + block.mean), size=(draws, *block.mean.shape))
    zones = np.zeros((draws, 14))
    wrong = np.zeros(draws)
    for unit in range(8):
        for span in range(3):
            by_zone = rng.multinomial(counts[:, unit, span], block.to_zone[unit])
            zones += by_zone
            wrong += rng.binomial(by_zone, demand.wrong[:, span]).sum(axis=1)
    virtual = rng.binomial(counts.sum(axis=2), block.virtual).sum(axis=1)
    total = counts.sum(axis=(1, 2))
    ordered = -np.sort(-zones, axis=1) / total[:, None]
    return {"T1": wrong / total, "T6": ordered[:, :10].sum(1), TOP_TENTH: ordered[:, :2].sum(1), "T7": virtual / total}


@pytest.mark.parametrize(("seed", "alike"), [(0, False), (1, False), (2, True)])
def test_standard_errors_are_those_of_simulated_runs(seed, alike):
    demand, block = made_up(seed, alike=alike)
    ledger = Ledger(ZONES)
    ledger.add(demand, [block])
    prediction = ledger.prediction("made up")
    draws = 6000
    for gate, values in simulated(demand, block, draws).items():
        estimate, spread = prediction.gates[gate], values.std(ddof=1)
        assert estimate.standard_error == pytest.approx(spread, rel=0.05), gate
        assert abs(estimate.value - values.mean()) < 5 * spread / np.sqrt(draws) + 0.03 * spread, gate


def test_the_largest_of_equal_zones_are_larger_than_their_expectation():
    """Twelve alike: the sum of the ten largest averages is 82.5 %, no run ever measures that little."""
    demand, block = made_up(2, alike=True)
    ledger = Ledger(ZONES)
    ledger.add(demand, [block])
    t6 = ledger.prediction("made up").gates["T6"]
    naive = float(np.sort(ledger.total)[-10:].sum() / ledger.total.sum())
    assert naive == pytest.approx(0.825)
    assert t6.value > naive + 3 * t6.standard_error
    assert simulated(demand, block, 500)["T6"].min() > naive


def test_errors_without_over_dispersion_are_smaller():
    demand, block = made_up(0)
    sizes = []
    for excess in (block.excess, np.zeros_like(block.excess)):
        ledger = Ledger(ZONES)
        ledger.add(demand, [block._replace(excess=excess)])
        sizes.append([estimate.standard_error for estimate in ledger.prediction("").gates.values()])
    assert all(poisson < nb2 for nb2, poisson in zip(*sizes, strict=True))
