"""Bad evidence is never a pass: whatever dataset is missing, foreign or empty, every gate that needs it says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.gates.table import GATES
from segment5b_lib.store.runs import Run
from tests.gates.hand_made import SCENARIO, clean, write_run

DATASETS = sorted({name for entry in GATES for name in entry.evidence})


def folder_of(run: Run, dataset_id: str) -> Path:
    if dataset(dataset_id).segment == "5B":
        return run.folder(dataset_id, SCENARIO)
    return run.world.folder(dataset_id)


def missing(folder: Path) -> None:
    shutil.rmtree(folder)


def foreign(folder: Path) -> None:
    for path in folder.iterdir():
        pl.DataFrame({"something": ["else"]}).write_parquet(path)


@pytest.mark.parametrize("spoil", [missing, foreign])
@pytest.mark.parametrize("dataset_id", DATASETS)
def test_every_gate_says_what_it_needs(
    dataset_id: str, spoil: Callable[[Path], None], clean_card: Scorecard, tmp_path: Path
) -> None:
    run = write_run(clean(), tmp_path)
    spoil(folder_of(run, dataset_id))
    card = score(run)
    for entry, result in zip(GATES, card.results, strict=True):
        if dataset_id in entry.evidence:
            assert result.verdict is Verdict.NOT_MEASURED, entry.gate_id
            assert dataset_id in result.reason, entry.gate_id
        else:
            assert result == clean_card.result(entry.gate_id), entry.gate_id
    assert str(tmp_path) not in str(card.document())


def test_a_scenario_without_arrivals_is_no_evidence(clean_card: Scorecard, tmp_path: Path) -> None:
    run = write_run(replace(clean(), scenarios=(SCENARIO, "quiet")), tmp_path)
    for path in run.files("arrival_events_5B", "quiet"):
        pl.read_parquet(path, hive_partitioning=False).clear().write_parquet(path)
    card = score(run)
    for entry, result in zip(GATES, card.results, strict=True):
        if "arrival_events_5B" in entry.evidence:
            assert result.verdict is Verdict.NOT_MEASURED, entry.gate_id
            assert "quiet" in result.reason, entry.gate_id
    assert card.result("T11") == clean_card.result("T11")
    assert not card.hard_gates_pass


def test_an_empty_run_passes_nothing_that_looks_at_arrivals_or_counts(tmp_path: Path) -> None:
    frames = clean()
    empty = replace(
        frames, counts=frames.counts.clear(), intensity=frames.intensity.clear(), arrivals=frames.arrivals.clear()
    )
    card = score(write_run(empty, tmp_path))
    verdicts = {entry.gate_id: entry.verdict for entry in card.results}
    assert verdicts.pop("T11") is Verdict.PASS_BPLUS
    assert set(verdicts.values()) == {Verdict.NOT_MEASURED}
