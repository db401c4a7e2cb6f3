"""Predictions as a notebook asks for them: any way to name a policy, thresholds of that policy, a table."""

from __future__ import annotations

import pytest

import segment5b_lib as s5
from segment5b_lib.errors import UsageError
from segment5b_lib.store.postures import with_changes
from segment5b_lib.workbench.open_run import OpenRun


@pytest.fixture(scope="module")
def opened(published_run) -> OpenRun:
    return s5.open_run(published_run.run_id)


def expected(forecast) -> dict[str, float]:
    return dict(forecast.frame().select("gate", "expected").rows())


def test_the_runs_own_policies_predict_what_was_measured(opened: OpenRun) -> None:
    forecast = s5.predict(opened)
    card = opened.scorecard()
    for row in forecast.frame().drop_nulls("verdict").to_dicts():
        measured = card.result(row["gate"])
        assert measured.value == pytest.approx(row["expected"], abs=5 * row["standard_error"]), row["gate"]
        assert row["verdict"] == measured.verdict.value
    page = forecast._repr_html_()
    assert "T6.top_10_percent" in page and "± " in page and "≤ 72 %" in page


def test_a_policy_can_be_named_in_three_ways(opened: OpenRun) -> None:
    changes = {"routing.zone_binding": "row_zone"}
    by_changes = s5.predict(opened, changes)
    by_policies = s5.predict(opened, with_changes(opened.store.policies, changes))
    assert expected(by_changes) == expected(by_policies) != expected(s5.predict(opened))
    assert expected(s5.predict(opened, "published")) == expected(s5.predict(opened))
    with pytest.raises(UsageError):
        s5.predict(opened, "perfect")


def test_thresholds_are_those_of_the_policy(opened: OpenRun) -> None:
    forecast = s5.predict(opened, {"validation.gates.T6.b.max": 1.0})
    (row,) = forecast.frame().filter(gate="T6").to_dicts()
    assert (row["b"], row["verdict"]) == ("≤ 100 %", "pass_b")


def test_a_reopened_cache_predicts_a_right_clock(opened: OpenRun) -> None:
    forecast = s5.predict(opened, reopened={"2A": {"last_transition_year": 2028}})
    assert expected(forecast)["T1"] == 0
    assert expected(s5.predict(opened))["T1"] > 0
