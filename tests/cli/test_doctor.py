"""`segment5b doctor`: planted faults are found, each with what to do about it; and commands that do not fit stop."""

import json
import re
import sys
from importlib import metadata

import pytest

from segment5b_lib.charts import renderer
from segment5b_lib.civil_time import drift
from segment5b_lib.civil_time.tz_databases import folder_database, past_releases
from segment5b_lib.civil_time.tzif import zone_bytes, zone_names
from segment5b_lib.cli import main as entry
from segment5b_lib.engine import preflight

GB = 10**9


@pytest.fixture
def doctor(private_outputs, monkeypatch, capsys):
    """Exit code and findings by name."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["segment5b", "doctor", "--json", *arguments])
        with pytest.raises(SystemExit) as stop:
            entry.main()
            raise SystemExit(0)
        return stop.value.code or 0, {one["name"]: one for one in json.loads(capsys.readouterr().out)}

    return call


def test_a_machine_that_can_do_the_work(doctor):
    code, found = doctor("--scale", "tiny")
    assert code == 0
    assert list(found) == [
        "python",
        "libraries",
        "lock file",
        "threads",
        "disk",
        "memory",
        "tz database",
        "tz drift",
        "outputs",
        "kernel cache",
        "charts",
        "offline pages",
    ]
    assert {one["status"] for one in found.values()} <= {"ok", "warn"}
    assert found["python"]["found"] == ".".join(map(str, sys.version_info[:3]))
    assert all(bool(one["next_step"]) == (one["status"] != "ok") for one in found.values())


def test_it_leaves_nothing_behind(doctor, private_outputs):
    before = sorted(private_outputs.rglob("*"))
    doctor("--scale", "tiny")
    assert sorted(private_outputs.rglob("*")) == before


@pytest.mark.parametrize(("which", "name"), [("free_disk", "disk"), ("free_memory", "memory")])
def test_a_planted_shortage_fails_with_both_figures(doctor, monkeypatch, which, name):
    for one in ("free_disk", "free_memory"):
        monkeypatch.setattr(preflight, one, lambda *_, free=GB if one == which else 1000 * GB: free)
    code, found = doctor("--scale", "authority", "--threads", "2")
    assert code == 4
    assert found[name]["status"] == "fail"
    assert re.match(r"1\.00 GB free, authority needs [1-9]\.\d\d GB", found[name]["found"])
    assert "smaller scale" in found[name]["next_step"]
    assert [one["name"] for one in found.values() if one["status"] == "fail"] == [name]


def test_larger_scales_need_more(doctor):
    needed = []
    for scale in ("tiny", "small", "medium", "authority"):
        _, found = doctor("--scale", scale)
        needed.append(float(found["disk"]["found"].split()[-2]))
    assert needed == sorted(set(needed))


def test_an_unknown_scale_is_wrong_use(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["segment5b", "doctor", "--scale", "huge"])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 2
    assert "5B.WORLD.UNKNOWN_SCALE" in capsys.readouterr().err


def test_a_library_outside_its_range_fails_and_one_that_is_not_as_locked_warns(doctor, monkeypatch):
    installed = metadata.version

    def version(name):
        return {"numba": "0.10.0", "rich": "99.0"}.get(name) or installed(name)

    monkeypatch.setattr(metadata, "version", version)
    code, found = doctor("--scale", "tiny")
    assert code == 4
    assert found["libraries"]["status"] == "fail"
    assert "numba 0.10.0" in found["libraries"]["found"]
    assert "rich" not in found["libraries"]["found"]
    assert found["lock file"]["status"] == "warn"
    assert "rich 99.0" in found["lock file"]["found"]


def test_a_missing_library_fails(doctor, monkeypatch):
    installed = metadata.version

    def version(name):
        if name == "holidays":
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)
    code, found = doctor("--scale", "tiny")
    assert code == 4
    assert "holidays is missing" in found["libraries"]["found"]


def test_python_outside_the_range_fails(doctor, monkeypatch):
    monkeypatch.setattr("segment5b_lib.cli.doctor.sys", type("Old", (), {"version_info": (3, 9, 1)}))
    code, found = doctor("--scale", "tiny")
    assert code == 4
    assert found["python"]["status"] == "fail"
    assert "3.9.1" in found["python"]["found"]


def test_more_threads_than_cores_warn(doctor):
    code, found = doctor("--scale", "tiny", "--threads", "5000")
    assert found["threads"]["status"] == "warn"
    assert found["memory"]["status"] == "fail"
    assert code == 4


def test_charts_that_cannot_be_drawn_fail(doctor, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ValueError("no fonts here\nand a long story")

    monkeypatch.setattr(renderer.vl_convert, "vegalite_to_png", broken)
    code, found = doctor("--scale", "tiny")
    assert code == 4
    assert found["charts"]["found"] == "ValueError: no fonts here"
    assert found["charts"]["next_step"]


def test_outputs_that_cannot_be_written_fail(doctor, private_outputs, monkeypatch):
    file = private_outputs / "a_file"
    file.write_text("not a folder")
    monkeypatch.setenv("SEGMENT5B_OUTPUTS", str(file))
    code, found = doctor("--scale", "tiny")
    assert code == 4
    assert found["outputs"]["status"] == "fail"
    assert "SEGMENT5B_OUTPUTS" in found["outputs"]["next_step"]


@pytest.fixture
def system_zones(tmp_path, monkeypatch):
    """A system whose only zones are those of a folder: 2025b, but for the zones given."""

    def plant(**content):
        for tzid in zone_names():
            files = past_releases().zones.get(tzid, {})
            path = tmp_path.joinpath("zones", *tzid.split("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.get(tzid) or files.get("2025b") or zone_bytes(tzid))
        (tmp_path / "zones" / "tzdata.zi").write_text("# version 2025b\nR d\n")
        monkeypatch.setattr(drift, "machine_databases", lambda: (folder_database("system", tmp_path / "zones"),))
        drift.machine_drift.cache_clear()

    yield plant
    drift.machine_drift.cache_clear()


def test_an_older_database_of_the_system_is_told_and_not_judged(doctor, system_zones):
    system_zones()
    code, found = doctor("--scale", "tiny")
    assert (code, found["tz database"]["found"]) == (0, "2026f pinned")
    assert found["tz drift"]["status"] == "ok"
    assert "system 2025b: 2 (1) from 2026-03-29; 13 from 2026-09-20" in found["tz drift"]["found"]
    (database,) = found["tz drift"]["detail"]["databases"]
    assert (database["states"], database["zones"], database["in_use"], database["unexplained"]) == ("2025b", 2, 1, [])
    chisinau = next(one for one in found["tz drift"]["detail"]["differences"] if one["tzid"] == "Europe/Chisinau")
    assert (chisinau["from_utc"], chisinau["until_utc"]) == ("2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z")
    assert (chisinau["expected_seconds"], chisinau["found_seconds"]) == (7200, 10800)
    assert "2025b" in chisinau["releases"] and "2026a" not in chisinau["releases"]


def test_a_database_that_no_release_explains_fails(doctor, system_zones):
    system_zones(EST=zone_bytes("Asia/Tokyo"))
    code, found = doctor("--scale", "tiny")
    assert code == 4
    assert found["tz drift"]["status"] == "fail"
    assert found["tz drift"]["found"].endswith("explained by no release: EST")
    assert found["tz drift"]["next_step"]


def test_for_people_it_is_one_line_per_check(private_outputs, monkeypatch, capsys):
    monkeypatch.setattr(preflight, "free_disk", lambda _: 0)
    monkeypatch.setattr(sys, "argv", ["segment5b", "doctor", "--scale", "tiny"])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 4
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "].count("fail") == 1
    assert any("next segment5b prune" in line for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [["world", "build", "--scale", "authority"], ["demo", "--scale", "authority"]],
    ids=["world build", "demo"],
)
def test_commands_that_cannot_fit_stop_before_they_start(private_outputs, monkeypatch, capsys, arguments):
    monkeypatch.setattr(preflight, "free_disk", lambda _: 10**7)
    before = sorted(private_outputs.rglob("*"))
    monkeypatch.setattr(sys, "argv", ["segment5b", *arguments])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 4
    text = " ".join(capsys.readouterr().err.split())
    assert "5B.ENV.DISK_SHORT" in text
    assert "10,000,000 bytes free" in text
    assert sorted(private_outputs.rglob("*")) == before


def test_a_run_that_cannot_fit_stops_with_exit_code_4(own_world, monkeypatch, capsys):
    monkeypatch.setattr(preflight, "free_memory", lambda: 10**7)
    monkeypatch.setattr(sys, "argv", ["segment5b", "run", "--quiet"])
    with pytest.raises(SystemExit) as stop:
        entry.main()
    assert stop.value.code == 4
    assert "5B.ENV.MEMORY_SHORT" in capsys.readouterr().err
