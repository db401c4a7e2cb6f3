"""`segment5b calibrate` and `--set @FILE`, as a person or a script meets them."""

import json

import pytest

from segment5b_lib.cli.terminal import parse_changes
from segment5b_lib.errors import MissingInputError, PolicyError, UsageError
from segment5b_lib.store.postures import load_posture, with_changes
from tests.cli.conftest import segment5b  # noqa: F401 - a fixture


def test_a_blocked_target_is_exit_code_1_and_says_why(segment5b, civil_time_run):  # noqa: F811
    code, out, _ = segment5b("calibrate", civil_time_run.run_id, "--json")
    found = json.loads(out)
    assert code == 1
    assert found["reached"] is False
    assert {verdict["gate"]: verdict["verdict"] for verdict in found["local_verdicts"]} == {
        "T6": "locally_blocked",
        "T7": "locally_blocked",
    }
    assert found["changes"] == {} and found["next"] == []
    assert {row["owner"] for row in found["sensitivity"]} == {"S4 routing", "S2 zone mix", "2B", "3B"}


def test_a_reachable_target_ends_in_commands_that_can_be_typed(segment5b, roomy_run, tmp_path):  # noqa: F811
    path = tmp_path / "bplus.yaml"
    code, out, _ = segment5b("calibrate", roomy_run.run_id[:8], "--out", str(path))
    text = " ".join(out.split())
    assert code == 0
    for part in ("T7 locally_blocked (3B)", "T6 reachable (S2 zone mix)", "duality gap", "seed 202: T6"):
        assert part in text
    assert f"--set @{path}" in out
    policies = with_changes(load_posture("civil_time"), parse_changes([f"@{path}"]))
    assert policies.lgcp.zone_mix.mode == "exponential_tilt"


def test_a_file_of_changes_is_read_like_a_posture(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("changes:\n  routing.p_virtual_hybrid: 0.4\n")
    assert parse_changes([f"@{path}", "count.law=poisson"]) == {"routing.p_virtual_hybrid": 0.4, "count.law": "poisson"}
    with pytest.raises(UsageError, match="twice"):
        parse_changes([f"@{path}", "routing.p_virtual_hybrid=0.5"])
    with pytest.raises(MissingInputError):
        parse_changes([f"@{tmp_path}/none.yaml"])
    path.write_text("routing.p_virtual_hybrid: 0.4\n")
    with pytest.raises(PolicyError):
        parse_changes([f"@{path}"])
