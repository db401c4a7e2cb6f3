"""Identity against the worked examples of the engine's contracts and hand-written bytes."""

import hashlib
import json

import pytest

from segment5b_lib import identity


def test_site_and_edge_ids_are_the_engines_worked_examples():
    assert identity.site_id(1234567890123456789, "GB", 1) == 2553736327785104492
    assert f"{identity.edge_id(1234567890123456789, 0):016x}" == "ae56a58bc4908be6"


@pytest.mark.parametrize(
    ("tzid", "group"),
    [("Europe/London", "zg07"), ("America/New_York", "zg12"), ("Asia/Kolkata", "zg08"), ("Etc/UTC", "zg09")],
)
def test_zone_groups_are_the_engines_worked_examples(tzid, group):
    assert identity.zone_group_id(tzid) == group


def test_canonical_json_is_sorted_compact_and_utf8():
    assert identity.canonical_json({"b": [1, 2.5], "a": "é"}) == '{"a":"é","b":[1,2.5]}'.encode()


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        identity.canonical_json({"a": float("nan")})


def test_run_id_is_the_digest_of_its_four_parts():
    text = '{"manifest_fingerprint":"m","nonce":3,"parameter_hash":"p","seed":42}'
    assert identity.run_id("m", "p", 42, 3) == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_fingerprint_does_not_depend_on_the_order_of_members_but_on_each_of_them():
    members = [{"dataset_id": "a", "path": f"p{n}", "sha256": str(n)} for n in range(3)]
    fingerprint = identity.manifest_fingerprint(members)
    assert identity.manifest_fingerprint(members[::-1]) == fingerprint
    rows = json.dumps([["a", f"p{n}", str(n)] for n in range(3)], separators=(",", ":"))
    assert fingerprint == hashlib.sha256(rows.encode()).hexdigest()
    assert identity.manifest_fingerprint([*members[:2], {**members[2], "sha256": "x"}]) != fingerprint
