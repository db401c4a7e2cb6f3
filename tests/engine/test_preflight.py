"""What cannot fit is refused before it starts, with the bytes needed and free; what fits, or is done, is not."""

import re

import pytest

from segment5b_lib.contract.words import STATES
from segment5b_lib.engine import preflight
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.engine.preflight import Needs, Size, run_needs, scale_needs, size_of_spec, size_of_world, world_needs
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.errors import EnvironmentFault
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.world.world_file import load_spec

MB = 10**6


def digits(text):
    return int(re.sub(r"[^0-9]", "", text))


@pytest.fixture
def fresh_run(own_world):
    return create_run(own_world, load_posture("published"), seed=42, posture="published")


@pytest.mark.parametrize(
    ("which", "code", "free"),
    [("free_disk", "5B.ENV.DISK_SHORT", 200 * MB), ("free_memory", "5B.ENV.MEMORY_SHORT", 900 * MB)],
)
def test_a_run_that_cannot_fit_is_refused_before_it_starts(fresh_run, monkeypatch, which, code, free):
    monkeypatch.setattr(preflight, which, lambda *_: free)
    with pytest.raises(EnvironmentFault) as caught:
        run_states(fresh_run, threads=2)
    error = caught.value
    assert (error.code, error.exit_code) == (code, 4)
    assert digits(error.found) == free
    assert digits(error.expected) > free
    assert error.next_step
    assert fresh_run.records() == []
    assert [fresh_run.marker(state) for state in STATES] == [None] * len(STATES)


def test_the_bytes_that_it_says_it_needs_are_enough(fresh_run, monkeypatch):
    monkeypatch.setattr(preflight, "free_disk", lambda _: 0)
    with pytest.raises(EnvironmentFault) as caught:
        run_states(fresh_run, ["S0"], threads=2)
    monkeypatch.setattr(preflight, "free_disk", lambda _: digits(caught.value.expected) + 1)
    assert run_states(fresh_run, ["S0"], threads=2) == ["S0"]


def test_a_finished_run_needs_nothing(published_run, monkeypatch):
    monkeypatch.setattr(preflight, "free_disk", lambda _: 0)
    monkeypatch.setattr(preflight, "free_memory", lambda: 0)
    assert run_states(published_run, threads=2) == []


def test_a_rerun_counts_only_the_states_that_change(own_run, monkeypatch):
    size = size_of_world(own_run.world)
    enough = run_needs(size, 2, new=["S4", "S5"]).disk + preflight.DISK_RESERVE
    assert enough < run_needs(size, 2).disk + preflight.DISK_RESERVE
    child = prepare_rerun(own_run, "S4", {"routing.zone_binding": "row_zone"}, threads=2)
    monkeypatch.setattr(preflight, "free_disk", lambda _: int(enough) - 1)
    with pytest.raises(EnvironmentFault, match="DISK_SHORT"):
        run_states(child, threads=2)
    monkeypatch.setattr(preflight, "free_disk", lambda _: int(enough) + 1)
    assert run_states(child, ["S0", "S1", "S2", "S3", "S4"], threads=2) == ["S4"]


def test_arithmetic_of_a_run():
    size = Size(rows=1000, scenarios=2, arrivals=500.0)
    assert run_needs(size, 3).memory == 650 * MB + 12 * 1000 + 3 * 320 * MB
    every = (5 * 2000) + (1.5 * 2000) + (0.5 * 2000 + 14 * 500)
    assert run_needs(size, 3).disk == pytest.approx(1.2 * every)
    assert run_needs(size, 3, latent_field=True).disk == pytest.approx(1.2 * (every + 10 * 2000))
    assert run_needs(size, 3, new=["S0", "S1", "S5"]).disk == 0
    # S2 and S3 are there: the larger of the two lies twice on the disk for a while.
    again = run_needs(size, 3, new=["S4", "S5"], again=["S2", "S3"])
    assert again.disk == pytest.approx(1.2 * (0.5 * 2000 + 14 * 500 + 5 * 2000))


def test_arithmetic_of_a_world_and_its_runs():
    size = Size(rows=1000, scenarios=2, arrivals=500.0)
    assert world_needs(size) == Needs(pytest.approx(1.2 * 1.5 * 2000), 400 * MB + 32 * 1000)
    spec = load_spec("tiny")
    world, run = world_needs(size_of_spec(spec)), run_needs(size_of_spec(spec), 2)
    assert scale_needs(spec, 2, runs=2) == Needs(
        pytest.approx(world.disk + 2 * run.disk), max(world.memory, run.memory)
    )


def test_a_world_is_as_large_as_its_file_says(tiny_world):
    built, planned = size_of_world(tiny_world), size_of_spec(load_spec("tiny"))
    assert (built.rows, built.scenarios) == (planned.rows, planned.scenarios) == (44 * 2160, 1)
    assert built.arrivals == pytest.approx(planned.arrivals, rel=1e-3)


def test_scenarios_multiply_disk_and_not_memory():
    one = size_of_spec(load_spec("tiny"))
    both = size_of_spec(load_spec("tiny", {"scenarios": ["baseline_v1", "stress_peak_v1"]}))
    assert run_needs(both, 2).disk == pytest.approx(2 * run_needs(one, 2).disk)
    assert run_needs(both, 2).memory == run_needs(one, 2).memory


def test_the_estimate_covers_what_a_run_really_writes_and_is_not_far_from_it(published_run, tiny_world):
    written = sum(output.bytes for output in published_run.outputs(*STATES))
    size = size_of_world(tiny_world)
    assert written < run_needs(size, 2).disk < 2 * written
    world = sum(path.stat().st_size for path in tiny_world.root.rglob("*") if path.is_file())
    assert world < world_needs(size).disk + preflight.DISK_RESERVE


def test_a_field_that_is_written_needs_room(own_world, monkeypatch):
    asked = []
    monkeypatch.setattr(preflight, "require", lambda needs, *_: asked.append(needs.disk))
    for emit in (False, True):
        policies = with_changes(load_posture("published"), {"lgcp.emit_latent_field": emit})
        run = create_run(own_world, policies, seed=42, posture="published")
        preflight.require_run(run, STATES, 2)
    assert asked[1] - asked[0] == pytest.approx(1.2 * 10 * 44 * 2160)


def test_free_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    assert preflight.free_disk(tmp_path / "not" / "yet") > 0


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({}, None),
        ({"memory.max": "max", "memory.current": "5", "memory.stat": "inactive_file 1"}, None),
        ({"memory.max": "900", "memory.current": "500", "memory.stat": "anon 3\ninactive_file 100\n"}, 500),
        (
            {
                "memory/memory.limit_in_bytes": "800\n",
                "memory/memory.usage_in_bytes": "500\n",
                "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 50\n",
            },
            350,
        ),
    ],
    ids=["no container", "no limit", "control groups v2", "control groups v1"],
)
def test_free_memory_is_what_machine_and_container_leave(tmp_path, monkeypatch, files, room):
    (tmp_path / "memory").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       9 kB\nMemAvailable:       4 kB\n")
    monkeypatch.setattr(preflight, "_MEMINFO", meminfo)
    monkeypatch.setattr(preflight, "_CGROUP", tmp_path)
    assert preflight.free_memory() == (4096 if room is None else room)
