"""Policies and postures: strict, hashed, and changed by key."""

import shutil

import pytest

from segment5b_lib.errors import PolicyError, UsageError
from segment5b_lib.store.postures import load_policies, load_posture, posture_names, with_changes, write_policies
from segment5b_lib.store.roots import parameters_folder


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(parameters_folder() / "policies", tmp_path / "policies")


def test_the_shipped_postures_differ_in_exactly_the_documented_keys():
    published, civil_time, remediated = map(load_posture, ("published", "civil_time", "remediated"))
    assert posture_names() == ["civil_time", "published", "remediated"]
    assert published.placement.local_time_encoding == "utc_marked"
    for policies in (civil_time, remediated):
        assert policies.placement.local_time_encoding == "wall_clock"
        assert policies.routing.physical_router.zone_binding == "row_zone"
        assert policies.routing.horizon_guard == "fail"
        assert policies.validation.civil_time_enforcement == "fail_closed"
    assert civil_time.validation.calibration_sentinels.evaluation_mode == "warn_only"
    assert remediated.validation.calibration_sentinels.evaluation_mode == "enforce_bplus"
    assert published.lgcp == civil_time.lgcp
    assert published.count == remediated.count


def test_unknown_posture_lists_what_exists():
    with pytest.raises(UsageError, match="civil_time, published, remediated"):
        load_posture("perfect")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("arrival_count_config_5B", "law: nb2", "law: nb3", "key law"),
        ("arrival_count_config_5B", "law: nb2", "law: nb2\nextra: 1", "key extra"),
        ("arrival_count_config_5B", "law: nb2\n", "", "key law"),
        ("arrival_count_config_5B", "law: nb2", "law: nb2\nlaw: poisson", "given twice"),
        ("arrival_count_config_5B", "max_count: 50000", "max_count: '50000'", "key max_count"),
        ("arrival_count_config_5B", "law: nb2", "law: [", "not YAML"),
        ("arrival_routing_policy_5B", "p_virtual_hybrid: 0.35", "p_virtual_hybrid: 0.95", "outside"),
        ("arrival_rng_policy_5B", "philox2x64-10", "mt19937", "key algorithm"),
    ],
)
def test_a_wrong_policy_file_is_refused_with_file_and_key(folder, file, old, new, message):
    path = folder / f"{file}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(PolicyError, match=message) as caught:
        load_policies(folder)
    assert file in caught.value.where


def test_temper_is_refused_with_row_zone():
    tilt = {"mode": "exponential_tilt", "eta": 0.5, "scores": {"Europe/London": 1.0}}
    with_changes(load_posture("published"), {"routing.concentration_temper": tilt})
    with pytest.raises(PolicyError, match="only with zone_binding group_weights"):
        with_changes(load_posture("remediated"), {"routing.concentration_temper": tilt})


def test_any_edited_number_changes_the_parameter_hash_and_files_round_trip(tmp_path):
    published = load_posture("published")
    changed = with_changes(published, {"lgcp.factor_clip.max": 5.5})
    assert changed.parameter_hash != published.parameter_hash
    write_policies(changed, tmp_path)
    assert load_policies(tmp_path).parameter_hash == changed.parameter_hash


def test_a_key_may_leave_out_inner_names_only_while_it_stays_unique():
    published = load_posture("published")
    short = with_changes(published, {"routing.zone_binding": "row_zone"})
    full = with_changes(published, {"arrival_routing_policy_5B.physical_router.zone_binding": "row_zone"})
    assert short.parameter_hash == full.parameter_hash
    with pytest.raises(PolicyError, match=r"factor_clip\.max"):
        with_changes(published, {"lgcp.max": 3.0})
    with pytest.raises(PolicyError, match="zone_binding"):
        with_changes(published, {"routing.nothing": 1})
    with pytest.raises(PolicyError, match="time_grid, grouping"):
        with_changes(published, {"nothing.law": 1})


def test_a_dotted_key_is_looked_up_or_refused_by_name():
    policies = load_posture("published")
    assert policies.at("routing", "physical_router.zone_binding") == policies.routing.physical_router.zone_binding
    assert policies.at("validation", "gates.T6.b.max") == policies.validation.gates["T6"].b.max
    assert policies.at("validation", "gates.T6.b") == policies.document("validation")["gates"]["T6"]["b"]
    assert policies.at("validation", "gates.T99.b.max", None) is None
    assert policies.at("rng", "algorithm.length", 7) == 7
    with pytest.raises(PolicyError, match=r"(?s)no key 'gates\.T99\.b'.*validation_policy_5B.*'T99'.*T1, "):
        policies.at("validation", "gates.T99.b")
