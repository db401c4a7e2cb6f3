"""The story at tiny scale: what the published run shows, and what the corrected run no longer does."""

from __future__ import annotations

import polars as pl
import pytest

from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.store.runs import Run


@pytest.fixture(scope="module")
def published(published_run: Run) -> Scorecard:
    return score(published_run)


@pytest.fixture(scope="module")
def corrected(civil_time_run: Run) -> Scorecard:
    return score(civil_time_run)


def failed(card: Scorecard) -> set[str]:
    return {entry.gate_id for entry in card.results if entry.verdict is Verdict.FAIL}


def test_published_clock_is_wrong_and_2a_and_s4_own_it(published: Scorecard) -> None:
    assert failed(published) >= {"T1", "T1.settlement", "T1.operational", "T2", "T11", "T12"}
    assert published.result("T12").value == 0
    for gate_id, owner in (("T1", "2A"), ("T2", "2A"), ("T11", "2A"), ("T12", "S4")):
        attribution = published.owner(gate_id)
        assert attribution is not None
        assert attribution.owner == owner
    assert not published.hard_gates_pass


def test_published_counts_are_conserved(published: Scorecard) -> None:
    for gate_id in ("T4", "T5"):
        assert published.result(gate_id).value == 0
        assert published.result(gate_id).verdict is Verdict.PASS_BPLUS


def test_corrected_clock_is_exactly_right(corrected: Scorecard) -> None:
    for gate_id in ("T1", "T1.settlement", "T1.operational", "T2", "T3", "T4", "T5"):
        assert corrected.result(gate_id).value == 0, gate_id
    assert corrected.result("T11").value == corrected.result("T12").value == 1
    assert failed(corrected) <= {"T6", "T7", "T9"}


def test_wrong_clocks_lie_after_the_first_missing_transition(published: Scorecard) -> None:
    """T11 predicts T1: no arrival is wrong before its zone's first missing transition, all are after it."""
    first = {row["tzid"]: row["first_utc"] for row in published.result("T11").detail["shortfalls"]}
    census = published.evidence.census.with_columns(
        since=pl.col("tzid")
        .replace_strict(first, default=None, return_dtype=pl.String)
        .str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms")
        .dt.epoch("s")
    )
    late = (pl.col("second") >= pl.col("since")).fill_null(False)
    assert census.filter(~late & (pl.col("error_seconds").ne_missing(0))).is_empty()
    stays = census.filter(late & pl.col("tzid").str.starts_with("Europe/"))
    assert set(stays["error_seconds"]) == {-3600}
    assert published.result("T1").population == published.evidence.arrivals == census["arrivals"].sum()


def test_every_arrival_of_the_census_is_an_arrival_of_s3(published: Scorecard) -> None:
    levels = published.result("T4").detail["levels"]
    assert {level["arrivals_s3"] for level in levels} == {published.evidence.arrivals}
