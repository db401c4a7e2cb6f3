"""The command line as a person or a script meets it: help, exit codes, JSON, errors in a few lines."""

import json
import shutil
import subprocess
import sys

import pytest
import typer.main

from segment5b_lib.cli import main as entry
from segment5b_lib.engine import preflight
from segment5b_lib.engine.chain import create_run
from segment5b_lib.engine.retention import pin_new
from segment5b_lib.store.catalogue import list_runs
from segment5b_lib.store.postures import load_posture

COMMANDS = typer.main.get_command(entry.app).commands


def leaves(commands, prefix=()):
    for name, command in commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command.commands, (*prefix, name))
        else:
            yield (*prefix, name)


@pytest.mark.parametrize("path", list(leaves(COMMANDS)), ids=" ".join)
def test_every_command_has_help_with_an_example(path):
    command = COMMANDS[path[0]] if len(path) == 1 else COMMANDS[path[0]].commands[path[1]]
    assert f"Example: `segment5b {' '.join(path)}" in (command.help or "").replace("\n", " ")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['segment5b', '--help']\n"
        "from segment5b_lib.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numba', 'packaging', 'polars', 'duckdb', 'pyarrow', 'altair', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("private_outputs")
@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["show", "zzz"], 2, "5B.RUN.UNKNOWN"),
        (["run", "--world", "zzz"], 2, "5B.WORLD.UNKNOWN"),
        (["run", "--posture", "perfect"], 2, "civil_time, published, remediated"),
        (["run", "--set", "routing"], 2, "KEY=VALUE"),
        (["run", "--set", "routing.nothing=1"], 3, "5B.POLICY.UNKNOWN_KEY"),
        (["rerun", "--changed", "S9"], 2, "5B.RUN.UNKNOWN"),
        (["nothing"], 2, "No such command"),
        (["run", "--seed", "x"], 2, "Invalid value"),
        (["world", "build", "--scale", "huge"], 2, "authority"),
    ],
)
def test_wrong_use_and_bad_input_have_their_exit_codes_and_no_traceback(segment5b, arguments, code, word):
    found, out, err = segment5b(*arguments)
    assert found == code
    assert word in " ".join((out + err).split())
    assert "Traceback" not in out + err


def test_a_run_without_a_world_names_the_worlds_there_are(segment5b, own_world, reopened_world, private_outputs):
    shutil.copytree(reopened_world.root, private_outputs / "worlds" / reopened_world.mf)
    code, _, err = segment5b("run")
    assert code == 2
    text = " ".join(err.split())
    assert "there are several worlds, so one must be named" in text
    assert all(f"{world.mf[:12]} (tiny)" in text for world in (own_world, reopened_world))
    assert "segment5b run --world WORLD" in text
    for path in (private_outputs / "worlds").iterdir():
        shutil.rmtree(path)
    code, _, err = segment5b("run")
    assert code == 2
    assert "segment5b world build --scale small" in " ".join(err.split())


def test_a_run_that_s5_refuses_is_exit_code_1_and_one_that_s4_refuses_is_3(segment5b, own_run):
    code, _, err = segment5b("rerun", "--changed", "S5", "--set", "validation.count_shape.min_nonzero_fraction=0.9")
    assert code == 1
    assert "5B.S5.NONZERO_FRACTION" in err
    code, _, err = segment5b("rerun", "--run", own_run.run_id, "--changed", "S4", "--set", "routing.horizon_guard=fail")
    assert code == 3
    assert "5B.S4.HORIZON_SHORT" in err


def test_show_has_the_identity_and_every_state(segment5b, own_run):
    pin_new(own_run)
    code, out, _ = segment5b("show", own_run.run_id[:8])
    assert code == 0
    for text in (own_run.run_id, own_run.receipt.manifest_fingerprint, "tiny", "baseline", "S0", "S5", "peak MB"):
        assert text in out
    code, out, _ = segment5b("show", own_run.run_id[:8], "--json")
    found = json.loads(out)
    assert code == 0
    assert [state["state"] for state in found["states"]] == ["S0", "S1", "S2", "S3", "S4", "S5"]
    assert set(found["roles"]) == {"last_good", "baseline"} and found["bytes"] > 0


def test_a_damaged_world_is_exit_code_3_with_its_code_and_file(segment5b, own_world):
    path = own_world.files("site_locations")[0]
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = segment5b("run", "--quiet")
    assert code == 3
    assert "S0 FAIL 5B.S0.SEALED_INPUT_MISMATCH" in out
    assert path.name in "".join(err.split())


def test_run_reports_states_and_a_second_time_that_nothing_was_to_do(segment5b, own_world):
    code, out, _ = segment5b("run", "S0", "S1", "--quiet")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[:2]] == [["S0", "PASS"], ["S1", "PASS"]]
    code, out, _ = segment5b("run", "S0", "S1", "--quiet")
    assert code == 0
    assert out.splitlines()[:2] == ["S0 unchanged", "S1 unchanged"]
    assert "nothing to do" in out


def test_json_output_is_json(segment5b, own_run):
    pin_new(own_run)
    for arguments in (["runs"], ["show", "@baseline"], ["world", "show"], ["compare", "@baseline", "@last"]):
        code, out, _ = segment5b(*arguments, "--json")
        assert code == 0
        assert own_run.run_id[:8] in json.dumps(json.loads(out)) or arguments[0] == "world"


def test_prune_asks_first(segment5b, own_world, monkeypatch):
    run = create_run(own_world, load_posture("published"), seed=5, posture="published")
    monkeypatch.setattr(typer, "confirm", lambda _question: False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert segment5b("prune")[0] == 0
    assert run.root.is_dir()
    monkeypatch.setattr(typer, "confirm", lambda _question: True)
    assert segment5b("prune")[0] == 0
    assert not run.root.exists()


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_prune_removes_nothing_without_a_terminal(segment5b, own_world, options):
    run = create_run(own_world, load_posture("published"), seed=5, posture="published")
    code, _, err = segment5b("prune", *options)
    assert code == 2 and "5B.RUN.NOT_CONFIRMED" in err and run.root.is_dir()
    code, out, _ = segment5b("prune", "--yes", "--json")
    assert code == 0 and json.loads(out)["removed"] == [run.run_id] and not run.root.exists()


def test_a_rerun_names_superseded_runs_and_prunes_them_first_if_told(segment5b, own_run):
    old = create_run(own_run.world, load_posture("published"), seed=5, posture="published")
    rerun = ("rerun", "--run", own_run.run_id, "--changed", "S5", "--set")
    said = segment5b(*rerun, "validation.sampling.seed=6")[1]
    assert f"superseded: {old.run_id}" in said and "1 superseded run(s) are left" in said
    assert old.root.is_dir() and own_run.root.is_dir()
    code, out, _ = segment5b(*rerun, "validation.sampling.seed=7", "--prune")
    assert code == 0 and "pruned" in out and not old.root.exists()
    assert own_run.root.is_dir(), "its parent is in use"


def test_version_and_debug(segment5b, private_outputs):
    assert segment5b("--version")[0] == 0
    with pytest.raises(Exception, match=r"5B\.RUN\.UNKNOWN"):
        segment5b("--debug", "show", "zzz")


def test_a_run_that_cannot_fit_is_exit_code_4_and_leaves_no_run_behind(segment5b, own_world, monkeypatch):
    monkeypatch.setattr(preflight, "free_disk", lambda _folder: 10_000_000)
    code, _, err = segment5b("run", "--quiet")
    assert code == 4
    assert "5B.ENV.DISK_SHORT" in err
    assert list_runs() == []
