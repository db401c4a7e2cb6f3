"""`segment5b attach` on the command line: what a person and a script see, and with which exit code."""

import json
import shutil

import pytest

from tests.engine_root import RUN_ID, engine_root


@pytest.fixture
def root(published_run, own_world, tmp_path):
    """The engine's run of a world that is ours; its policies are not there."""
    return engine_root(published_run, tmp_path / "engine", world=False, policies=False)


def test_a_person_attaches_scores_and_looks(segment5b, root):
    code, out, _ = segment5b("attach", str(root), "--posture", "published")
    assert code == 0 and f"run {RUN_ID[:8]} in {root}" in out
    assert (
        "missing   policies (judged by those of posture published)" in out
        and f"next: segment5b score {RUN_ID[:8]}" in out
    )
    code, out, _ = segment5b("attach", str(root), "--posture", "published")
    assert code == 0 and "attached before" in out
    code, out, _ = segment5b("score", RUN_ID[:8], "--gate", "T1")
    assert code == 1 and "attached  seed 42" in out
    code, out, _ = segment5b("show", RUN_ID[:8])
    assert code == 0 and str(root) in out and "data engine" in out and "steps with lanes" in out
    code, out, _ = segment5b("runs")
    assert code == 0 and "attached" in out


def test_a_script_reads_json(segment5b, root):
    code, out, _ = segment5b("attach", str(root), "--posture", "published", "--json")
    found = json.loads(out)
    assert code == 0 and found["run_id"] == RUN_ID and not found["existed"] and found["world_in"] == "outputs"
    assert json.loads(segment5b("show", RUN_ID, "--json")[1])["attachment"]["root"] == str(root)
    assert json.loads(segment5b("runs", "--json")[1])[0]["attached"] is True


def test_next_steps_do_not_rerun_what_is_only_read(segment5b, root):
    segment5b("attach", str(root), "--posture", "published")
    _, out, _ = segment5b("score", RUN_ID[:8])
    assert "segment5b run --world" in out and "segment5b rerun" not in out
    code, _, err = segment5b("rerun", "--run", RUN_ID[:8], "--changed", "S4", "--set", "routing.zone_binding=row_zone")
    assert code == 2 and "5B.ATTACH.READ_ONLY" in err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "5B.ATTACH.NO_POLICIES"),
        (["--posture", "nothing"], 2, "5B.POLICY.UNKNOWN_POSTURE"),
        (["--posture", "published", "--run-id", "f"], 2, "5B.ATTACH.WHICH_RUN"),
        (["--posture", "published", "--world", "f"], 2, "5B.WORLD.UNKNOWN"),
    ],
)
def test_wrong_use_says_what_to_do(segment5b, root, arguments, code, says):
    found, _, err = segment5b("attach", str(root), *arguments)
    assert found == code and says in err and "expected" in err


def test_bad_input_has_its_code(segment5b, root):
    shutil.rmtree(root / "data")
    code, _, err = segment5b("attach", str(root))
    assert code == 3 and "5B.ATTACH.NO_DATA" in err and "expected" in err


def test_prune_says_that_it_leaves_it_alone(segment5b, root):
    segment5b("attach", str(root), "--posture", "published")
    code, out, _ = segment5b("prune", "--yes")
    assert code == 0 and "attached, never touched: 1" in out and root.is_dir()
