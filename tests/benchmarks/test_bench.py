"""The benchmarks' structure and arithmetic. What they measure is never judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import result, targets
from benchmarks.__main__ import main
from benchmarks.compare import comparison
from benchmarks.process import run
from benchmarks.tasks import LADDER, TASKS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A result of two tasks at tiny scale, and the outputs folder that it was made in."""
    outputs = tmp_path_factory.mktemp("bench")
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "run",
        "--scale",
        "tiny",
        "--repetitions",
        "1",
        "--only",
        "S4",
        "disk",
    ]
    environment = {**os.environ, "SEGMENT5B_OUTPUTS": str(outputs)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = (outputs / "benchmarks").iterdir()
    return result.read(path), path, done.stdout


@pytest.mark.slow
def test_a_result_says_what_was_measured_on_what(measured):
    document, path, _ = measured
    assert path.name.startswith("tiny-")
    assert set(document) == {"schema", "about", "machine", "versions", "sizes", "measures"}
    assert document["about"]["command"] == 'make bench SCALE=tiny N=1 THREADS=2 ONLY="S4 disk"'
    assert document["machine"]["cores"] >= 1
    assert {"python", "numba", "pyarrow", "commit"} <= set(document["versions"])
    assert document["sizes"]["tiny"]["rows"] == 44 * 2160


@pytest.mark.slow
def test_every_measure_has_its_repetitions(measured):
    measures = measured[0]["measures"]
    assert {"S4.wall_s", "S4.cpu_s", "S4.peak_bytes", "S4.rows_per_s", "S4.floor_s", "S4.floor_ratio"} <= set(measures)
    for name, one in measures.items():
        assert len(one["values"]) == 1, name
        assert one["min"] == one["median"] == one["max"] > 0, name
    floor = measures["S4.wall_s"]["median"] / measures["S4.floor_s"]["median"]
    assert measures["S4.floor_ratio"]["median"] == pytest.approx(floor)


@pytest.mark.slow
def test_bytes_per_arrival_are_those_of_the_run(measured, published_run):
    files = published_run.files("arrival_events_5B", published_run.scenarios[0])
    rows = published_run.last_records()["S4"].rows_out
    assert measured[0]["sizes"]["tiny"]["arrivals"] == rows
    found = measured[0]["measures"]["arrivals on disk.bytes_per_arrival"]["median"]
    assert found == sum(path.stat().st_size for path in files) / rows


@pytest.mark.slow
def test_what_was_made_for_it_is_gone_and_the_table_is_short(measured):
    _, path, text = measured
    assert list(path.parent.iterdir()) == [path]
    assert str(path) in text
    assert len(text.splitlines()) < 20


def test_a_task_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def broken(_session):
        raise RuntimeError("broken")

    monkeypatch.setitem(TASKS, "disk", broken)
    monkeypatch.setenv("SEGMENT5B_OUTPUTS", str(tmp_path))
    with pytest.raises(RuntimeError, match="broken"):
        main(["run", "--scale", "tiny", "--only", "disk"])
    assert list((tmp_path / "benchmarks").iterdir()) == []


def test_a_process_is_measured_and_its_failure_is_an_error():
    code = "import json; taken = b'x' * 300_000_000; print('so'); print(json.dumps({'bytes': len(taken)}))"
    finished = run([sys.executable, "-c", code], {})
    assert finished.answer == {"bytes": 300_000_000}
    assert finished.peak_bytes > 300_000_000
    assert finished.cpu_s > 0
    assert finished.wall_s > 0
    with pytest.raises(subprocess.CalledProcessError):
        run([sys.executable, "-c", "raise SystemExit(3)"], {})


def test_measures_keep_all_values_and_know_their_direction():
    one = result.measure("S4.rows_per_s", [3.0, 1.0, 2.0])
    assert one == {"unit": "rows/s", "better": "more", "values": [3.0, 1.0, 2.0], "median": 2.0, "min": 1.0, "max": 3.0}


def test_targets_are_of_measures_that_there_are():
    subjects = {*TASKS, "S1..S5", "world build", "S4 2 threads", "arrivals on disk", "cold kernels"}
    subjects |= {"segment5b --help", "import segment5b_lib", "medium to authority"}
    for name in targets.ANY_SCALE | targets.AUTHORITY:
        subject, _, what = name.rpartition(".")
        assert subject in subjects, name
        assert what in result.KINDS, name
    assert targets.target("S4.floor_ratio", "authority") == 1.5
    assert targets.target("S4.floor_ratio", "small") is None
    assert targets.met(result.measure("S4.floor_ratio", [1.4, 1.5, 9.0]), 1.5)
    assert not targets.met(result.measure("S4 2 threads.speedup", [1.7]), 1.8)
    assert all(ladder[-1] == scale for scale, ladder in LADDER.items())


def hand_made(scale="small", **measures):
    names = {name.replace("__", "."): values for name, values in measures.items()}
    return {
        "schema": result.SCHEMA,
        "about": {"scale": scale, "posture": "published", "seed": 42},
        "machine": {"cores": 2},
        "versions": {"numba": "1"},
        "measures": {name: result.measure(name, values) for name, values in names.items()},
    }


@pytest.mark.parametrize(
    ("name", "old", "new", "verdict"),
    [
        ("S4__wall_s", [10.0, 11.0, 12.0], [10.0, 11.0, 12.0], "not_distinguishable"),
        ("S4__wall_s", [10.0, 11.0, 12.0], [12.0, 12.5, 13.0], "not_distinguishable"),
        ("S4__wall_s", [10.0, 11.0, 12.0], [13.0, 13.5, 14.0], "worse"),
        ("S4__wall_s", [10.0, 11.0, 12.0], [5.0, 5.1, 5.2], "better"),
        ("S4__rows_per_s", [10.0, 11.0, 12.0], [5.0, 5.1, 5.2], "worse"),
        ("S4__rows_per_s", [10.0, 11.0, 12.0], [20.0, 21.0, 22.0], "better"),
        ("S4__wall_s", [10.0, 11.0, 12.0], [13.5, 1.0, 30.0], "not_distinguishable"),
        ("S4__wall_s", [10.0, 10.0], [20.0, 20.0, 20.0], "not_distinguishable"),
        ("disk__bytes_per_arrival", [13.0] * 3, [12.9] * 3, "better"),
    ],
)
def test_a_difference_below_the_spread_says_nothing(name, old, new, verdict):
    (row,) = comparison(hand_made(**{name: old}), hand_made(**{name: new}))
    assert row["verdict"] == verdict


def test_ratios_carry_their_spread():
    (row,) = comparison(
        hand_made(S4__wall_s=[8.0, 10.0, 20.0]), hand_made(S4__wall_s=[4.0, 5.0, 6.0], S1__wall_s=[1.0])
    )
    assert (row["measure"], row["ratio"], row["low"], row["high"]) == ("S4.wall_s", 0.5, 0.2, 0.75)


def test_compare_by_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEGMENT5B_OUTPUTS", str(tmp_path))
    base = tmp_path / "base.json"
    result.write(base, hand_made(S4__wall_s=[10.0, 11.0, 12.0]))
    assert main(["compare", str(base)]) == 2
    assert "no result of scale small" in capsys.readouterr().err
    result.write(tmp_path / "benchmarks" / "small-20260101T000000Z.json", hand_made(S4__wall_s=[1.0, 1.1, 1.2]))
    newest = hand_made(S4__wall_s=[20.0, 22.0, 24.0])
    newest["versions"]["numba"] = "2"
    result.write(tmp_path / "benchmarks" / "small-20260102T000000Z.json", newest)
    assert main(["compare", str(base)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "S4.wall_s 2.000 1.667 to 2.400 worse" in text
    assert "numba 1 against 2" in text


def test_results_of_different_work_and_other_files_are_refused(tmp_path, capsys):
    small, tiny, other = (tmp_path / f"{name}.json" for name in ("small", "tiny", "other"))
    result.write(small, hand_made(S4__wall_s=[1.0]))
    result.write(tiny, hand_made("tiny", S4__wall_s=[1.0]))
    other.write_text(json.dumps({"some": "thing"}))
    assert main(["compare", str(small), str(tiny)]) == 2
    assert "scale small and tiny" in capsys.readouterr().err
    assert main(["compare", str(small), str(other)]) == 2
    assert "not a result" in capsys.readouterr().err
