"""S2 against a plain-Python latent field, series by series."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats

from segment5b_lib.contract.policies import ZoneTilt
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.errors import StateError
from segment5b_lib.model.random_laws import clipped_mean
from segment5b_lib.model.zones import tilt_multipliers
from segment5b_lib.store.postures import load_posture, with_changes
from tests.reference.randomness import normal, stream_key

SIGMA = {"office_hours": 0.85, "evening_weekend": 1.05, "always_on_local": 0.95, "online_24h": 1.10}
SIGMA |= {
    "online_bursty": 1.60,
    "travel_hospitality": 1.15,
    "fuel_convenience": 1.05,
    "bills_utilities": 0.90,
}
SIGMA |= {"low_volume_tail": 1.25, "consumer_daytime": 1.0, "retail_daytime": 1.0}
LENGTH = {"office_hours": 1.20, "evening_weekend": 0.95, "always_on_local": 1.10, "online_24h": 0.90}
LENGTH |= {
    "online_bursty": 0.50,
    "travel_hospitality": 0.80,
    "fuel_convenience": 0.85,
    "bills_utilities": 1.10,
}
LENGTH |= {"low_volume_tail": 0.70, "consumer_daytime": 1.0, "retail_daytime": 1.0}
CHANNEL = {"card_present": 1.0, "card_not_present": 1.10, "mixed": 1.05}


def intensity(run):
    return run.frame("s2_realised_intensity_5B", scenario_id=run.scenarios[0])


def grouping(run):
    return run.frame("s1_grouping_5B", scenario_id=run.scenarios[0])


def run_to_s2(world, changes=None, seed=42):
    run = create_run(world, with_changes(load_posture("published"), changes or {}), seed=seed, posture="published")
    run_states(run, ["S0", "S1", "S2"], threads=2)
    return run


def factors(row, run, buckets, mode="ou"):
    """The clipped factor of one series' group, bucket by bucket."""
    sigma = 0.25 * SIGMA[row["demand_class"]] * CHANNEL[row["channel_group"]]
    sigma *= 1.15 if row["virtual_band"] == "virtual" else 1.0
    memory = math.exp(-1 / (24 * LENGTH[row["demand_class"]])) if mode == "ou" else 0.0
    root, scenario = run.receipt.rng_root, run.scenarios[0]
    key = stream_key("S2.latent_vector.v2", root, run.receipt.seed, scenario, row["group_id"])
    z, found = 0.0, []
    for bucket in range(buckets):
        noise = normal(key, bucket)
        z = sigma * noise if bucket == 0 else memory * z + sigma * math.sqrt(1 - memory**2) * noise
        found.append(min(max(math.exp(z - sigma**2 / 2), 0.2), 5.0))
    return found


@pytest.mark.parametrize("mode", ["log_gaussian_ou_v1", "log_gaussian_iid_v1"])
def test_every_series_follows_the_law(tiny_world, published_run, private_outputs, own_world, mode):
    run = published_run if mode == "log_gaussian_ou_v1" else run_to_s2(own_world, {"lgcp.mode": mode})
    rows = intensity(run)
    for series in grouping(run).iter_rows(named=True):
        part = rows.slice(series["series_id"] * 2160, 2160)
        assert set(part["merchant_id"]) == {series["merchant_id"]}
        assert part["bucket_index"].to_list() == list(range(2160))
        expected = np.array(factors(series, run, 300, "ou" if "ou" in mode else "iid"))
        baseline = part["lambda_baseline"].to_numpy()[:300].astype(float)
        np.testing.assert_allclose(part["lambda_random_component"].to_numpy()[:300], expected, rtol=1e-6)
        np.testing.assert_allclose(part["lambda_realised"].to_numpy()[:300], baseline * expected, rtol=1e-11)


def test_mode_none_leaves_the_surface_as_it_is(own_world):
    run = run_to_s2(own_world, {"lgcp.mode": "none"})
    rows = intensity(run)
    assert (rows["lambda_realised"] == rows["lambda_baseline"].cast(pl.Float64)).all()
    assert run.counters("S2")["rng"][0]["draws"] == 0


def test_intensity_is_capped_and_capped_rows_are_counted(own_world):
    run = run_to_s2(own_world, {"lgcp.lambda_max": 10.0})
    rows = intensity(run)
    counters = run.counters("S2")["scenarios"][run.scenarios[0]]
    wanted = rows["lambda_baseline"].cast(pl.Float64) * rows["lambda_random_component"].cast(pl.Float64)
    assert rows["lambda_realised"].max() == 10.0
    assert counters["lambda_capped"] == pytest.approx((wanted > 10).sum(), abs=3)
    assert counters["lambda_capped"] > 100


def test_the_field_is_written_on_request_and_is_the_factor(own_world):
    run = run_to_s2(own_world, {"lgcp.emit_latent_field": True})
    field = run.frame("s2_latent_field_5B", scenario_id=run.scenarios[0])
    rows = intensity(run).join(
        grouping(run), on=["merchant_id", "legal_country_iso", "zone_representation", "channel_group"]
    )
    joined = rows.join(field, on=["group_id", "bucket_index"], how="left")
    factor = (joined["latent_value"] - joined["latent_std"] ** 2 / 2).exp().clip(0.2, 5.0)
    assert field.height == grouping(run)["group_id"].n_unique() * 2160
    np.testing.assert_allclose(factor, joined["lambda_random_component"], rtol=1e-6)


def test_the_same_seed_draws_the_same_numbers_in_a_child_world(reopened_world, published_run, civil_time_run):
    ours, theirs = intensity(published_run), intensity(civil_time_run)
    assert civil_time_run.receipt.manifest_fingerprint != published_run.receipt.manifest_fingerprint
    assert ours["lambda_random_component"].equals(theirs["lambda_random_component"])


def test_another_seed_draws_other_numbers(own_world, published_run):
    other = intensity(run_to_s2(own_world, seed=43))
    assert not other["lambda_random_component"].equals(intensity(published_run)["lambda_random_component"])


@pytest.mark.parametrize("sigma", [0.05, 0.25, 0.6, 1.2])
def test_mean_of_the_clipped_law_is_scipys(sigma):
    def integrand(n):
        return min(max(math.exp(sigma * n - sigma**2 / 2), 0.2), 5.0) * stats.norm.pdf(n)

    edges = [(math.log(bound) + sigma**2 / 2) / sigma for bound in (0.2, 5.0)]
    bounds = [-12, *[edge for edge in edges if -12 < edge < 12], 12]
    pieces = itertools.pairwise(bounds)
    expected = sum(integrate.quad(integrand, a, b, epsabs=1e-12)[0] for a, b in pieces)
    assert clipped_mean(sigma, 0.2, 5.0) == pytest.approx(expected, abs=1e-9)


def test_a_mean_factor_off_its_law_is_refused(own_world):
    """An i.i.d. field of mean one passes; the tolerance of the policy decides, so a tiny one refuses it."""
    changes = {"lgcp.floors.min_distinct_sigma": 1000}
    with pytest.raises(StateError, match="distinct sigma") as caught:
        run_to_s2(own_world, changes)
    assert caught.value.code == "5B.S2.LATENT_FLOOR"


def test_zone_mix_tilts_zones_and_keeps_every_merchants_total(own_world, published_run):
    before = intensity(published_run)
    active = before.filter(pl.col("lambda_baseline") > 0).group_by("merchant_id")
    zones = active.agg(pl.col("zone_representation").cast(pl.String).unique())["zone_representation"]
    first, second = next(sorted(names)[:2] for names in zones.to_list() if len(names) > 1)
    tilt = {"mode": "exponential_tilt", "eta": 0.7, "scores": {first: 1.0, second: 0.5}}
    rows = intensity(run_to_s2(own_world, {"lgcp.zone_mix": tilt}))
    ratio = rows["lambda_realised"] / before["lambda_realised"]
    tilted = before.with_columns(after=pl.col("lambda_baseline") * ratio)
    by_merchant = tilted.filter(pl.col("lambda_baseline") > 0).group_by("merchant_id")
    totals = by_merchant.agg(pl.col("lambda_baseline").sum().cast(pl.Float64), pl.col("after").sum())
    np.testing.assert_allclose(totals["after"], totals["lambda_baseline"], rtol=1e-5)
    assert ratio.drop_nans().n_unique() > 1


def test_tilt_multipliers_by_hand():
    series = pl.DataFrame({"merchant_id": [1, 1, 2, 3], "zone_representation": ["A", "B", "A", "A"]})
    tilt = ZoneTilt(mode="exponential_tilt", eta=math.log(2), scores={"A": 1.0})
    found = tilt_multipliers(series, np.array([6.0, 3.0, 5.0, 0.0]), tilt)
    np.testing.assert_allclose(found, [0.75, 1.5, 1.0, 1.0])
