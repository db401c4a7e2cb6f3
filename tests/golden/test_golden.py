"""Every output of the tiny world is as pinned; the comparison names what is not; masks take only what they name."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.golden.digests import EXACT, FLOAT, MAIN_RUNS, WORLD, Outputs, Pin
from tests.golden.masks import MASKS, Mask, in_order, masked
from tests.golden.pins import Pinned, differences, probe
from tests.notebooks.prepare import copy_of

PHASES = ("popt0", "popt1", "popt2", "popt3", "popt4", "popt5", "p0", "p1", "p2", "p3", "p4", "p5")
STATES = ("S0", "S1", "S2", "S3", "S4", "S5")
WORLDS = ("worlds/tiny#paths", "worlds/reopened#paths")
"""Lines that hold a world's fingerprint."""
NEXT_STEP = """
If this was meant: make golden-renew, in a commit of its own. What stands behind a digest: tests/golden/__init__.py"""


@pytest.fixture(scope="session")
def pinned() -> Pinned:
    return Pinned.read()


def report(pinned: Pinned, found: dict[str, Pin], kind: str) -> str:
    lines = differences(pinned.pins, found, (kind,))
    return "\n".join([*lines, f"pinned with {pinned.releases}{NEXT_STEP}"]) if lines else ""


def other_cpu(pinned: Pinned, found: dict[str, Pin], kind: str) -> str:
    """Why lines of a class cannot be compared on this CPU; nothing where they can."""
    same_worlds = all(pinned.pins[name] == found[name] for name in WORLDS)
    if probe() == pinned.probe or kind == EXACT or (kind == WORLD and same_worlds):
        return ""
    return f"floats were pinned on a CPU with probe {pinned.probe}, and this one has {probe()}"


@pytest.mark.parametrize("kind", [EXACT, WORLD, FLOAT])
def test_outputs_are_as_pinned(pinned: Pinned, found: dict[str, Pin], kind: str) -> None:
    if reason := other_cpu(pinned, found, kind):
        pytest.skip(reason)
    assert not (text := report(pinned, found, kind)), text


def test_everything_is_pinned(found: dict[str, Pin]) -> None:
    names = {name.split("#")[0] for name in found}
    for run in MAIN_RUNS:
        refused = run == "remediated_42"
        for state in STATES:
            assert (f"runs/{run}/markers/{state}.json" in names) == (not refused or state != "S5")
        assert (f"runs/{run}/data/layer2/5B/validation/_passed.flag" in names) == (not refused)
        assert f"reports/scorecards/{run}.json" in names
        assert sum(name.startswith(f"runs/{run}/") and name.endswith(".parquet") for name in names) == 8
    for phase in PHASES:
        assert any(f"/segment5b_{phase}_" in name and name.endswith(".md") for name in names) or phase in ("p5",)
        assert any(f"/segment5b_{phase}_{kind}.json" in name for name in names for kind in ("current", "what_if"))
    assert {name.split("/")[1] for name in names if name.startswith("worlds/")} == {"tiny", "reopened"}


def test_the_remediated_run_is_refused_at_t6(golden: Outputs) -> None:
    text = (golden.folder / "printed" / "run_remediated.end").read_text()
    assert text.startswith("exit code 1\n5B.S5.T6_TOP10_ZONES: ")


def edited(outputs: Outputs, name: str, old: str, new: str) -> None:
    """Replace a piece of an output of a copy, whose files are links."""
    (path,) = outputs.files[name]
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.unlink()
    path.write_text(text.replace(old, new), encoding="utf-8")


def with_one_other_value(path: Path) -> None:
    with pq.ParquetFile(path) as file:
        table = file.read()
    column = table.schema.get_field_index("bucket_index")
    values = pa.array([*table["bucket_index"].to_pylist()[:-1], 7], table.schema.field(column).type)
    path.unlink()
    pq.write_table(table.set_column(column, table.schema.field(column), values), path)


def test_what_has_changed_is_named_and_nothing_else(golden: Outputs, found: dict[str, Pin], tmp_path: Path) -> None:
    """Also a pointer, where the file that it vouches for has changed; but not the clock of a receipt."""
    copy = Outputs(copy_of(golden.folder, tmp_path / "outputs"))
    run, reports = "runs/remediated_42", "reports/civil_time_42/segment5b"
    with_one_other_value(copy.files[f"{run}/data/layer2/5B/arrival_events/part-000000.parquet"][0])
    edited(copy, f"{run}/run_receipt.json", '"created_utc": "2', '"created_utc": "3')
    edited(copy, f"{run}/markers/S4.json", '"state":"S4"', '"state":"S3"')
    edited(copy, f"{run}/policies/arrival_rng_policy_5B.yaml", "philox2x64-10", "philox4x64-10")
    edited(copy, f"{reports}_p1_contract_lock.json", '"phase":"P1"', '"phase":"P2"')
    edited(copy, f"{reports}_p4_closure.md", "| P4.2 | green |", "| P4.2 | red |")
    edited(copy, "runs/civil_time_101/markers/S1.json", '"state":"S1"', '"state":"S2"')
    (blob,) = copy.files["worlds/tiny/data/layer1/2B/s2_alias_blob/alias.bin"]
    content = bytearray(blob.read_bytes())
    content[100] ^= 1
    blob.unlink()
    blob.write_bytes(content)
    copy.files[f"{reports}_p2_gateboard.md"][0].unlink()
    (copy.folder / "printed" / "more.txt").write_text("more")

    after = Pinned.of(Outputs(copy.folder).pins()).pins
    assert differences(found, after, (EXACT, WORLD, FLOAT)) == [
        "new printed/more.txt: text",
        f"changed {reports}_freeze_handoff.md: text",
        f"changed {reports}_freeze_manifest.json: pointers, text",
        f"changed {reports}_p1_contract_lock.json: phase, text",
        f"changed {reports}_p1_current.json: artefacts, text",
        f"changed {reports}_p2_current.json: artefacts, text",
        f"gone {reports}_p2_gateboard.md: text",
        f"changed {reports}_p4_closure.md: text",
        f"changed {reports}_p4_current.json: artefacts, text",
        "changed runs/civil_time_101: floats, integers",
        f"changed {run}/data/layer2/5B/arrival_events/part-000000.parquet: bucket_index, bytes",
        f"changed {run}/markers/S4.json: state, text",
        f"changed {run}/policies/arrival_rng_policy_5B.yaml: text",
        "changed worlds/tiny/data/layer1/2B/s2_alias_blob/alias.bin: bytes",
    ]
    assert differences(found, found, (EXACT, WORLD, FLOAT)) == []


def test_on_another_cpu_only_floats_may_differ(pinned: Pinned, found: dict[str, Pin]) -> None:
    def with_other(*kinds: str) -> dict[str, Pin]:
        return {name: Pin(pin.kind, "other" if pin.kind in kinds else pin.digest) for name, pin in found.items()}

    elsewhere = dataclasses.replace(pinned, probe="other", pins=found)

    def skipped(pinned: Pinned, found: dict[str, Pin]) -> list[bool]:
        return [other_cpu(pinned, found, kind) != "" for kind in (EXACT, WORLD, FLOAT)]

    assert differences(found, with_other(FLOAT), (EXACT, WORLD)) == []
    assert differences(found, with_other(FLOAT), (FLOAT,)) != []
    here = dataclasses.replace(elsewhere, probe=probe())
    assert skipped(here, with_other(EXACT, WORLD, FLOAT)) == [False, False, False]
    assert skipped(elsewhere, with_other(FLOAT)) == [False, False, True]
    assert skipped(elsewhere, with_other(FLOAT, WORLD)) == [False, True, True]


def test_classes_follow_what_an_output_holds(found: dict[str, Pin]) -> None:
    folder = "runs/published_42/data/layer2/5B"
    files = [f"{folder}/{name}/part-000000.parquet" for name in ("s3_bucket_counts", "arrival_events")]
    kinds = [{name.split("#")[1]: pin.kind for name, pin in found.items() if name.startswith(file)} for file in files]
    assert (kinds[0]["mu"], kinds[0]["bytes"], kinds[0]["count_N"]) == (FLOAT, FLOAT, WORLD)
    assert set(kinds[1].values()) == {WORLD}
    sites = "worlds/tiny/data/layer1/2B/s4_group_weights/part-000000.parquet"
    assert found[f"{folder}/validation/state_receipts_5B.json#[].bytes"].kind == FLOAT
    assert (found[f"{sites}#gamma"].kind, found[f"{sites}#tz_group_id"].kind) == (FLOAT, EXACT)


CLOCK = "2026-11-30T18:44:26.1Z"
POPT4 = "reports/a/segment5b_popt4_closure"
INTERVAL = "+3.73%, 95 % interval -15.98% to +28.07%, 5 pairs"
MASKED_TEXTS = [
    ("runs/a/run_receipt.json", f'"created_utc": "{CLOCK}", "seed": 4', '"created_utc": "MASKED", "seed": 4'),
    ("runs/a/run_receipt.json", '"library_version": "0.1.0"', '"library_version": "MASKED"'),
    ("worlds/a/world.json", f'"created_utc":"{CLOCK}","seed":4', None),
    ("runs/a/markers/S1.json", f'"created_utc": "{CLOCK}", "threads": 2, "wall_ms": 1.5', None),
    ("reports/a/b.json", '"wall_ms":1.5,"peak_rss_bytes":7', None),
    ("reports/a/b.json", '"created_utc":"soon","measured_utc":"2026","library_version":"0.1"', None),
    ("reports/scorecards/a.json", f'"measured_utc":"{CLOCK}","value":0.5', '"measured_utc":"MASKED","value":0.5'),
    ("reports/scorecards/a.json", f'"content_digest":"{"a" * 64}"', '"content_digest":"MASKED"'),
    ("reports/scorecards/a.json", f'"sha256":"{"a" * 64}"', None),
    ("runs/a/b.jsonl", f'"started_at_utc": "{CLOCK}", "state": "S1"', '"started_at_utc": "MASKED", "state": "S1"'),
    ("runs/a/b.jsonl", '"wall_ms": 1.5, "cpu_ms": 2, "rows": 3', '"wall_ms": "MASKED", "cpu_ms": "MASKED", "rows": 3'),
    ("runs/a/b.jsonl", '"peak_rss_bytes": 7, "threads": 2', '"peak_rss_bytes": "MASKED", "threads": "MASKED"'),
    ("runs/a/b.jsonl", '"machine": {"system": "Linux", "architecture": "x86_64", "cpus": 2}}', '"machine": "MASKED"}'),
    ("runs/a/run_log.log", f"{CLOCK} S1 write: publish, 17 ms, 5 rows", "MASKED S1 write: publish, MASKED ms, 5 rows"),
    (
        "runs/a/rng_audit.jsonl",
        '"build": {"numba": "1.0", "numpy": "2.0", "python": "3.1"}, "seed": 4',
        '"build": "MASKED", "seed": 4',
    ),
    ("runs/a/rng_audit.jsonl", '"library_version": "0.1.0"', '"library_version": "MASKED"'),
    ("printed/run.txt", "S5 FAIL 5B.S5.T6 0.28 s, 3 rows", "S5 FAIL 5B.S5.T6 MASKED s, 3 rows"),
    ("reports/a/b.md", f"**GO_P0** · attempt 1 · {CLOCK}", "**GO_P0** · attempt 1 · MASKED"),
    ("reports/a/b.md", f"at {CLOCK} 40.6 s", None),
    ("reports/a/b.md", "| threads | 2 |\n| library | 0.1.0 |\n", "| threads | MASKED |\n| library | MASKED |\n"),
    ("reports/a/b.json", '"path":"run/utc_day=2026-11-30/x"', '"path":"run/utc_day=MASKED/x"'),
    (
        f"{POPT4}.json",
        '"overhead":{"high":0.2,"limit":0.02,"low":-0.1,"mean":0.03,"pairs":5,"verdict":"undecided"}',
        '"overhead":"MASKED"',
    ),
    (f"{POPT4}.json", '"pairs":[{"pair":1}],"replays":12,"x":3', '"pairs":"MASKED","replays":"MASKED","x":3'),
    (
        f"{POPT4}.json",
        '"name":"overhead, low","population":5,"unit":"share","value":-0.1',
        '"name":"overhead, low","population":"MASKED","unit":"share","value":"MASKED"',
    ),
    (f"{POPT4}.json", '"name":"candidate S4","population":3,"unit":"s","value":40.6', None),
    (
        f"{POPT4}.json",
        f'"evidence":"{INTERVAL}","id":"POPT.4.2","status":"green","text"',
        '"evidence":"MASKED","id":"POPT.4.2","status":"MASKED","text"',
    ),
    (f"{POPT4}.json", f'"evidence":"{INTERVAL}","id":"POPT.4.2","status":"red","text"', None),
    (f"{POPT4}.json", '"POPT.4.2": "not_applicable"', '"POPT.4.2": "MASKED"'),
    (f"{POPT4}.md", f"| POPT.4.2 | green | cheap | {INTERVAL} |", "| POPT.4.2 | MASKED | cheap | MASKED |"),
    (f"{POPT4}.md", "S5 2 times, S4 12 times, every", "S5 2 times, S4 MASKED times, every"),
    (
        f"{POPT4}.md",
        "| pair | quiet | reporting | overhead |\n| --- | --- | --- | --- |\n| 1 | 2 |\n\nrest",
        "| pair | quiet | reporting | overhead |\n| --- | --- | --- | --- |\nMASKED\nrest",
    ),
]
"""Output, text, text without what is masked; None where nothing is."""


@pytest.mark.parametrize(("name", "text", "expected"), MASKED_TEXTS)
def test_a_mask_takes_only_what_it_names(name: str, text: str, expected: str | None) -> None:
    assert masked(name, text, {}) == (text if expected is None else expected)


def test_every_mask_is_needed_and_has_an_example(golden: Outputs, found: dict[str, Pin]) -> None:
    del found  # that has used them
    examples: dict[Mask, int] = {}
    for name, text, _ in MASKED_TEXTS:
        masked(name, text, examples)
    for mask in MASKS:
        assert mask.reason and golden.masks_used.get(mask) and examples.get(mask), mask


def test_steps_may_end_in_any_order() -> None:
    rows = [{"state": "S4", "steps": [{"name": name} for name in names]} for names in ("ab", "ba")]
    one, other = (in_order("runs/a/segment_state_runs.jsonl", json.dumps(row) + "\n") for row in rows)
    assert one == other and '"a"' in one
