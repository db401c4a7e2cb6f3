"""Bundles of every upstream segment: what is sealed verifies, and any change is named."""

import hashlib
import json

import pytest

from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.store.bundles import SHAPES, read_bundle, seal_bundle

MF = "ab" * 32


@pytest.fixture(params=sorted(SHAPES))
def bundle(request, tmp_path):
    folder = tmp_path / "data" / "validation"
    folder.mkdir(parents=True)
    prefix = "data/validation/" if SHAPES[request.param].relative_to_root else ""
    for name in ("report", "checks"):
        (folder / f"{name}.json").write_text(f'{{"name": "{name}"}}')
    members = {name: f"{prefix}{name}.json" for name in ("report", "checks")}
    seal_bundle(request.param, folder, tmp_path, members, MF)
    return request.param, folder, tmp_path


def test_a_sealed_bundle_verifies(bundle):
    segment, folder, root = bundle
    digest = read_bundle(segment, folder, root, MF)
    content = [(folder / f"{name}.json").read_bytes() for name in ("checks", "report")]
    if segment in ("1A", "1B"):
        content.insert(1, (folder / "index.json").read_bytes())
    if segment == "3A":
        content = [hashlib.sha256(member).hexdigest().encode() for member in content]
    assert digest == hashlib.sha256(b"".join(content)).hexdigest()


@pytest.mark.parametrize("victim", ["report.json", "checks.json"])
def test_a_flipped_byte_is_found(bundle, victim):
    segment, folder, root = bundle
    path = folder / victim
    path.write_bytes(path.read_bytes().replace(b"n", b"m", 1))
    with pytest.raises(InputError, match=segment) as caught:
        read_bundle(segment, folder, root, MF)
    assert caught.value.code == "5B.S0.UPSTREAM_GATE_MISMATCH"


@pytest.mark.parametrize("victim", ["report.json", "_passed.flag", "index"])
def test_a_missing_part_is_found(bundle, victim):
    segment, folder, root = bundle
    (folder / (SHAPES[segment].file if victim == "index" else victim)).unlink()
    with pytest.raises(MissingInputError, match=segment) as caught:
        read_bundle(segment, folder, root, MF)
    assert caught.value.code == "5B.S0.UPSTREAM_GATE_MISSING"


def test_a_flag_of_another_bundle_is_found(bundle):
    segment, folder, root = bundle
    flag = folder / "_passed.flag"
    flag.write_text(flag.read_text().replace("a", "b"))
    with pytest.raises(InputError, match=segment):
        read_bundle(segment, folder, root, MF)


@pytest.mark.parametrize("path", ["../x.json", "/etc/hosts", "a\\b", "c:d", ""])
def test_an_index_may_not_point_outside(tmp_path, path):
    (tmp_path / "index.json").write_text(json.dumps({"files": [{"path": path, "sha256_hex": "0" * 64}]}))
    (tmp_path / "_passed.flag").write_text("sha256_hex = " + "0" * 64)
    with pytest.raises(InputError, match="relative ASCII paths"):
        read_bundle("2A", tmp_path, tmp_path, MF)
