"""World files: strict, extended, changed by key; and every scale that ships can be read."""

import pytest
import yaml

from segment5b_lib.errors import PolicyError, UsageError
from segment5b_lib.world.world_file import load_spec, set_keys, world_names


def written(tmp_path, **changes):
    """The tiny world file, resolved, with some keys set and others removed, as a file of its own."""
    document = load_spec("tiny").document()
    for key, value in changes.items():
        if value is None:
            del document[key]
        else:
            document[key] = value
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_the_four_scales_ship_and_are_read():
    assert world_names() == ["authority", "medium", "small", "tiny"]
    counts = {name: load_spec(name).merchants.count for name in world_names()}
    assert counts == {"authority": 886, "medium": 250, "small": 60, "tiny": 12}


def test_authority_has_the_published_counts():
    spec = load_spec("authority")
    assert (spec.footprint.series, spec.footprint.sites) == (16_528, 23_989)
    assert spec.merchants.online.count * spec.edges.per_merchant == 5_000
    assert spec.geography.zones_in_use == 139
    assert spec.footprint.series * spec.horizon.buckets == 35_700_480


def test_a_file_of_ones_own_is_the_same_world(tmp_path):
    assert load_spec(written(tmp_path)) == load_spec("tiny")


def test_an_unquoted_date_is_a_date(tmp_path):
    path = written(tmp_path)
    path.write_text(path.read_text().replace("'2026-01-01'", "2026-01-01"), encoding="utf-8")
    assert load_spec(path) == load_spec("tiny")


def test_unknown_scale_lists_the_known_ones():
    with pytest.raises(UsageError) as caught:
        load_spec("huge")
    assert caught.value.code == "5B.WORLD.UNKNOWN_SCALE"
    assert "tiny" in caught.value.expected


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"colour": "blue"}, "colour"),
        ({"edges": None}, "edges"),
        ({"scale": "Tiny!"}, "scale"),
        ({"world_seed": "42"}, "world_seed"),
        ({"scenarios": []}, "scenarios"),
        ({"scenarios": ["stress_peak_v1", "baseline_v1"]}, "whole document"),
    ],
)
def test_a_bad_document_names_file_and_key(tmp_path, changes, key):
    path = written(tmp_path, **changes)
    with pytest.raises(PolicyError) as caught:
        load_spec(path)
    assert caught.value.exit_code == 3
    assert key in caught.value.where
    assert str(path) in caught.value.where


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("horizon.end", "2025-12-31"),
        ("horizon.bucket_seconds", 1000),
        ("merchants.online.count", 12),
        ("merchants.largest_classes", ["travel_hospitality", "online_24h"]),
        ("footprint.series", 11),
        ("footprint.sites", 43),
        ("geography.zones_in_use", 6),
        ("rhythms.office_hours.close", 9),
        ("rhythms.office_hours.days", [0, 0, 0, 0, 0, 0, 0]),
        ("rhythms.office_hours.days", [1, 1]),
        ("demand.dormant_share", 1.0),
        ("upstream.2A.last_transition_year", 2101),
        ("upstream.2B.strength", 1.5),
        ("upstream.3B.rules.has_outlets.mccs", ["5411"]),
        ("upstream.3B.rules.card_not_present.mode", "SOMETIMES"),
    ],
)
def test_impossible_values_are_refused(key, value):
    if key == "merchants.largest_classes":
        value = ["low_volume_tail"]
    with pytest.raises(PolicyError) as caught:
        load_spec("tiny", {key: value})
    assert caught.value.code == "5B.POLICY.INVALID"


@pytest.mark.parametrize("key", ["merchants.size.colour", "colour", "merchants.count.x", "upstream.3B.rules.no_rule"])
def test_a_change_of_an_unknown_key_is_refused(key):
    with pytest.raises(PolicyError) as caught:
        load_spec("tiny", {key: 1})
    assert caught.value.code == "5B.WORLD.UNKNOWN_KEY"
    assert key in caught.value.where


def test_changes_reach_into_lists_by_rule_id_and_leave_the_original_alone():
    before = {"rules": [{"rule_id": "a", "mode": 1}, {"rule_id": "b", "mode": 2}], "x": {"y": 3}}
    after = set_keys(before, {"rules.b.mode": 9, "x.y": 4})
    assert after == {"rules": [{"rule_id": "a", "mode": 1}, {"rule_id": "b", "mode": 9}], "x": {"y": 4}}
    assert before["rules"][1]["mode"] == 2


def test_extends_takes_the_others_keys_mapping_by_mapping(tmp_path):
    written(tmp_path).rename(tmp_path / "base.yaml")
    child = tmp_path / "child.yaml"
    child.write_text("extends: base\nscale: child\nmerchants: {low_volume_share: 0.0}\n", encoding="utf-8")
    expected = load_spec("tiny", {"scale": "child", "merchants.low_volume_share": 0.0})
    assert load_spec(child) == expected


def test_files_that_extend_each_other_are_refused(tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"extends: {other}\n", encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_spec(tmp_path / "a.yaml")
    assert caught.value.code == "5B.WORLD.EXTENDS_ITSELF"
    assert caught.value.found == "a extends b extends a"
