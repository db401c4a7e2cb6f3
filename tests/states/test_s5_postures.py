"""What S5 says of the shipped postures, and how its policy makes it stricter or more lenient."""

import json

import duckdb
import pytest

from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.errors import StateError
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.postures import load_posture, with_changes
from tests.planted_run import ARRIVALS, Verdict, bundle_bytes, judge, part_file, rows_of

CIVIL = {"HORIZON_GUARD", "LOCAL_TIME_CONTRACT", "CIVIL_MISMATCH", "ONE_HOUR_MASS"}
SENTINELS = {"T6_TOP10_ZONES", "T7_VIRTUAL_SHARE"}


def report_of(run):
    return Verdict(json.loads(bundle_bytes(run)["validation_report_5B.json"]), None)


def by_status(report, status):
    return {check["check_id"] for check in report["checks"] if check["status"] == status}


def rerun_s5(run, changes):
    """S5 alone under a changed policy, as `rerun --changed S5` does it."""
    child = prepare_rerun(run, "S5", changes, threads=2)
    error = None
    try:
        run_states(child, threads=2)
    except StateError as refusal:
        error = refusal
    return Verdict(report_of(child).report, error), child


def test_published_run_passes_with_the_defect_in_its_advisories(published_run):
    report = report_of(published_run).report
    assert report["status"] == "PASS" and report["first_failed_check"] is None
    assert by_status(report, "advisory") >= CIVIL | SENTINELS | {"ANOMALIES"}
    assert not by_status(report, "fail") | by_status(report, "warn")


def test_corrected_run_passes_and_only_the_uncalibrated_sentinels_speak(civil_time_run):
    report = report_of(civil_time_run).report
    assert report["status"] == "PASS"
    assert by_status(report, "advisory") - {"T8_WEEKEND"} <= SENTINELS
    assert by_status(report, "pass") >= CIVIL
    assert report_of(civil_time_run).check("CIVIL_MISMATCH")["value"] == 0
    assert report_of(civil_time_run).check("HORIZON_GUARD")["value"] == 1


def test_estimate_agrees_with_a_full_scan_of_the_published_clocks(published_run):
    rows = rows_of(part_file(published_run, ARRIVALS))
    grid = published_run.table("s1_time_grid_5B", scenario_id=published_run.scenarios[0])
    start, end = (int(grid[name][at].value) // 10**6 for name, at in (("bucket_start_utc", 0), ("bucket_end_utc", -1)))
    wrong, one_hour = 0, 0
    for (tzid,), group in rows.group_by("tzid_primary"):
        ts, local = (group[name].to_physical().to_numpy() for name in ("ts_utc", "ts_local_primary"))
        error_us = local - ts - expected_offsets(tzid, start, end).at(ts // 10**6) * 10**6
        wrong += int((error_us != 0).sum())
        one_hour += int((abs(error_us) == 3_600_000_000).sum())
    check = report_of(published_run).check("CIVIL_MISMATCH")
    truth = wrong / rows.height
    error = (truth * (1 - truth) / check["detail"]["sampled"]) ** 0.5
    assert check["detail"]["share_by_column"]["primary"] == pytest.approx(truth, abs=5 * error)
    assert report_of(published_run).check("ONE_HOUR_MASS")["value"] == pytest.approx(
        one_hour / rows.height, abs=5 * error
    )


def test_full_sentinels_equal_a_direct_count(published_run):
    rows = rows_of(part_file(published_run, ARRIVALS))
    zones = rows["tzid_primary"].value_counts().sort("count", descending=True)["count"]
    report = report_of(published_run)
    assert report.check("T6_TOP10_ZONES")["value"] == pytest.approx(zones.head(10).sum() / rows.height, abs=1e-12)
    assert report.check("T7_VIRTUAL_SHARE")["value"] == pytest.approx(rows["is_virtual"].mean(), abs=1e-12)
    files = [str(path) for path in published_run.files("s3_bucket_counts_5B", published_run.scenarios[0])]
    (deviation,) = duckdb.execute(
        "SELECT stddev_samp((count_N - mu) / sqrt(mu)) FROM read_parquet($f) WHERE mu > 1e-9", {"f": files}
    ).fetchone()
    assert report.check("T9_DISPERSION")["value"] == pytest.approx(deviation, rel=1e-9)


def test_published_run_is_refused_once_the_clock_is_enforced(published_run, private_outputs, own_run):
    verdict, child = rerun_s5(own_run, {"validation.civil_time_enforcement": "fail_closed"})
    assert by_status(verdict.report, "fail") >= CIVIL
    assert verdict.error.code == verdict.report["first_failed_check"] == "5B.S5.HORIZON_GUARD"
    assert verdict.error.exit_code == 1
    assert not (child.bundle_folder / "_passed.flag").exists()
    assert child.last_records()["S5"].status == "FAIL"
    assert child.last_records()["S5"].error_code == "5B.S5.HORIZON_GUARD"


def test_a_moved_threshold_is_named_in_the_report_of_a_rerun(own_run):
    verdict, _ = rerun_s5(own_run, {"validation.count_shape.min_nonzero_fraction": 0.9})
    assert verdict.error.code == "5B.S5.NONZERO_FRACTION"
    (source,) = verdict.check("NONZERO_FRACTION")["thresholds"]
    assert source == {
        "policy_file": "validation_policy_5B",
        "policy_key": "count_shape.min_nonzero_fraction",
        "min": 0.9,
    }


@pytest.mark.parametrize(
    ("mode", "limits", "status", "code"),
    [
        ("warn_only", {}, "advisory", None),
        ("enforce_b", {}, "fail", "5B.S5.T6_TOP10_ZONES"),
        ("enforce_b", {"gates.T6.b": {"max": 1.0}, "gates.T7.b": {"max": 1.0}}, "pass", None),
        ("enforce_bplus", {"gates.T6.b": {"max": 1.0}, "gates.T7.b": {"max": 1.0}}, "fail", "5B.S5.T6_TOP10_ZONES"),
        (
            "enforce_bplus",
            {
                "gates.T6.b": {"max": 1.0},
                "gates.T6.bplus": {"max": 1.0},
                "gates.T7.b": {"max": 0.0},
                "gates.T7.bplus": {"max": 1.0},
            },
            "pass",
            "5B.S5.T7_VIRTUAL_SHARE",
        ),
    ],
)
def test_sentinels_are_as_strict_as_the_mode_says(own_civil_run, mode, limits, status, code):
    changes = {"validation.evaluation_mode": mode} | {f"validation.{key}": value for key, value in limits.items()}
    verdict, _ = rerun_s5(own_civil_run, changes)
    assert verdict.status("T6_TOP10_ZONES") == status
    assert (verdict.error.code if verdict.error else None) == code


@pytest.mark.parametrize(("most", "code"), [(0, "5B.S5.WARNINGS"), (1, None)])
def test_a_missed_major_sentinel_warns_and_warnings_are_limited(own_civil_run, most, code):
    changes = {
        "validation.evaluation_mode": "enforce_b",
        "validation.gates.T6.b": {"max": 1.0},
        "validation.gates.T7.b": {"max": 1.0},
        "validation.gates.T9.b": {"max": 1.0},
        "validation.max_warnings": most,
    }
    verdict, _ = rerun_s5(own_civil_run, changes)
    assert verdict.status("T9_DISPERSION") == "warn"
    assert (verdict.error.code if verdict.error else None) == code


def test_weekend_sentinel_says_when_it_cannot_tell(own_civil_run):
    verdict, _ = rerun_s5(own_civil_run, {"validation.gates.T8.b": {"max": 1e-6}})
    check = verdict.check("T8_WEEKEND")
    assert check["status"] == "advisory" and check["detail"]["arrivals_needed"] > check["population"]
    blunt, _ = rerun_s5(own_civil_run, {"validation.gates.T8.b": {"max": 5.0}})
    assert blunt.status("T8_WEEKEND") == "pass"


def test_capped_counts_warn(tiny_world, private_outputs):
    (private_outputs / "worlds" / tiny_world.mf).symlink_to(tiny_world.root)
    policies = with_changes(load_posture("published"), {"count.max_count": 60})
    run = create_run(tiny_world, policies, seed=42, posture="published")
    with pytest.raises(StateError) as refusal:
        run_states(run, threads=2)
    verdict = report_of(run)
    capped = run.frame("s3_bucket_counts_5B", scenario_id=run.scenarios[0])["count_capped"]
    assert verdict.check("COUNTS_CAPPED")["value"] == capped.sum() > 0
    assert verdict.status("COUNTS_CAPPED") == "warn"
    assert refusal.value.code == "5B.S5.WARNINGS"


def test_remediated_posture_enforces_bplus(own_civil_run):
    policy = load_posture("remediated").validation
    assert policy.calibration_sentinels.evaluation_mode == "enforce_bplus"
    assert policy.civil_time_enforcement == "fail_closed"
    verdict, _ = rerun_s5(own_civil_run, {"validation.evaluation_mode": "enforce_bplus"})
    keys = [bound["policy_key"] for bound in verdict.check("T6_TOP10_ZONES")["thresholds"]]
    assert keys == ["gates.T6.b", "gates.T6.bplus"] and verdict.error is not None


def test_every_scenario_is_checked(private_outputs):
    from segment5b_lib.world.build import build_world
    from segment5b_lib.world.world_file import load_spec

    spec = load_spec("tiny", {"scenarios": ["baseline_v1", "stress_peak_v1"]})
    run = create_run(build_world(spec, private_outputs).world, load_posture("published"), seed=42, posture="published")
    run_states(run, threads=2)
    report = report_of(run)
    assert report.report["scenario_set"] == ["baseline_v1", "stress_peak_v1"]
    totals = read_json(run.bundle_folder / "rng_totals_5B.json")
    assert len(totals) == 10 and {row["scenario_id"] for row in totals} == set(run.scenarios)
    arrivals = sum(run.counters("S4")["shards"][name]["part-000000.parquet"]["rows"] for name in run.scenarios)
    assert report.check("T6_TOP10_ZONES")["population"] == arrivals
    assert judge(run).error is None
