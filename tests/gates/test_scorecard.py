"""The scorecard: provenance, missing and damaged evidence, order, documents."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.verdicts import thresholds_of
from segment5b_lib.contract.words import Verdict
from segment5b_lib.errors import InputError, PolicyError, UsageError
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.gates.t08_weekend import weekend_shares
from segment5b_lib.gates.table import GATES, gate
from segment5b_lib.store.parquet import open_file
from tests.gates.hand_made import SCENARIO, SEED, clean, measured, taken, write_run


def test_every_gate_of_a_scorecard_is_measured_and_no_other_is_known() -> None:
    assert all(entry.measure for entry in GATES)
    with pytest.raises(UsageError, match="UNKNOWN_GATE"):
        gate("T99")


def test_clean_run_is_green_everywhere(clean_card: Scorecard) -> None:
    verdicts = {entry.gate_id: entry.verdict for entry in clean_card.results}
    assert set(verdicts.values()) == {Verdict.PASS_BPLUS}, verdicts
    assert clean_card.hard_gates_pass
    assert clean_card.attributions == ()
    for gate_id in ("T1", "T1.settlement", "T1.operational", "T2", "T3", "T4", "T5"):
        assert clean_card.result(gate_id).value == 0, gate_id
    assert clean_card.result("T11").value == clean_card.result("T12").value == 1
    assert clean_card.result("T1").population == clean().arrivals.height
    assert clean_card.result("T1.settlement").population == clean().arrivals["is_virtual"].sum()


def test_missing_and_damaged_arrivals(tmp_path: Path) -> None:
    run = write_run(clean(), tmp_path)
    first, second = run.files("arrival_events_5B", SCENARIO)
    second.write_bytes(second.read_bytes()[:-100])
    _only_s3_and_the_cache_speak(score(run), tmp_path)
    first.unlink()
    second.unlink()
    _only_s3_and_the_cache_speak(score(run), tmp_path)


def _only_s3_and_the_cache_speak(card: Scorecard, tmp_path: Path) -> None:
    silent = {entry.gate_id: entry for entry in card.results if entry.gate_id not in ("T9", "T11", "A3")}
    assert {card.result(gate_id).verdict for gate_id in ("T9", "T11", "A3")} == {Verdict.PASS_BPLUS}
    assert {entry.verdict for entry in silent.values()} == {Verdict.NOT_MEASURED}
    assert all(entry.reason for entry in silent.values())
    assert not card.hard_gates_pass
    assert str(tmp_path) not in json.dumps(card.document())


def test_damage_inside_a_file_is_a_typed_error(tmp_path: Path) -> None:
    run = write_run(clean(), tmp_path)
    path = run.files("arrival_events_5B", SCENARIO)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 8 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 8)
    path.write_bytes(content)
    with pytest.raises(InputError, match="NOT_PARQUET"):
        taken("T1", Evidence(run))


def test_local_columns_must_be_timestamps(tmp_path: Path) -> None:
    run = write_run(clean(), tmp_path)
    path = run.files("arrival_events_5B", SCENARIO)[0]
    pl.read_parquet(path, hive_partitioning=False).with_columns(ts_local_primary=pl.lit("noon")).write_parquet(path)
    with pytest.raises(InputError, match="SCHEMA_MISMATCH"):
        open_file(path, dataset("arrival_events_5B"))


def test_thresholds_come_from_the_policy_with_their_provenance(clean_card: Scorecard, tmp_path: Path) -> None:
    listed = {entry.policy_key: entry.value for entry in clean_card.result("T7").thresholds}
    assert listed == {
        "gates.T7.b.min": 0.03,
        "gates.T7.b.max": 0.08,
        "gates.T7.bplus.min": 0.05,
        "gates.T7.bplus.max": 0.12,
    }
    strict = replace(clean(), changes={"validation.gates.T6.b.max": 0.4})
    assert measured(strict, tmp_path, "T6").verdict is Verdict.FAIL
    policy = clean_card.evidence.policy
    without = policy.model_copy(update={"gates": {k: v for k, v in policy.gates.items() if k != "T6"}})
    with pytest.raises(PolicyError, match="GATE_MISSING"):
        thresholds_of(without, "T6")


def test_the_answer_does_not_depend_on_file_order(clean_card: Scorecard, tmp_path: Path) -> None:
    run = write_run(clean(), tmp_path)
    first, second = run.files("arrival_events_5B", SCENARIO)
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    card = score(run)
    order = card.result("A5.order")
    assert (order.value, order.detail["between_part_files"]) == (1, 1), "the parts themselves are out of order now"
    others = {entry.gate_id: entry for entry in card.results if entry is not order}
    assert others == {entry.gate_id: entry for entry in clean_card.results if entry.gate_id in others}


def test_document_and_html(clean_card: Scorecard) -> None:
    document = json.loads(json.dumps(clean_card.document()))
    assert document["seed"] == SEED
    assert [entry["gate_id"] for entry in document["gates"]] == [entry.gate_id for entry in GATES]
    assert document["gates"][2]["produced_by"] == "segment5b_lib.gates.t01_civil_time.measure"
    page = clean_card._repr_html_()
    assert page.count("<tr") == len(GATES) + 1
    with pytest.raises(UsageError, match="UNKNOWN_GATE"):
        clean_card.result("T99")
    hostile = replace(clean_card, identity={**clean_card.identity, "posture": "<script>"})
    assert html.escape("<script>") in hostile._repr_html_()


def test_two_scenarios_are_pooled(clean_card: Scorecard, tmp_path: Path) -> None:
    card = score(write_run(replace(clean(), scenarios=("one", "two")), tmp_path))
    for twice, once in zip(card.results, clean_card.results, strict=True):
        if once.unit != "p":
            assert twice.value == pytest.approx(once.value, rel=1e-4), once.gate_id
    assert card.result("T1").population == 2 * (clean_card.result("T1").population or 0)
    shares = weekend_shares(card.evidence)
    assert shares["scenario_id"].to_list() == [None, "one", "two"]
