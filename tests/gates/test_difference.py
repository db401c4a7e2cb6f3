"""What changed between two scorecards: verdicts, by how much, in which direction."""

from __future__ import annotations

import html
import json
from dataclasses import replace

import pytest

from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.difference import Difference
from segment5b_lib.gates.scorecard import Scorecard


def altered(card: Scorecard, **changes: dict[str, object]) -> Scorecard:
    """The card with some gates' fields replaced."""
    results: list[GateResult] = [replace(entry, **changes.get(entry.gate_id, {})) for entry in card.results]
    return replace(card, results=tuple(results))


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (Verdict.FAIL, Verdict.PASS_B, "better"),
        (Verdict.PASS_B, Verdict.PASS_BPLUS, "better"),
        (Verdict.PASS_BPLUS, Verdict.FAIL, "worse"),
        (Verdict.FAIL, Verdict.FAIL, "same"),
        (Verdict.NOT_MEASURED, Verdict.NOT_MEASURED, "same"),
        (Verdict.NOT_MEASURED, Verdict.PASS_B, "incomparable"),
        (Verdict.PASS_BPLUS, Verdict.INSUFFICIENT_POWER, "incomparable"),
    ],
)
def test_the_direction_of_a_verdict(clean_card: Scorecard, before: Verdict, after: Verdict, moved: str) -> None:
    earlier, later = (altered(clean_card, T1={"verdict": verdict}) for verdict in (before, after))
    difference = Difference(earlier, later)
    (row,) = difference.frame().filter(gate="T1").to_dicts()
    assert (row["verdict_before"], row["verdict_after"], row["moved"]) == (before.value, after.value, moved)
    assert difference.verdicts_changed()["gate"].to_list() == ([] if before is after else ["T1"])


def test_by_how_much_in_the_gates_own_unit(clean_card: Scorecard) -> None:
    earlier = altered(clean_card, T1={"value": 0.026}, T4={"value": 7.0}, T9={"value": None})
    later = altered(clean_card, T1={"value": 0.001}, T4={"value": 9.0})
    rows = {row["gate"]: row for row in Difference(earlier, later).frame().to_dicts()}
    assert rows["T1"]["number"] == pytest.approx(-0.025) and rows["T1"]["change"] == "−2.5 pp"
    assert (rows["T1"]["before"], rows["T1"]["after"]) == ("2.6 %", "0.1 %")
    assert rows["T4"]["number"] == 2 and rows["T4"]["change"] == "+2 keys"
    assert rows["T9"]["number"] is None and rows["T9"]["change"] == ""
    assert rows["T5"]["number"] == 0 and rows["T5"]["change"] == "0 rows"
    assert list(rows) == [entry.gate_id for entry in clean_card.results]


def test_a_gate_that_only_one_run_has_is_compared_with_nothing(clean_card: Scorecard) -> None:
    shorter = replace(clean_card, results=clean_card.results[1:])
    first = clean_card.results[0]
    (lost,) = Difference(clean_card, shorter).verdicts_changed().to_dicts()
    assert (lost["gate"], lost["verdict_after"], lost["after"]) == (first.gate_id, "not_measured", "–")
    (gained,) = Difference(shorter, clean_card).verdicts_changed().to_dicts()
    assert (gained["gate"], gained["verdict_before"], gained["number"]) == (first.gate_id, "not_measured", None)


def test_document_and_html_name_both_runs_and_escape(clean_card: Scorecard) -> None:
    hostile = replace(clean_card, identity={**clean_card.identity, "posture": "<script>"})
    difference = Difference(clean_card, altered(hostile, T1={"verdict": Verdict.FAIL}))
    document = json.loads(json.dumps(difference.document()))
    assert document["before"]["posture"] != document["after"]["posture"] == "<script>"
    assert len(document["gates"]) == len(clean_card.results)
    page = difference._repr_html_()
    assert html.escape("<script>") in page and "<script>" not in page
    assert f"1 of {len(clean_card.results)} verdicts changed" in page
