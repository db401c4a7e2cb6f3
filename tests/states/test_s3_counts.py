"""S3 against scipy's inverse distribution functions at the very same uniforms."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.store.postures import load_posture, with_changes
from tests.reference.randomness import philox2x64, stream_key, uniform

KEY = ["merchant_id", "legal_country_iso", "zone_representation", "channel_group"]


def counts(run):
    return run.frame("s3_bucket_counts_5B", scenario_id=run.scenarios[0])


def uniforms(run, rows):
    """The uniform of each row, in plain Python."""
    keys = {}
    for row in rows.select(*KEY, "bucket_index").iter_rows():
        if row[:4] not in keys:
            root, scenario = run.receipt.rng_root, run.scenarios[0]
            keys[row[:4]] = stream_key("S3.bucket_count.v2", root, run.receipt.seed, scenario, *row[:4])
        yield uniform(philox2x64(row[4], 0, keys[row[:4]])[0])


def run_to_s3(world, changes):
    run = create_run(world, with_changes(load_posture("published"), changes), seed=42, posture="published")
    run_states(run, ["S0", "S1", "S2", "S3"], threads=2)
    return run


def test_counts_are_scipys_negative_binomial_quantiles(published_run):
    rows = counts(published_run).filter(pl.col("mu") > 1e-9).sample(4000, seed=3)
    mu, kappa = rows["mu"].to_numpy(), rows["kappa"].to_numpy()
    expected = stats.nbinom.ppf(list(uniforms(published_run, rows)), kappa, kappa / (kappa + mu))
    assert (rows["count_N"].to_numpy() == expected).all()


def test_counts_are_scipys_poisson_quantiles(own_world):
    run = run_to_s3(own_world, {"count.law": "poisson"})
    rows = counts(run).filter(pl.col("mu") > 1e-9).sample(4000, seed=3)
    expected = stats.poisson.ppf(list(uniforms(run, rows)), rows["mu"].to_numpy())
    assert (rows["count_N"].to_numpy() == expected).all()
    assert set(rows["count_law_id"]) == {"poisson"}


def test_every_row_of_the_intensity_has_its_count_in_the_same_order(published_run):
    rows = counts(published_run)
    intensity = published_run.frame("s2_realised_intensity_5B", scenario_id=published_run.scenarios[0])
    assert rows.select(*KEY, "bucket_index").equals(intensity.select(*KEY, "bucket_index"))
    assert (rows["mu"] == intensity["lambda_realised"]).all()
    assert (rows.filter(pl.col("mu") <= 1e-9)["count_N"] == 0).all()
    assert rows["count_N"].dtype == pl.Int32


def test_dispersion_is_base_times_class(published_run):
    classes = {"bills_utilities": 36.0, "online_bursty": 12.0, "retail_daytime": 30.0, "office_hours": 33.0}
    grouping = published_run.frame("s1_grouping_5B", scenario_id="baseline_v1")
    rows = counts(published_run).join(grouping, on=KEY).unique(["demand_class", "kappa"])
    seen = {row["demand_class"]: row["kappa"] for row in rows.iter_rows(named=True)}
    known = set(seen) & set(classes)
    assert known
    assert {name: seen[name] for name in known} == pytest.approx({name: classes[name] for name in known})


def test_the_cap_cuts_and_counts(own_world):
    run = run_to_s3(own_world, {"count.max_count": 5})
    rows = counts(run)
    counters = run.counters("S3")["scenarios"][run.scenarios[0]]
    assert rows["count_N"].max() == 5
    assert counters["count_capped"] == rows["count_capped"].sum() > 0


def test_totals_are_a_function_of_the_data(published_run):
    rows = counts(published_run)
    counters = published_run.counters("S3")
    drawn = int((rows["mu"] > 1e-9).sum())
    total = counters["rng"][0]
    assert (total["family"], total["events"], total["blocks"], total["draws"]) == (
        "S3.bucket_count.v2",
        drawn,
        drawn,
        drawn,
    )
    assert counters["scenarios"][published_run.scenarios[0]]["total_arrivals"] == rows["count_N"].sum()
    zero_share = np.mean(rows["count_N"].to_numpy() == 0)
    assert counters["scenarios"][published_run.scenarios[0]]["rows_zero"] == round(zero_share * rows.height)
